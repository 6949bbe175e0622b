#!/usr/bin/env python3
"""`rnnctl send` as its users have it: killed, displaced, restarted on other files, and always exact.

usage: send.py BINDIR [--seed S]
"""
import argparse, os, pty, random, shutil, signal, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, facts

BEGIN = 1_760_000_000


def lines(first, count, rubbish=0):
    made = [f"file,unit=u{n % 20} a={n % 97}.5 {(BEGIN + n // 20 * 10) * 1_000_000_000}" for n in range(first, first + count)]
    for n in range(0, rubbish):
        made.insert((n * 7919) % len(made), "rubbish")
    return "".join(line + "\n" for line in made)


class Bench:
    def __init__(self, bindir, root, name):
        self.bindir, self.directory = bindir, os.path.join(root, name)
        os.makedirs(self.directory)
        self.file = os.path.join(self.directory, "lines")
        self.daemon = None
        self.start()

    def start(self):
        self.daemon = Daemon(self.bindir, self.directory, settings={"streams_max": 100, "checkpoint_interval": "1h"})

    def write(self, text, mode="w"):
        with open(self.file, mode) as f:
            f.write(text)

    def send(self, *more, stdin=subprocess.DEVNULL, file=None):
        return subprocess.Popen([os.path.join(self.bindir, "rnnctl"), "send", file or self.file, "--ingest-socket", self.daemon.ingest, *more],
                                stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def sent(self, *more, code=0, word="", seconds=120, **options):
        process = self.send(*more, **options)
        told, _ = process.communicate(timeout=seconds)
        if process.returncode != code or word not in told:
            raise Failure(f"exit code {process.returncode}, expected {code}; {told[-400:]!r} should say {word!r}")
        return told

    def end(self, accepted, refused):
        if self.daemon.stop() != 0:
            raise Failure("the daemon did not stop well")
        totals, producers, _, _, _ = facts(self.directory)
        got = totals["readings_accepted"], sum(v for k, v in totals.items() if k.startswith("refused."))
        if got != (accepted, refused):
            raise Failure(f"accepted and refused {got}, expected {(accepted, refused)}; {totals}")
        return producers


def kills(bench, rng):
    bench.write(lines(0, 40_000, rubbish=400))
    client, killed = bench.send("--attempts-max", "1000"), {"client": 0, "daemon": 0}
    for _ in range(16):
        time.sleep(rng.uniform(0.05, 0.3))
        if rng.random() < 0.5:
            client.kill()
            client.communicate()
            client = bench.send("--attempts-max", "1000")
            killed["client"] += 1
        else:
            bench.daemon.kill()
            time.sleep(rng.uniform(0, 0.2))
            bench.start()
            killed["daemon"] += 1
    told, _ = client.communicate(timeout=240)
    if client.returncode != 0 or "40400 lines acknowledged" not in told:
        raise Failure(f"exit code {client.returncode}: {told[-400:]}")
    bench.end(40_000, 400)
    return f"killed {killed['client']} times, the daemon {killed['daemon']} times"


def pipe(bench, rng):
    client = bench.send("--producer", "live", stdin=subprocess.PIPE, file="-")
    client.stdin.write(lines(0, 100))
    client.stdin.flush()
    until = time.monotonic() + 20
    while bench.daemon.ask("status")["readings_accepted"] < 100:
        if time.monotonic() > until:
            raise Failure("lines of an open pipe are not sent")
        time.sleep(0.02)
    # The daemon dies with the pipe open: what was sent and not acknowledged is sent again.
    client.stdin.write(lines(100, 50))
    client.stdin.flush()
    bench.daemon.kill()
    bench.start()
    told, _ = client.communicate(lines(150, 50), timeout=60)
    if client.returncode != 0 or "200 lines acknowledged" not in told:
        raise Failure(f"{client.returncode}: {told}")
    # The same archive through a new pipe: nothing twice. A shorter one cannot be the same.
    bench.write(lines(0, 200))
    with open(bench.file) as archive:
        bench.sent("--producer", "live", file="-", stdin=archive, word="200 lines acknowledged (200 of them before)")
    bench.sent("--producer", "live", file="-", code=1, word="another file")
    bench.end(200, 0)
    return "an open pipe is sent as it comes, over a kill of the daemon"


def files(bench, rng):
    bench.write(lines(0, 500))
    bench.sent(word="500 lines acknowledged, 0 refused")
    bench.sent(word="500 lines acknowledged (500 of them before)")
    bench.write(lines(500, 100), "a")
    told = bench.sent(word="600 lines acknowledged (500 of them before)")
    if "going on after line 500" not in told:
        raise Failure(told)
    # Rotated: another first line, another producer.
    bench.write(lines(600, 200))
    bench.sent(word="200 lines acknowledged, 0 refused")
    # The same first line and fewer lines, or as many others: it is not the file that was sent.
    bench.write(lines(0, 300))
    bench.sent(word="300 lines acknowledged, 0 refused")
    bench.sent(word="300 lines acknowledged (300 of them before)")
    bench.sent("--producer", "again", word="300 lines acknowledged")
    bench.write(lines(0, 1) + lines(900, 400))
    bench.sent(word="other lines were sent under this name")
    bench.sent("--producer", "again", code=1, word="is it another file?")
    # Appended to, it goes on.
    bench.write(lines(1300, 50), "a")
    bench.sent(word="451 lines acknowledged (401 of them before)")
    # The last line may lack its end; nothing at all is nothing.
    bench.write(lines(800, 3).rstrip("\n"))
    bench.sent(word="3 lines acknowledged")
    bench.write("")
    bench.sent(word="0 lines acknowledged")
    # The three lines of 800 came after those of 1350: too late.
    producers = bench.end(500 + 100 + 200 + 450, 0)
    return f"{len(producers)} producers"


def two(bench, rng):
    bench.write(lines(0, 20_000))
    first = bench.send("--producer", "same", stdin=subprocess.PIPE, file="-")
    first.stdin.write(lines(0, 1000))
    first.stdin.flush()
    while bench.daemon.ask("status")["readings_accepted"] < 1000:
        time.sleep(0.02)
    told = bench.sent("--producer", "same", word="20000 lines acknowledged")
    out, _ = first.communicate(timeout=20)
    if first.returncode != 1 or "another client greeted as same" not in out:
        raise Failure(f"{first.returncode}: {out}")
    bench.end(20_000, 0)
    return "the later one goes on, the earlier one is told"


def flood(bench, rng):
    # Answers to these are far more bytes than a socket holds: acknowledgements must come through all the same.
    bench.write("x\n" * 150_000 + lines(0, 10))
    told = bench.sent(word="150010 lines acknowledged")
    if told.count("\n") > 40:
        raise Failure(f"{told.count(chr(10))} lines of complaints")
    bench.end(10, 150_000)
    return "150,000 refused lines"


def bar(bench, rng):
    bench.write(lines(0, 30_000))
    master, slave = pty.openpty()
    client = subprocess.Popen([os.path.join(bench.bindir, "rnnctl"), "send", bench.file, "--ingest-socket", bench.daemon.ingest], stdin=subprocess.DEVNULL,
                              stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    client.wait(30)
    text = seen.decode()
    if client.returncode != 0 or "\r[" not in text or "] 100 %, 30000 lines acknowledged" not in text:
        raise Failure(f"{client.returncode}: {text[-300:]!r}")
    bench.end(30_000, 0)
    return next(part for part in reversed(text.replace("\n", "\r").split("\r")) if part.startswith("["))


def nobody(bench, rng):
    bench.daemon.stop()
    bench.write(lines(0, 10))
    began = time.monotonic()
    bench.sent("--attempts-max", "3", code=1, word="gave up after 3 attempts")
    took = time.monotonic() - began
    if not 1.0 < took < 10:
        raise Failure(f"three attempts took {took:.1f} s")
    return f"gave up after {took:.1f} s"


def backup(bench, rng):
    bench.write(lines(0, 1000))
    bench.sent("--producer", "p")
    copy = os.path.join(bench.directory, "copy.db")
    rnnctl = os.path.join(bench.bindir, "rnnctl")
    subprocess.run([rnnctl, "--control-socket", bench.daemon.control, "backup", copy], check=True, capture_output=True)
    bench.write(lines(1000, 1000), "a")
    bench.sent("--producer", "p", word="2000 lines acknowledged (1000 of them before)")
    state = os.path.join(bench.directory, "state")
    refused = subprocess.run([rnnctl, "--state-dir", state, "restore", copy], capture_output=True, text=True)
    if refused.returncode != 1 or "process" not in refused.stderr:
        raise Failure(f"restore under a running daemon: {refused.returncode} {refused.stderr}")
    if bench.daemon.stop() != 0:
        raise Failure("it did not stop well")
    subprocess.run([rnnctl, "--state-dir", state, "restore", copy], check=True, capture_output=True)
    bench.start()
    # The state is that of line 1000 again, so the rest is sent again.
    bench.sent("--producer", "p", word="2000 lines acknowledged (1000 of them before)")
    bench.end(2000, 0)
    return f"restore refused meanwhile: {refused.stderr.strip()[:70]}"


CASES = [kills, pipe, files, two, flood, bar, nobody, backup]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--case", action="append")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    root = tempfile.mkdtemp(prefix="rnn-send.")
    failures = 0
    for case in CASES:
        if arguments.case and case.__name__ not in arguments.case:
            continue
        bench = Bench(os.path.abspath(arguments.bindir), root, case.__name__)
        try:
            print(f"{case.__name__:8} {case(bench, random.Random(seed))}", flush=True)
        except (Failure, subprocess.SubprocessError) as failure:
            failures += 1
            print(f"FAILED {case.__name__}: {failure}", flush=True)
        finally:
            bench.daemon.kill()
    if failures:
        sys.exit(f"{failures} cases failed (seed {seed}, kept {root})")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
