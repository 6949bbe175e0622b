#!/usr/bin/env python3
"""Clocks that step, a machine that sleeps, a daemon that was off for a week: nothing is lost and no flood of alerts follows.

usage: clock.py BINDIR [--hour H]

The daemon runs with clock.c preloaded, so its wall clock and its suspended time are this script's. A fleet of twenty streams that
is well reports once a second of its own time, faster than real.
  host clock     readings without timestamps while the wall clock goes an hour ahead, two hours back, a year ahead and home
  device clock   readings with timestamps of their own while the daemon's clock is a day late, and a device whose clock is wrong
  suspend        eight hours pass while the process is stopped
  a week off     the daemon is stopped, a week passes, it starts again; then one stream does not come back
In each: every line has its counter, no stream is called silent for what all had together, and what is silent alone is told once.
"""
import argparse, math, os, random, shutil, signal, sqlite3, struct, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, compiled, facts

STREAMS = 20
# The hour is the same in every run (--hour): what young streams make of a clock that jumps depends on it.
START = 1768435200  # 2026-01-15, midnight UTC


class Fleet:
    def __init__(self, bindir, root, library, hour):
        self.bindir, self.root = bindir, root
        self.base = START + 3600 * hour - int(time.time())
        self.clock = os.path.join(root, "clock")
        self.environment = {"LD_PRELOAD": library, "RNN_CLOCK_FILE": self.clock}
        self.random = random.Random(1)
        self.sent = 0
        self.count = 0
        # Alerts told before the present step, but for silence.
        self.others = 0
        self.set(0)
        self.start()

    def start(self):
        # stale_min as short as it gets, so that any silence that is believed is told.
        self.daemon = Daemon(self.bindir, self.root, settings={"stale_min": "5s", "streams_max": 100, "streams_evict": "false", "retention_alerts": "90d"},
                             environment=self.environment)
        self.socket = self.daemon.connect(self.daemon.ingest)

    def set(self, seconds, slept=0):
        """The daemon's wall clock, in seconds from this run's true time; `slept`: suspended time."""
        mode = "r+b" if os.path.exists(self.clock) else "wb"
        with open(self.clock, mode) as f:
            f.write(struct.pack("<qq", self.base + seconds, slept))
        self.offset = self.base + seconds

    def wall(self):
        return time.time() + self.offset

    def report(self, stamp=None, streams=range(STREAMS)):
        """One reading of each stream; `stamp` in seconds, None for a reading without."""
        lines = []
        for s in streams:
            value = 20 + 3 * math.sin(self.count / 40 + s) + self.random.gauss(0, 0.2)
            lines.append(f"fleet,unit=u{s} a={value:.3f}" + ("\n" if stamp is None else f" {int(stamp * 1e9) + s}\n"))
        self.count += 1
        self.sent += len(lines)
        self.socket.sendall("".join(lines).encode())

    def status(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            now = self.daemon.ask("status")
            if now["lines_received"] >= self.sent:
                return now
            time.sleep(0.02)
        raise Failure(f"{self.sent} lines sent, {now['lines_received']} received")

    def expect(self, what, dropped={}, stale=0):
        now = self.status()
        time.sleep(0.4)
        accepted = self.sent - sum(dropped.values())
        got = {k: v for k, v in now["readings_dropped"].items() if v}
        if now["lines_received"] != self.sent or now["readings_accepted"] != accepted or got != dropped:
            raise Failure(f"{what}: {self.sent} sent, {now['lines_received']} received, {now['readings_accepted']} accepted, dropped {got}, expected {dropped}")
        db = sqlite3.connect(os.path.join(self.root, "state", "rnn-watchd.db"))
        kinds = dict(db.execute("SELECT kind, count(*) FROM alerts GROUP BY kind"))
        db.close()
        if kinds.get("stale", 0) != stale:
            raise Failure(f"{what}: {kinds.get('stale', 0)} streams were called silent, expected {stale}")
        # Who loses more than a tenth of its readings is told so, each stream once; where nothing is dropped there is nothing to tell.
        if kinds.get("input", 0) > (STREAMS if dropped else 0):
            raise Failure(f"{what}: {kinds.get('input', 0)} alerts about input, {dropped} dropped")
        others = sum(kinds.values()) - kinds.get("stale", 0) - kinds.get("input", 0)
        # A flood is many streams at once. Single ones come by chance: up to 8 in 10,000 readings of young streams (docs/DETECTION.md).
        if others - self.others > STREAMS // 5 or others > max(3, accepted / 1000):
            raise Failure(f"{what}: alerts {kinds}, {others - self.others} of them new")
        self.others = others
        print(f"{what:46} {accepted} of {self.sent} accepted, dropped {got}, alerts {kinds}", flush=True)

    def newest(self):
        """The newest time of each stream, in seconds, as the daemon tells it."""
        return [row["last_reading_at"] for row in self.daemon.ask("streams.list")["rows"]]

    def stop(self):
        self.socket.close()
        if self.daemon.stop() != 0:
            raise Failure("it did not stop well")
        facts(self.root)


def host_clock(fleet):
    for _ in range(200):
        fleet.report()
        time.sleep(0.005)
    fleet.expect("host clock, steady")
    for offset, name in ((3600, "an hour ahead"), (-7200, "two hours back"), (366 * 86400, "a year ahead"), (0, "home")):
        fleet.set(offset)
        for _ in range(100):
            fleet.report()
            time.sleep(0.005)
        fleet.expect(f"host clock, {name}")
    # What was dated ahead by a wrong clock does not hold a stream back once the clock is right.
    ahead = [t for t in fleet.newest() if not t.startswith(time.strftime("%Y", time.gmtime(fleet.wall())))]
    if ahead:
        raise Failure(f"host clock: streams still live in {ahead[:2]}")


def device_clock(fleet):
    dropped = {}
    begin = fleet.wall() - 4000
    for second in range(300):
        fleet.report(begin + second)
    fleet.expect("device clock, steady")
    # The daemon's clock is a day late: everything seems to come from the future. It is dropped, counted, and moves nothing.
    before = fleet.newest()
    fleet.set(-86400)
    for second in range(300, 400):
        fleet.report(begin + second)
    dropped["future"] = 100 * STREAMS
    fleet.expect("device clock, daemon a day late", dropped)
    if fleet.newest() != before:
        raise Failure("a reading from the future moved a stream's clock")
    fleet.set(0)
    for second in range(400, 600):
        fleet.report(begin + second)
    fleet.expect("device clock, daemon right again", dropped)
    # One device is ten years ahead, then right again: only its wrong readings are dropped.
    fleet.report(begin + 600, range(1, STREAMS))
    fleet.report(begin + 10 * 366 * 86400, [0])
    dropped["future"] += 1
    for second in range(601, 700):
        fleet.report(begin + second)
    fleet.expect("device clock, one device ten years ahead", dropped)
    # Another goes back by ten minutes: late readings are dropped until it has caught up.
    for second in range(700, 730):
        fleet.report(begin + second, range(1, STREAMS))
        fleet.report(begin + second - 600, [0])
    dropped["out_of_order"] = 30
    for second in range(730, 800):
        fleet.report(begin + second)
    # It was silent on its own for thirty of its intervals: that is told, once.
    fleet.expect("device clock, one device ten minutes late", dropped, stale=1)
    return begin + 800, dropped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--hour", type=int, default=10)
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="rnn-clock.")
    library = compiled("clock.c", root)
    try:
        os.makedirs(os.path.join(root, "host"))
        fleet = Fleet(arguments.bindir, os.path.join(root, "host"), library, arguments.hour)
        host_clock(fleet)
        fleet.stop()
        os.makedirs(os.path.join(root, "device"))
        fleet = Fleet(arguments.bindir, os.path.join(root, "device"), library, arguments.hour)
        at, dropped = device_clock(fleet)
        # Suspended for eight hours.
        fleet.daemon.process.send_signal(signal.SIGSTOP)
        fleet.set(8 * 3600, 8 * 3600)
        fleet.daemon.process.send_signal(signal.SIGCONT)
        at += 8 * 3600
        for second in range(200):
            fleet.report(at + second)
        fleet.expect("suspended for eight hours", dropped, stale=1)
        # Off for a week; alerts of before are neither told again nor deleted.
        fleet.stop()
        fleet.set(8 * 3600 + 7 * 86400, 8 * 3600)
        fleet.start()
        at += 7 * 86400
        for second in range(200):
            fleet.report(at + second)
        fleet.expect("off for a week", dropped, stale=1)
        # Off for another week, and one stream does not come back: that is told, once.
        fleet.stop()
        fleet.set(8 * 3600 + 14 * 86400, 8 * 3600)
        fleet.start()
        at += 7 * 86400
        for second in range(200):
            fleet.report(at + second, range(STREAMS - 1))
        fleet.expect("off for a week, one does not come back", dropped, stale=2)
        fleet.stop()
    except Failure as failure:
        print(f"FAILED {failure} (kept {root})", file=sys.stderr)
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
