#!/usr/bin/env python3
"""Readings a second through the socket with the journal against without, per durability level.

usage: throughput.py BINDIR [--lines N] [--streams N] [--rounds R]

The reference is the same program with the failpoint journal.skip armed: readings are judged, alerts and counters are stored, no
reading is written down. Rounds are interleaved, with standard settings; the clock runs from the first line until all are taken and
the queue is empty. Medians of the ratio within a round, and of CPU time, which other programs on the machine disturb less.
"""
import argparse, math, os, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, cpu_seconds, standard_settings

CASES = ["without journal", "none", "interval", "always"]


def once(bindir, case, known, load, count):
    """(readings a second, CPU seconds)"""
    root = tempfile.mkdtemp(prefix="rnn-throughput.")
    has_journal = case in ("none", "interval", "always")
    settings = {**standard_settings(bindir), "log_level": "error", "durability": case if has_journal else "none"}
    daemon = Daemon(bindir, root, settings=settings, failpoints="" if has_journal else "journal.skip=error@1+1000000000")
    s = daemon.connect(daemon.ingest)

    def wait(lines):
        while True:
            now = daemon.ask("status")
            if now["lines_received"] >= lines and now["queue_fill"] == 0:
                return
            time.sleep(0.02)
    s.sendall(known)
    wait(count[0])
    begin, used = time.monotonic(), cpu_seconds(daemon.process.pid)
    s.sendall(load)
    s.close()
    wait(count[0] + count[1])
    took, used = time.monotonic() - begin, cpu_seconds(daemon.process.pid) - used
    daemon.kill()
    shutil.rmtree(root)
    return count[1] / took, used


def median(numbers):
    return sorted(numbers)[len(numbers) // 2]


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
    results = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for case in CASES:
            results[case].append(once(arguments.bindir, case, known, load, count))
    print(f"{arguments.streams} streams, {count[1]} lines, {arguments.rounds} interleaved rounds")
    for case in CASES:
        shares = [one[0] / reference[0] for one, reference in zip(results[case], results[CASES[0]])]
        costs = [reference[1] / one[1] for one, reference in zip(results[case], results[CASES[0]])]
        rates = sorted(rate for rate, _ in results[case])
        print(f"{case:16} {median(rates):10.0f} readings/s ({rates[0]:.0f} to {rates[-1]:.0f}), {median(shares):.2f} of without; "
              f"{median([c for _, c in results[case]]) / count[1] * 1e6:.2f} us of CPU a reading, {median(costs):.2f} of without", flush=True)


if __name__ == "__main__":
    main()
