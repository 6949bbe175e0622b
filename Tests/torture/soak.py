#!/usr/bin/env python3
"""Simulated time at 100 times its speed: memory flat, file bounded, descriptors constant.

usage: soak.py BINDIR [--minutes M] [--streams N] [--speed X]

The run lasts M * X minutes of the fleet's time: M minutes of real time, or longer when the machine is too busy. Connections come and go, streams come and go (evicted at streams_max), bad
lines come. After a fifth of the time memory must not grow by more than a tenth (and 8 MB), the database must stay below twice its
size then (and 16 MB), descriptors must be the same.
"""
import argparse, math, os, random, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--speed", type=float, default=100)
    arguments = parser.parse_args()
    rng = random.Random(1)
    root = tempfile.mkdtemp(prefix="rnn-soak.")
    # Intervals as in production, seen at this speed.
    settings = {"checkpoint_interval": "6s", "commit_interval": "20ms", "durability_interval": "100ms", "streams_max": arguments.streams + 20,
                "streams_evict": "true", "retention_alerts_max": 500, "future_max": "365d", "queue_batches_max": 64}
    daemon = Daemon(arguments.bindir, root, settings=settings)
    begin = time.monotonic()
    # The fleet's time ends now, so that nothing is dated ahead.
    clock = time.time() - arguments.minutes * 60 * arguments.speed
    s = daemon.connect(daemon.ingest)
    sampled, base, second, sent = 0.0, None, 0, 0
    failures = []
    while second < arguments.minutes * 60 * arguments.speed:
        lines = []
        for n in range(arguments.streams):
            value = 20 + 5 * math.sin(second / 600 + n) + rng.gauss(0, 0.2) + (30 if rng.random() < 0.0002 else 0)
            lines.append(f"plant,unit=u{n} a={value:.2f} {int((clock + second) * 1e9) + n}\n")
        if second % 60 == 0:
            lines.append(f"passing,unit=p{second} x=1 {int((clock + second) * 1e9)}\nrubbish\n")
        s.sendall("".join(lines).encode())
        sent += len(lines)
        second += 1
        if second % 600 == 0:
            s.close()
            s = daemon.connect(daemon.ingest)
        elapsed = time.monotonic() - begin
        if elapsed - sampled >= min(30, arguments.minutes * 6):
            sampled = elapsed
            status = daemon.ask("status")
            # A question that has just been answered still has its descriptors; the fewest of several looks are those that stay.
            descriptors = []
            for _ in range(10):
                time.sleep(0.02)
                descriptors.append(len(os.listdir(f"/proc/{daemon.process.pid}/fd")))
            now = (status["resident_bytes"] / 1e6, status["database_bytes"] / 1e6, min(descriptors))
            print(f"{elapsed:6.0f} s, {second / 3600:5.2f} h of the fleet: {now[0]:.1f} MB resident, database {now[1]:.1f} MB, {now[2]} descriptors, "
                  f"{status['alerts_total']} alerts, {sent} lines", flush=True)
            if elapsed > arguments.minutes * 12:
                base = base or now
                if now[0] > base[0] * 1.1 + 8:
                    failures.append(f"memory {base[0]:.1f} to {now[0]:.1f} MB")
                if now[1] > base[1] * 2 + 16:
                    failures.append(f"database {base[1]:.1f} to {now[1]:.1f} MB")
                if now[2] != base[2]:
                    failures.append(f"descriptors {base[2]} to {now[2]}")
        time.sleep(max(0, begin + second / arguments.speed - time.monotonic()))
    s.close()
    code = daemon.stop()
    shutil.rmtree(root)
    if failures or code != 0:
        sys.exit(f"FAILED: {'; '.join(failures)} exit {code}")


if __name__ == "__main__":
    main()
