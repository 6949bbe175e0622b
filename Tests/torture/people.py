#!/usr/bin/env python3
"""Kills the daemon while people act, and compares with a run that was never interrupted.

usage: people.py BINDIR [--kills N] [--seed S] [--rounds N] [--keep]

A fleet with faults is sent in pieces. Between the pieces people act, the same in both runs: acknowledge, close, comment, give feedback,
silence without learning, forget, rename, reset. One run is killed (SIGKILL) at random moments while lines come and while acts are under way; an act
that was not answered is done again. At the end: the same digest of all learned state, the same alerts with the same attention, comment, close
reason and feedback, the same silences, no step of the detector twice, and a follower that noted every step over all lives missed none and
heard none twice.
Exit 0: all held. 1: something did not; the seed and the directory are printed.
"""
import argparse, json, os, random, shutil, signal, socket, sqlite3, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, Sender, difference, workload

COLUMNS = ("id, stream, kind, severity, state, opened_at, updated_at, closed_at, peak_score, attention, acked_by, comment, close_reason, feedback,"
           " feedback_by, ack_end")


def ask(daemon, command, **arguments):
    s = daemon.connect(daemon.control)
    if s is None:
        return None
    try:
        with s, s.makefile("rwb") as f:
            f.write(json.dumps({"v": 1, "command": command, "arguments": arguments}).encode() + b"\n")
            f.flush()
            line = f.readline()
    except OSError:
        return None
    if not line:
        return None
    answer = json.loads(line)
    if not answer.get("ok"):
        raise Failure(f"{command} {arguments}: {answer}")
    return answer["result"]


class Follower:
    """Notes every step by its number, over all lives of the daemon."""

    def __init__(self):
        self.cursor, self.steps = 0, []

    def look(self, daemon):
        while True:
            answer = ask(daemon, "alerts.follow", after=self.cursor, limit=200)
            if answer is None:
                return
            for step in answer["steps"]:
                if step["step"] <= self.cursor:
                    raise Failure(f"step {step['step']} came after {self.cursor}")
                self.cursor = step["step"]
                self.steps.append((step["step"], step["id"], step["transition"]))
            if not answer["steps"]:
                return


def acts(piece, streams):
    """What people do after a piece, as functions of the open alerts at that moment: deterministic, as both runs have the same ones."""
    def on_open(command, **more):
        def act(daemon):
            rows = ask(daemon, "alerts.query", state="open")
            if rows is None:
                return None
            ids = sorted(r["id"] for r in rows["rows"] if r["kind"] in ("anomaly", "stale", "stuck"))
            if not ids:
                return True
            return ask(daemon, command, ids=[ids[piece % len(ids)]], by="ada", **more)
        return act

    def on_closed(verdict):
        def act(daemon):
            rows = ask(daemon, "alerts.query", kind="anomaly")
            if rows is None:
                return None
            ids = sorted(r["id"] for r in rows["rows"])
            return ask(daemon, "alerts.feedback", ids=[ids[piece % len(ids)]], verdict=verdict, by="bob", text=f"piece {piece}") if ids else True
        return act

    def stream(command, key, **more):
        def act(daemon):
            rows = ask(daemon, "streams.list", stream=key)
            if rows is None:
                return None
            return ask(daemon, command, stream=key, **more) if rows["rows"] else True
        return act

    def silence(daemon):
        rows = ask(daemon, "silence.list")
        if rows is None:
            return None
        if any(r["comment"] == f"piece {piece}" for r in rows["rows"]):
            return True
        return ask(daemon, "silence.add", streams=[f"*unit=u{piece % streams}"], learn=False, text=f"piece {piece}", **{"for": 3_600_000_000_000})

    def unsilence(daemon):
        rows = ask(daemon, "silence.list")
        if rows is None:
            return None
        ids = [r["id"] for r in rows["rows"]]
        return ask(daemon, "silence.end", ids=ids) if ids else True

    menu = [
        [on_open("alerts.ack", text="on it")], [on_closed("false")], [on_open("alerts.close")], [on_open("alerts.comment", text=f"piece {piece}")],
        [silence], [on_closed("expected")], [unsilence], [stream("streams.rename", f"plant,unit=u{piece % streams}", to=f"plant,unit=n{piece}")],
        [stream("streams.reset", f"plant,unit=u{(piece + 1) % streams}")], [on_open("alerts.ack", text="again")], [on_closed("true")],
        [stream("streams.forget", f"plant,unit=n{piece - 4}")],
    ]
    return menu[piece % len(menu)]


def outcome(daemon, directory, follower):
    ask(daemon, "silence.list")
    digest = daemon.ask("digest")
    follower.look(daemon)
    code = daemon.stop()
    if code != 0:
        raise Failure(f"stop: exit code {code}")
    db = sqlite3.connect(os.path.join(directory, "state", "rnn-watchd.db"))
    if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        raise Failure("integrity_check")
    alerts = sorted(db.execute(f"SELECT {COLUMNS} FROM alerts WHERE kind NOT IN ('limit', 'storage')"), key=repr)
    steps = db.execute("SELECT e.number, alert_id, transition FROM alert_events e ORDER BY e.number").fetchall()
    own = sorted(db.execute("SELECT alert_id, at, transition, severity FROM alert_events WHERE seq IS NOT NULL").fetchall(), key=repr)
    silences = sorted(db.execute("SELECT scope, form, learns, comment, ended_at IS NOT NULL FROM silences").fetchall(), key=repr)
    streams = db.execute("SELECT id, key FROM streams ORDER BY id").fetchall()
    db.close()
    if len(set(own)) != len(own):
        raise Failure("a step of the detector is there twice")
    if steps != follower.steps:
        raise Failure(difference("steps that the follower heard", steps, follower.steps))
    return {"digest": digest, "streams": streams, "alerts": alerts, "steps of the detector": own, "silences": silences}


def run(arguments, lines, directory, rng, kills):
    """One run; `kills` of them spread over it. Returns what came of it and how many kills there were."""
    os.makedirs(directory)
    follower, sender = Follower(), Sender(lines, random.Random(1))
    pieces = arguments.pieces
    killed = 0
    settings = {"streams_evict": "false", "streams_max": "1000", "alert_close_after": "5min"}
    daemon = Daemon(arguments.bindir, directory, arguments.shards, settings=settings)

    def until_done(work):
        """Does `work` until it is done; the daemon may be killed meanwhile."""
        nonlocal daemon, killed
        while True:
            timer = None
            if killed < kills and rng.random() < arguments.odds:
                timer = threading.Timer(rng.uniform(0, 0.25), lambda d=daemon: d.process.send_signal(signal.SIGKILL) if d.alive() else None)
                timer.start()
            done = work(daemon)
            if timer:
                timer.join()
            if not daemon.alive():
                if daemon.process.returncode != -signal.SIGKILL:
                    raise Failure(f"it ended by itself with {daemon.process.returncode}")
                daemon.kill()
                killed += 1
                daemon = Daemon(arguments.bindir, directory, arguments.shards, settings=settings)
            if done:
                return

    for piece in range(pieces):
        goal = len(lines) * (piece + 1) // pieces
        until_done(lambda d: sender.run(d, goal, time.monotonic() + 60, True))
        for act in acts(piece, arguments.streams):
            until_done(lambda d: act(d) is not None)
        if rng.random() < 0.5:
            follower.look(daemon)
    return outcome(daemon, directory, follower), killed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--streams", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--pieces", type=int, default=72)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--odds", type=float, default=0.6)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="rnn-people-")
    started = time.monotonic()
    try:
        raw = workload(random.Random(arguments.seed), arguments.streams, arguments.rounds)
        want, _ = run(arguments, raw, os.path.join(root, "reference"), random.Random(0), 0)
        feedback = sum(1 for a in want["alerts"] if a[13])
        acked = sum(1 for a in want["alerts"] if a[10])
        by_hand = sum(1 for a in want["alerts"] if a[12] == "by_hand")
        print(f"{len(raw)} lines, {len(want['alerts'])} alerts, {acked} acknowledged, {by_hand} closed by hand, {feedback} with feedback,"
              f" {len(want['silences'])} silences; digest {want['digest']}")
        if min(len(want["alerts"]) - 4, acked, by_hand, feedback, len(want["silences"])) < 1:
            raise Failure("the workload proves nothing: some act had no alert to be about")
        got, killed = run(arguments, raw, os.path.join(root, "killed"), random.Random(arguments.seed), arguments.kills)
        for name, value in want.items():
            if got[name] != value:
                raise Failure(difference(name, value, got[name]))
        print(f"{killed} kills: same state bit for bit, same alerts, acts and silences, no step missed or heard twice;"
              f" {time.monotonic() - started:.0f} s, seed {arguments.seed}")
    except Failure as failure:
        print(f"FAILED: {failure}\nseed {arguments.seed}, directory {root}", file=sys.stderr)
        return 1
    if not arguments.keep:
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
