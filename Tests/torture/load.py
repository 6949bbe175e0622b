#!/usr/bin/env python3
"""Millions of lines through the socket: every one counted under its own heading, memory flat.

usage: load.py BINDIR [--lines N] [--streams N] [--clients N] [--set KEY=VALUE]...

Several clients send line protocol as fast as it is taken, with standard settings. Among the readings are comments, lines that cannot
be parsed, duplicates, late and future readings, one in a hundred each; the script knows how many of each kind it sent. At the end
`rnnctl status` must say exactly that: received = accepted + refused + dropped + ignored, and each number by its reason. Then SIGTERM,
and the stored counters must be the same. Resident memory is sampled every second: after a fifth of the lines it may grow by a tenth
(and 16 MB) and no more.
"""
import argparse, json, os, shutil, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, cpu_seconds, standard_settings

SECOND = 1_000_000_000
# Kind of line, one in how many, where it is counted.
EXTRA = ["ignored", "refused", "duplicate", "out_of_order", "future"]


def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def send(daemon, first, streams, rounds, begin, sent):
    """Rounds of one line per stream; every hundredth line is followed by one of the extra kinds in turn."""
    s = daemon.connect(daemon.ingest)
    values = [f"{20 + (n * 7919) % 1000 / 100:.2f} " for n in range(1009)]
    names = [f"plant,unit=u{n} a=" for n in range(first, first + streams)]
    counts = dict.fromkeys(["accepted"] + EXTRA, 0)
    turn = 0
    with s:
        for r in range(rounds):
            stamp = f"{begin + r * 10 * SECOND}\n"
            lines = [name + values[(r * 31 + n * 17) % 1009] + stamp for n, name in enumerate(names)]
            counts["accepted"] += streams
            for at in range(streams - 1, -1, -100):
                kind = EXTRA[turn % len(EXTRA)]
                turn += 1
                # The round's own line stands before it; what is late needs a round before.
                if kind == "out_of_order" and r == 0:
                    kind = "duplicate"
                counts[kind] += 1
                extra = {
                    "ignored": "# a comment\n",
                    "refused": names[at] + "1,b= 5\n",
                    "duplicate": lines[at],
                    "out_of_order": names[at] + f"1 {begin + (r * 10 - 5) * SECOND}\n",
                    "future": names[at] + f"1 {int(time.time() + 400 * 86400) * SECOND}\n",
                }[kind]
                lines.insert(at + 1, extra)
            s.sendall("".join(lines).encode())
    sent.append(counts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="rnn-load.")
    settings = {**standard_settings(arguments.bindir), **dict(s.split("=", 1) for s in arguments.set)}
    daemon = Daemon(arguments.bindir, root, settings=settings)
    share = arguments.streams // arguments.clients
    rounds = arguments.lines // arguments.streams
    begin = int(time.time() - rounds * 10 - 60) * SECOND
    sent, began = [], time.monotonic()
    # The daemon must be there before the clients' clocks matter.
    daemon.connect(daemon.ingest).close()
    clients = [threading.Thread(target=send, args=(daemon, c * share, share, rounds, begin, sent)) for c in range(arguments.clients)]
    for client in clients:
        client.start()
    total = None
    samples, failures = [], []

    def status():
        done = subprocess.run([os.path.join(arguments.bindir, "rnnctl"), "--control-socket", daemon.control, "status", "--format", "json"],
                              capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    expected = share * arguments.clients * rounds
    told = 0.0
    while True:
        time.sleep(1)
        if not daemon.alive():
            sys.exit(f"FAILED: the daemon ended with {daemon.process.returncode} (kept {root})")
        now = status()
        if now is None:
            continue
        samples.append((now["readings_accepted"] / expected, resident(daemon.process.pid)))
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"{told - began:6.0f} s: {now['lines_received']} lines, {samples[-1][1]:.1f} MB resident, queue {now['queue_fill']}", flush=True)
        if len(sent) == arguments.clients:
            total = {kind: sum(counts[kind] for counts in sent) for kind in sent[0]}
            if now["lines_received"] >= sum(total.values()):
                break
    took = time.monotonic() - began
    now = status()

    def compare(now, when):
        refused, dropped = now["lines_refused"], {k: v for k, v in now["readings_dropped"].items() if v}
        if now["lines_received"] != sum(total.values()):
            failures.append(f"{when}: {sum(total.values())} lines sent, {now['lines_received']} received")
        if now["readings_accepted"] != total["accepted"]:
            failures.append(f"{when}: {total['accepted']} readings sent, {now['readings_accepted']} accepted")
        if sum(refused.values()) != total["refused"]:
            failures.append(f"{when}: {total['refused']} bad lines sent, refused {refused}")
        want = {kind: total[kind] for kind in ("duplicate", "out_of_order", "future") if total[kind]}
        if dropped != want:
            failures.append(f"{when}: dropped {dropped}, expected {want}")
        if now["lines_ignored"] != total["ignored"]:
            failures.append(f"{when}: {total['ignored']} comments sent, {now['lines_ignored']} ignored")
        parts = now["readings_accepted"] + sum(refused.values()) + sum(dropped.values()) + now["lines_ignored"]
        if parts != now["lines_received"]:
            failures.append(f"{when}: the parts make {parts}, received {now['lines_received']}")
    compare(now, "while it runs")
    cpu = cpu_seconds(daemon.process.pid)
    if daemon.stop() != 0:
        failures.append("it did not stop well")
    stored = subprocess.run([os.path.join(arguments.bindir, "rnnctl"), "--state-dir", os.path.join(root, "state"), "status", "--format", "json"],
                            capture_output=True, text=True)
    compare(json.loads(stored.stdout), "after SIGTERM")
    base = next(mb for share, mb in samples if share >= 0.2)
    peak = max(mb for share, mb in samples if share >= 0.2)
    # Explaining an alert and writing a checkpoint take up to 16 MB for a moment.
    if peak > base * 1.1 + 16:
        failures.append(f"memory {base:.1f} MB after a fifth, {peak:.1f} MB at most")
    print(f"{now['lines_received']} lines of {share * arguments.clients} streams from {arguments.clients} clients in {took:.0f} s "
          f"({now['lines_received'] / took:.0f} a second, {now['lines_received'] / cpu:.0f} a second of the daemon's CPU time): {total}")
    print(f"resident {base:.1f} MB after a fifth, {peak:.1f} MB at most, {samples[-1][1]:.1f} MB at the end; database "
          f"{now['database_bytes'] / 1e6:.0f} MB, {now['alerts_total']} alerts")
    if failures:
        sys.exit("FAILED: " + "; ".join(failures) + f" (kept {root})")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
