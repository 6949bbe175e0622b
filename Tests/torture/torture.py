#!/usr/bin/env python3
"""Kills the daemon again and again and compares with a run that was never interrupted.

usage: torture.py BINDIR [--kills N] [--seed S] [--streams N] [--rounds N] [--keep]

The real daemon, real sockets, a client with acknowledgements. Each life ends with SIGKILL: at a random moment, at a named failpoint
inside a commit, a checkpoint, a truncation, a restore or a stop, or in the middle of the Nth write, sync or truncation of a file
(disk.c, preloaded), which reaches every step inside SQLite too. After each:
  - PRAGMA integrity_check is ok
  - every acknowledged line is stored, and the counters count exactly the lines that are stored
  - every step of every alert is one of the uninterrupted run, none is there twice
and at the end: same digest of all learned state (bit for bit), same alerts, same counters.
Exit 0: all held. 1: something did not; the seed and the directory are printed.
"""
import argparse, json, math, os, random, select, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, time

FAILPOINTS = [
    "commit.begin", "commit.journal", "commit.alerts", "commit.alert", "commit.totals", "commit.block", "commit.end", "commit.done", "commit.told",
    "sync.begin", "acknowledge.begin", "acknowledge.end", "truncate.begin", "truncate.end", "truncate.done", "retain.end",
    "checkpoint.snapshot", "restore.begin", "restore.end", "finish.begin", "finish.end", "log.begin", "log.end",
]

# Places that are passed only once, or only when a checkpoint is written.
RARE = ("restore", "finish", "retain", "truncate", "checkpoint", "commit.block", "log")


class Failure(Exception):
    pass


def compiled(source, directory):
    """Compiles a file beside this one, to be preloaded. Returns the library's path."""
    library = os.path.join(directory, source.replace(".c", ".so"))
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), source)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


STANDARD = ("commit_interval", "durability_interval", "checkpoint_interval", "streams_max", "streams_evict", "stale_min", "queue_batches_max",
            "log_level")


def standard_settings(bindir):
    """What the daemon does unless told otherwise, for the keys that `Daemon` sets for tests."""
    printed = subprocess.run([os.path.join(bindir, "rnn-watchd"), "--print-config"], capture_output=True, text=True, check=True).stdout
    settings = {}
    for line in printed.splitlines():
        key, _, value = line.lstrip("# ").partition(" = ")
        if key in STANDARD:
            settings[key] = value.split(" #")[0].strip().strip('"')
    return settings


def cpu_seconds(pid):
    """CPU time of a process and all its threads."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def workload(rng, streams, rounds):
    """Lines of a fleet with faults, and the rubbish that a real one brings."""
    lines = []
    start = 1_760_000_000
    dead = {}
    for r in range(rounds):
        for s in range(streams):
            if s in dead and dead[s][0] <= r < dead[s][1]:
                continue
            if r > rounds // 4 and s not in dead and rng.random() < 0.0004:
                dead[s] = (r, r + rng.randint(30, 80))
            t = (start + r * 10) * 1_000_000_000 + s
            base = 20 + 5 * math.sin(r / 60 + s) + rng.gauss(0, 0.3)
            shift = 8 if (r // 97 + s) % 11 == 0 and r > rounds // 2 else 0
            spike = 30 if r > rounds // 3 and rng.random() < 0.002 else 0
            a = round(base + shift + spike, 2)
            b = 50.0 if s % 7 == 3 and rounds // 2 < r < rounds * 3 // 4 else round(50 + rng.gauss(0, 1), 3)
            lines.append(f"plant,unit=u{s} a={a},b={b} {t}")
            if rng.random() < 0.003:
                lines.append(rng.choice(["# comment", "rubbish without fields", "plant,unit=u1 a=nan 1", lines[-1], f"plant,unit=u{s} c=1 {t}"]))
        if r % 200 == 199:
            lines.append(f"passing,unit=v{r} x=1 {(start + r * 10) * 1_000_000_000}")
    return lines


class Daemon:
    def __init__(self, bindir, directory, shards=1, failpoints="", settings=(), environment=()):
        self.directory = directory
        self.ingest = os.path.join(directory, "i")
        self.control = os.path.join(directory, "c")
        arguments = [os.path.join(bindir, "rnn-watchd"), "--state-dir", os.path.join(directory, "state"), "--ingest-socket", self.ingest,
                     "--control-socket", self.control]
        base = {"log_level": "error", "commit_interval": "5ms", "durability_interval": "20ms", "checkpoint_interval": "1s",
                "shards": shards, "streams_max": 30, "streams_evict": "true", "stale_min": "2min", "queue_batches_max": 8,
                # What waits for late readings waits by the wall clock, which no two runs share: streams would be interleaved otherwise.
                "late_max": "0s"}
        base.update(settings)
        for key, value in base.items():
            arguments += ["--set", f"{key}={value}"]
        environment = {**os.environ, **dict(environment)}
        if failpoints:
            environment["RNN_WATCHD_FAILPOINTS"] = failpoints
        self.started = time.monotonic()
        self.log = open(os.path.join(directory, "log"), "ab")
        self.process = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def alive(self):
        return self.process.poll() is None

    def connect(self, path, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.alive():
                return None
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                return s
            except OSError:
                s.close()
                time.sleep(0.005)
        raise Failure(f"nobody answers at {path}")

    def ask(self, command):
        s = self.connect(self.control)
        if s is None:
            raise Failure("the daemon died")
        with s, s.makefile("rwb") as f:
            f.write(json.dumps({"v": 1, "command": command, "arguments": {}}).encode() + b"\n")
            f.flush()
            answer = json.loads(f.readline())
        if not answer.get("ok"):
            raise Failure(f"{command}: {answer}")
        return answer["result"]

    def kill(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failure("it does not stop")
        self.log.close()
        return code


class Sender:
    """A client that resumes at the sequence the daemon names."""

    def __init__(self, lines, rng, may_forget=False):
        self.rng = rng
        self.may_forget = may_forget
        self.lines = [line.encode() + b"\n" for line in lines]
        self.acknowledged = 0
        self.ready = None

    def run(self, daemon, until_line, until_time, is_patient=False):
        """Sends lines up to `until_line` and waits for their acknowledgement. False: the daemon died or the time is over.

        `is_patient`: sends a piece only when the one before is acknowledged, so that there are many commits."""
        s = daemon.connect(daemon.ingest)
        if s is None:
            return False
        with s:
            try:
                s.sendall(b"#!producer torture\n")
                s.setblocking(False)
                rest, out, sent, greeted = b"", b"", 0, False
                while time.monotonic() < until_time:
                    readable, writable, _ = select.select([s], [s] if out else [], [], 0.02)
                    if readable:
                        data = s.recv(65536)
                        if not data:
                            return False
                        rest += data
                    elif not daemon.alive():
                        return False
                    if writable:
                        out = out[s.send(out):]
                    *whole, rest = rest.split(b"\n")
                    for line in whole:
                        if line.startswith(b"ok "):
                            sequence = int(line[3:])
                            if not greeted:
                                greeted, sent = True, sequence
                                self.ready = time.monotonic() - daemon.started
                                if self.may_forget:
                                    self.acknowledged = sequence
                                if sequence < self.acknowledged:
                                    raise Failure(f"{self.acknowledged} lines were acknowledged, {sequence} are known after the restart")
                            self.acknowledged = max(self.acknowledged, sequence)
                    if self.acknowledged >= until_line:
                        return True
                    if greeted and not out and sent < until_line and (not is_patient or self.acknowledged >= sent):
                        end = min(until_line, sent + self.rng.choice([1, 20, 100, 400]))
                        out = b"".join(self.lines[sent:end])
                        sent = end
            except (ConnectionError, BlockingIOError):
                return False
        return False


def facts(directory):
    """What the database says."""
    path = os.path.join(directory, "state", "rnn-watchd.db")
    db = sqlite3.connect(path)
    try:
        check = db.execute("PRAGMA integrity_check").fetchall()
        if check != [("ok",)]:
            raise Failure(f"integrity_check: {check[:3]}")
        totals = dict(db.execute("SELECT name, value FROM totals"))
        producers = dict(db.execute("SELECT name, sequence FROM producers"))
        events = db.execute(
            "SELECT alert_id, at, transition, score FROM alert_events e JOIN alerts a ON a.id = e.alert_id"
            " WHERE a.kind NOT IN ('limit', 'storage')").fetchall()
        alerts = db.execute(
            "SELECT id, stream, channels, kind, severity, state, opened_at, updated_at, closed_at, initial_score, peak_score, threshold,"
            " observed, expected, reason, contributions, evidence, context FROM alerts WHERE kind NOT IN ('limit', 'storage')").fetchall()
        streams = db.execute("SELECT id, key FROM streams ORDER BY id").fetchall()
        quarantine = db.execute("SELECT what, reason FROM quarantine").fetchall()
    finally:
        db.close()
    if quarantine:
        raise Failure(f"quarantine: {quarantine[:3]}")
    return totals, producers, events, alerts, streams


COUNTERS = ["lines_ignored", "readings_accepted", "values_accepted"]


def outcome(daemon, directory):
    digest = daemon.ask("digest")
    code = daemon.stop()
    if code != 0:
        raise Failure(f"stop: exit code {code}")
    totals, producers, events, alerts, streams = facts(directory)
    counters = {name: totals.get(name, 0) for name in COUNTERS}
    for name, value in totals.items():
        if (name.startswith("refused.") or name.startswith("dropped.")) and name != "dropped.resent":
            counters[name] = value
    counters["lines"] = totals["lines_received"] - totals.get("dropped.resent", 0)
    counters["fleet_clock"] = totals["fleet_clock"]
    return {"digest": digest, "alerts": sorted(alerts), "events": sorted(events, key=repr), "counters": counters, "streams": streams}


def difference(name, want, got):
    if isinstance(want, list):
        missing = [x for x in want if x not in got][:3]
        extra = [x for x in got if x not in want][:3]
        return f"{name}: {len(want)} expected, {len(got)} found; missing {missing}, not expected {extra}"
    return f"{name}: expected {want}, found {got}"


def campaign(arguments, root):
    rng = random.Random(arguments.seed)
    lines = workload(rng, arguments.streams, arguments.rounds)
    reference_dir = os.path.join(root, "reference")
    os.makedirs(reference_dir)
    daemon = Daemon(arguments.bindir, reference_dir, arguments.shards)
    sender = Sender(lines, rng)
    if not sender.run(daemon, len(lines), time.monotonic() + 600):
        raise Failure("the uninterrupted run did not end")
    want = outcome(daemon, reference_dir)
    kinds = sorted({a[3] for a in want["alerts"]})
    print(f"{len(lines)} lines, {len(want['streams'])} streams, {len(want['alerts'])} alerts of kinds {', '.join(kinds)}; digest {want['digest']}")
    if len(want["alerts"]) < 5:
        raise Failure("the workload leads to too few alerts to prove anything")
    events = set(want["events"])

    library = compiled("disk.c", root)
    directory = os.path.join(root, "killed")
    os.makedirs(directory)
    sender = Sender(lines, rng)
    kills, missed, lives, slowest = {}, {}, 0, 0.0
    step = len(lines) / arguments.kills
    while sum(kills.values()) < arguments.kills:
        lives += 1
        done = sum(kills.values())
        way = rng.random()
        failpoint = ""
        if way < 0.6:
            # The places that were hit least, so that a long campaign hits each many times.
            least = min(kills.get(name, 0) + missed.get(name, 0) for name in FAILPOINTS)
            failpoint = rng.choice([name for name in FAILPOINTS if kills.get(name, 0) + missed.get(name, 0) == least])
        hit = 1 if failpoint.startswith(RARE + ("commit.alert",)) else rng.randint(1, 4)
        is_patient = failpoint.startswith(("commit", "sync", "acknowledge")) or rng.random() < 0.3
        environment = {}
        if 0.6 <= way < 0.8:
            # A start alone is about a dozen operations, a short life some hundreds.
            environment = {"LD_PRELOAD": library, "RNN_DISK_DIR": os.path.join(directory, "state"), "RNN_DISK_KILL": str(int(3 ** rng.uniform(0, 6)))}
        stops = failpoint.startswith("finish") or rng.random() < 0.05
        shards = rng.choice([1, 2, 3]) if arguments.reshard and rng.random() < 0.3 else arguments.shards
        orders = f"{failpoint}=kill@{hit}" + (",log.early=error@1+1000000" if failpoint.startswith("log") else "") if failpoint else ""
        daemon = Daemon(arguments.bindir, directory, shards, orders, environment=environment)
        goal = min(len(lines), int(step * (done + 1)) + rng.randint(1, 500))
        span = 2.0 if failpoint or environment else rng.uniform(0.05, 0.6)
        is_sent = sender.run(daemon, goal, time.monotonic() + span, is_patient)
        if sender.ready:
            slowest = max(slowest, sender.ready)
        if stops and daemon.alive():
            daemon.process.send_signal(signal.SIGTERM)
            time.sleep(rng.uniform(0, 0.05))
            if failpoint.startswith("finish"):
                try:
                    daemon.process.wait(30)
                except subprocess.TimeoutExpired:
                    raise Failure("it does not stop")
        elif failpoint or environment:
            # A process that dies closes its sockets before it is gone; one that lives may still come to its place.
            if is_sent and failpoint.startswith(RARE) and daemon.alive():
                daemon.process.send_signal(signal.SIGUSR1)
            try:
                daemon.process.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
        has_died = not daemon.alive() and daemon.process.returncode == -signal.SIGKILL
        name = (failpoint or "inside an operation of the disk") if has_died else "random moment"
        if not daemon.alive() and daemon.process.returncode not in (0, -signal.SIGKILL):
            raise Failure(f"life {lives}: it ended by itself with {daemon.process.returncode}")
        was_killed = daemon.alive() or daemon.process.returncode == -signal.SIGKILL
        daemon.kill()
        if not was_killed:
            continue
        kills[name] = kills.get(name, 0) + 1
        if failpoint and name != failpoint:
            missed[failpoint] = missed.get(failpoint, 0) + 1
        if not os.path.exists(os.path.join(directory, "state", "rnn-watchd.db")):
            if sender.acknowledged:
                raise Failure("the database is gone")
            continue
        totals, producers, found, _, _ = facts(directory)
        stored = producers.get("torture", 0)
        if stored < sender.acknowledged:
            raise Failure(f"life {lives} ({name}): {sender.acknowledged} lines acknowledged, {stored} stored")
        counted = totals.get("lines_received", 0) - totals.get("dropped.resent", 0)
        if counted != stored:
            raise Failure(f"life {lives} ({name}): {stored} lines stored, {counted} counted")
        if len(found) != len(set(found)):
            raise Failure(f"life {lives} ({name}): a step of an alert is there twice")
        invented = [e for e in found if e not in events]
        if invented:
            raise Failure(f"life {lives} ({name}): invented {invented[:2]}")
        if arguments.verbose:
            print(f"life {lives}: {name}, {stored} lines stored", flush=True)
    daemon = Daemon(arguments.bindir, directory, arguments.shards)
    if not sender.run(daemon, len(lines), time.monotonic() + 600):
        raise Failure("the last life did not end")
    got = outcome(daemon, directory)
    for name in want:
        if want[name] != got[name]:
            raise Failure(difference(name, want[name], got[name]))
    total = sum(kills.values())
    print(f"{total} kills in {lives} lives, slowest restart {slowest:.2f} s: nothing acknowledged is lost, nothing happened twice")
    never = [name for name in FAILPOINTS if name not in kills]
    if never and arguments.kills >= 10 * len(FAILPOINTS):
        raise Failure(f"the campaign never killed at {', '.join(never)}: it proves nothing about them")
    print("killed at: " + ", ".join(f"{name} {count}" for name, count in sorted(kills.items())))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--streams", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=700)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--reshard", action="store_true", help="restart with other numbers of shards")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {arguments.seed}, {arguments.shards} shards", flush=True)
    root = tempfile.mkdtemp(prefix="rnn-torture.")
    try:
        campaign(arguments, root)
    except Failure as failure:
        print(f"FAILED (seed {arguments.seed}, kept {root}): {failure}", file=sys.stderr)
        for name in ("reference", "killed"):
            path = os.path.join(root, name, "log")
            if os.path.exists(path):
                tail = open(path, "rb").read()[-600:].decode(errors="replace")
                if tail:
                    print(f"-- {name} log\n{tail}", file=sys.stderr)
        sys.exit(1)
    if not arguments.keep:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
