#!/usr/bin/env python3
"""What a fleet costs the disk: bytes written a day, as the kernel counts them.

usage: cost.py BINDIR [--streams N] [--seconds S] [--producer] [--set KEY=VALUE]...

Sends one reading a second of each stream in real time and reports /proc/PID/io at the end of each minute, with the sizes of the
database and of what was stored. The directory must lie on a block device (TMPDIR), else the kernel counts nothing.
"""
import argparse, math, os, random, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, standard_settings


def written(pid):
    return int(next(line for line in open(f"/proc/{pid}/io") if line.startswith("write_bytes")).split()[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=720)
    parser.add_argument("--producer", action="store_true", help="ask for acknowledgements")
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="rnn-cost.")
    settings = standard_settings(arguments.bindir)
    settings.update(s.split("=", 1) for s in arguments.set)
    daemon = Daemon(arguments.bindir, root, settings=settings)
    s = daemon.connect(daemon.ingest)
    if arguments.producer:
        s.sendall(b"#!producer cost\n")
    begin = time.monotonic()
    base = None
    for second in range(arguments.seconds):
        now = int(time.time()) * 1_000_000_000
        s.sendall("".join(
            f"plant,unit=u{n} temperature={20 + 5 * math.sin(second / 100 + n) + random.gauss(0, 0.2):.2f} {now}\n" for n in range(arguments.streams)).encode())
        if second % 60 == 59 or second == arguments.seconds - 1:
            status = daemon.ask("status")
            total = written(daemon.process.pid)
            line = f"{second + 1:5} s: {total / 1e6:8.2f} MB written, payload {status['payload_bytes_written'] / 1e6:6.2f} MB, database {status['database_bytes'] / 1e6:5.1f} MB, stretch {status['intervals_stretched']}"
            if base:
                line += f"; {(total - base[1]) / (second - base[0]) * 86400 / 1e6:8.0f} MB/day since the first minute"
            else:
                base = (second, total)
            print(line, flush=True)
        time.sleep(max(0, begin + second + 1 - time.monotonic()))
    daemon.stop()
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
