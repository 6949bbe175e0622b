#!/usr/bin/env python3
"""How long a restart takes after a kill: from the start of the program to its first answer on the ingest socket.

usage: restart.py BINDIR [--streams N] [--rounds N] [--profile P] [--limit SECONDS]

Streams report every ten seconds; the kill comes with the journal of one checkpoint interval still to be replayed.
"""
import argparse, math, os, random, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, Sender, cpu_seconds


def once(bindir, streams, rounds, profile, checkpoint):
    root = tempfile.mkdtemp(prefix="rnn-restart.")
    rng = random.Random(1)
    settings = {"streams_max": 200_000, "streams_evict": "false", "profile": profile, "checkpoint_interval": "1h", "commit_interval": "1s",
                "durability_interval": "5s", "queue_batches_max": 64}
    lines = [f"plant,unit=u{s} a={20 + math.sin(r / 9 + s):.2f} {(1_760_000_000 + r * 10) * 1_000_000_000 + s}" for r in range(rounds) for s in range(streams)]
    daemon = Daemon(bindir, root, settings=settings)
    sender = Sender(lines, random.Random(1))
    sender.rng.choice = lambda options: 5000
    if not sender.run(daemon, len(lines) * 3 // 4, time.monotonic() + 300):
        raise Failure("the first part was not stored")
    if checkpoint:
        daemon.ask("checkpoints.write")
        time.sleep(1)
    if not sender.run(daemon, len(lines), time.monotonic() + 300):
        raise Failure("the rest was not stored")
    time.sleep(0.5)
    digest = daemon.ask("digest")
    daemon.kill()
    size = sum(os.path.getsize(os.path.join(root, "state", n)) for n in os.listdir(os.path.join(root, "state")) if not n.endswith("-shm"))
    times, costs = [], []
    for _ in range(3):
        daemon = Daemon(bindir, root, settings={**settings, "log_level": "info"})
        again = Sender(lines, rng)
        again.run(daemon, 0, time.monotonic() + 60)
        times.append(again.ready)
        costs.append(cpu_seconds(daemon.process.pid))
        if daemon.ask("digest") != digest:
            raise Failure("another state after the restart")
        daemon.kill()
    shutil.rmtree(root)
    replayed = len(lines) // 4 if checkpoint else len(lines)
    print(f"{streams} streams, profile {profile}: restart in {sorted(times)[1]:.2f} s (of {', '.join(f'{t:.2f}' for t in times)}; CPU time {sorted(costs)[1]:.2f} s), {replayed} readings replayed, {size / 1e6:.0f} MB", flush=True)
    return sorted(times)[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--limit", type=float, default=2.0)
    arguments = parser.parse_args()
    try:
        slow = [once(arguments.bindir, arguments.streams, arguments.rounds, profile, True) for profile in dict.fromkeys((arguments.profile, "light"))]
    except Failure as failure:
        sys.exit(f"FAILED {failure}")
    if slow[0] > arguments.limit:
        sys.exit(f"FAILED: slower than {arguments.limit} s")


if __name__ == "__main__":
    main()
