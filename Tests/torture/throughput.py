#!/usr/bin/env python3
"""Readings a second through the socket with the journal, per durability level, against a state directory in memory.

usage: throughput.py BINDIR [--lines N] [--streams N] [--rounds R]

The reference is the same program with durability = "none" and commits of a minute, so that it stores next to nothing while the
clock runs. Rounds are interleaved; the clock runs from the first line to the last reading judged. Medians.
"""
import argparse, math, os, random, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon

CASES = [
    ("without journal", {"durability": "none", "commit_interval": "60s", "checkpoint_interval": "1d"}),
    ("none", {"durability": "none"}),
    ("interval", {"durability": "interval"}),
    ("always", {"durability": "always"}),
]


def once(bindir, settings, known, load, count):
    root = tempfile.mkdtemp(prefix="rnn-throughput.")
    base = {"commit_interval": "1s", "durability_interval": "5s", "checkpoint_interval": "10min", "streams_max": 200_000, "streams_evict": "false",
            "queue_batches_max": 64}
    daemon = Daemon(bindir, root, settings={**base, **settings})
    s = daemon.connect(daemon.ingest)
    s.sendall(known)
    while daemon.ask("status")["lines_received"] < count[0]:
        time.sleep(0.01)
    begin = time.monotonic()
    s.sendall(load)
    s.close()
    while daemon.ask("status")["lines_received"] < count[0] + count[1]:
        time.sleep(0.01)
    took = time.monotonic() - begin
    daemon.kill()
    shutil.rmtree(root)
    return count[1] / took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--lines", type=int, default=1_500_000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    def lines(first, rounds):
        return "".join(f"plant,unit=u{s} a={20 + math.sin(r / 50 + s) + (r * 7919 + s * 104729) % 100 / 100:.2f} {(1_760_000_000 + r * 10) * 1_000_000_000}\n"
                       for r in range(first, first + rounds) for s in range(arguments.streams)).encode()
    rounds = arguments.lines // arguments.streams
    known, load = lines(0, 3), lines(3, rounds)
    count = (3 * arguments.streams, rounds * arguments.streams)
    results = {name: [] for name, _ in CASES}
    for _ in range(arguments.rounds):
        for name, settings in CASES:
            results[name].append(once(arguments.bindir, settings, known, load, count))
    reference = sorted(results[CASES[0][0]])[arguments.rounds // 2]
    print(f"{arguments.streams} streams, {count[1]} lines, {arguments.rounds} interleaved rounds")
    for name, _ in CASES:
        rates = sorted(results[name])
        print(f"{name:16} {rates[len(rates) // 2]:10.0f} readings/s ({rates[0]:.0f} to {rates[-1]:.0f}), {rates[len(rates) // 2] / reference:.2f} of without")


if __name__ == "__main__":
    main()
