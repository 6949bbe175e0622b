#!/usr/bin/env python3
"""The damage table: where a stored byte is hit, and what the next start and `rnnctl check` must say and do about it.

usage: damage.py BINDIR [--seed S] [--flips N]

Each row damages a copy of one state directory (a daemon that was killed: database, log, two checkpoint generations, journal).
Expected is one of
  whole      the state is bit for bit that of the undamaged copy (the older generation and the journal make up for it)
  reported   the daemon starts, what was lost is named in the log and kept in quarantine, no alert disappears
  refused    the daemon does not start, says why, and leaves the files as they are
In no row does a program die of a signal or hang, and a second start after "reported" finds nothing more to report.
"""
import argparse, os, random, shutil, signal, sqlite3, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, Sender, workload

DB = "rnn-watchd.db"


def run(arguments, seconds=60):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    if done.returncode < 0:
        raise Failure(f"{os.path.basename(arguments[0])} died of signal {-done.returncode}: {done.stderr[-400:]}")
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def sql(directory, *statements, checkpoint=True):
    db = sqlite3.connect(os.path.join(directory, "state", DB))
    db.create_function("flip", 1, lambda b: b[:len(b) // 2] + bytes([b[len(b) // 2] ^ 0x5A]) + b[len(b) // 2 + 1:])
    for statement in statements:
        db.execute(statement)
    db.commit()
    if checkpoint:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows = db.execute("SELECT count(*) FROM alerts").fetchone()[0], db.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    db.close()
    return rows


def patch(directory, name, at, content):
    path = os.path.join(directory, "state", name)
    with open(path, "r+b") as f:
        f.seek(at if at >= 0 else max(0, os.path.getsize(path) + at))
        f.write(content)


def cut(directory, name, share):
    path = os.path.join(directory, "state", name)
    os.truncate(path, int(os.path.getsize(path) * share))


def flip(column, table, where):
    """Flips a byte in the middle of a blob."""
    return (f"UPDATE {table} SET {column} = flip({column}) WHERE {where}",)


NEWEST = "block = 0 AND seq = (SELECT max(seq) FROM checkpoints WHERE block = 0)"
OLDEST = "block = 0 AND seq = (SELECT min(seq) FROM checkpoints WHERE block = 0)"
MIDDLE = "seq = (SELECT seq FROM journal ORDER BY seq LIMIT 1 OFFSET (SELECT count(*) / 2 FROM journal))"

# name, what is done, expected, what the log (reported) or the error (refused) must name; True: only a check reads it
TABLE = [
    ("nothing", lambda d: None, "whole", ""),
    ("newest checkpoint, payload flipped", lambda d: sql(d, *flip("payload", "checkpoints", NEWEST)), "whole", "checkpoint of block 0"),
    ("newest checkpoint, payload cut", lambda d: sql(d, f"UPDATE checkpoints SET payload = CAST(substr(payload, 1, 100) AS BLOB) WHERE {NEWEST}"), "whole", "checkpoint of block 0"),
    ("newest checkpoint, its number changed", lambda d: sql(d, f"UPDATE checkpoints SET seq = seq + 1 WHERE {NEWEST}"), "whole", "checkpoint of block 0"),
    ("newest checkpoint, row gone", lambda d: sql(d, f"DELETE FROM checkpoints WHERE {NEWEST}"), "whole", ""),
    ("older checkpoint, payload flipped", lambda d: sql(d, *flip("payload", "checkpoints", OLDEST)), "whole", "checkpoint of block 0", True),
    ("both checkpoints of a block flipped", lambda d: sql(d, *flip("payload", "checkpoints", "block = 0")), "reported", "checkpoint of block 0"),
    ("both checkpoints of a block emptied", lambda d: sql(d, "UPDATE checkpoints SET payload = x'' WHERE block = 0"), "reported", "checkpoint of block 0"),
    ("journal row in the middle flipped", lambda d: sql(d, *flip("payload", "journal", MIDDLE)), "reported", "journal row"),
    ("journal row in the middle emptied", lambda d: sql(d, f"UPDATE journal SET payload = x'' WHERE {MIDDLE}"), "reported", "journal row"),
    ("journal row in the middle gone", lambda d: sql(d, f"DELETE FROM journal WHERE {MIDDLE}"), "reported", "missing"),
    ("last journal row gone", lambda d: sql(d, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)"), "reported", "missing"),
    ("a total changed", lambda d: sql(d, "UPDATE totals SET value = value + 1000000 WHERE name = 'fleet_clock'"), "reported", "totals"),
    ("totals gone", lambda d: sql(d, "DELETE FROM totals WHERE name = 'checksum'"), "reported", "totals"),
    ("log cut in half", lambda d: cut(d, DB + "-wal", 0.5), "earlier", ""),
    ("log flipped in the middle", lambda d: patch(d, DB + "-wal", os.path.getsize(os.path.join(d, "state", DB + "-wal")) // 2, b"\x5a" * 64), "earlier", ""),
    ("database emptied", lambda d: (sql(d), cut(d, DB, 0)), "refused", "it is empty"),
    ("database gone, log left", lambda d: os.unlink(os.path.join(d, "state", DB)), "refused", "its log"),
    ("database cut in half", lambda d: (sql(d), cut(d, DB, 0.5)), "refused", "malformed"),
    ("first page overwritten", lambda d: (sql(d), patch(d, DB, 0, b"\x5a" * 100)), "refused", "not a database"),
    ("another program's database", lambda d: sql(d, "PRAGMA application_id = 7"), "refused", "another program"),
    ("a newer schema", lambda d: sql(d, "PRAGMA user_version = 99"), "refused", "99"),
]


def prepare(bindir, directory, rng):
    """A killed daemon with everything in its state directory."""
    os.makedirs(directory)
    lines = workload(rng, 24, 420)
    settings = {"checkpoint_interval": "1h", "streams_max": 100}
    daemon = Daemon(bindir, directory, settings=settings)
    sender = Sender(lines, rng)
    for share in (0.5, 0.7, 1.0):
        if not sender.run(daemon, int(len(lines) * share), time.monotonic() + 120):
            raise Failure("the preparing run did not end")
        if share < 1:
            daemon.process.send_signal(signal.SIGUSR1)
            time.sleep(0.3)
    digest = daemon.ask("digest")
    daemon.kill()
    return digest


def start(bindir, directory):
    """Starts on the damaged copy. Returns (digest or None, log)."""
    log = os.path.join(directory, "log")
    open(log, "w").close()
    daemon = Daemon(bindir, directory, settings={"checkpoint_interval": "1h", "streams_max": 100})
    try:
        s = daemon.connect(daemon.control, 30)
        digest = None
        if s is not None:
            s.close()
            digest = daemon.ask("digest")
        else:
            code = daemon.process.wait(10)
            if code < 0:
                raise Failure(f"the daemon died of signal {-code}")
    finally:
        if daemon.alive():
            daemon.kill()
    return digest, open(log, errors="replace").read()


def row(bindir, base, root, want, name, act, expected, word, only_check=False):
    directory = os.path.join(root, "copy")
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(base, directory, ignore=lambda d, names: [n for n in names if n in ("i", "c")])
    act(directory)
    alerts_before = None
    if expected in ("whole", "reported"):
        alerts_before = sql(directory, checkpoint=False)[0]
    files = {n: open(os.path.join(directory, "state", n), "rb").read() for n in os.listdir(os.path.join(directory, "state")) if not n.endswith("-shm")}
    code, told = run([os.path.join(bindir, "rnnctl"), "--state-dir", os.path.join(directory, "state"), "check"])
    is_sound = expected == "earlier" or (expected == "whole" and not word)
    if expected != "refused" and code != (0 if is_sound else 3):
        raise Failure(f"{name}: rnnctl check gave {code}: {told[:300]}")
    if expected == "refused" and code == 0:
        raise Failure(f"{name}: rnnctl check found nothing")
    if word and expected != "refused" and word not in told:
        raise Failure(f"{name}: rnnctl check does not name it: {told[:300]}")
    digest, log = start(bindir, directory)
    word = "" if only_check else word
    if expected == "refused":
        if digest is not None:
            raise Failure(f"{name}: it started")
        if word not in log:
            raise Failure(f"{name}: the error does not say {word}: {log[-300:]}")
        for n, content in files.items():
            path = os.path.join(directory, "state", n)
            if n != "lock" and (not os.path.exists(path) or open(path, "rb").read() != content):
                raise Failure(f"{name}: {n} was changed")
        return log.strip().splitlines()[-1][:110]
    if digest is None:
        raise Failure(f"{name}: it did not start: {log[-400:]}")
    if word and word not in log:
        raise Failure(f"{name}: the log does not name it: {log[-300:]}")
    if expected == "whole" and digest != want:
        raise Failure(f"{name}: digest {digest}, expected {want}")
    if alerts_before is not None and sql(directory, checkpoint=False)[0] < alerts_before:
        raise Failure(f"{name}: alerts disappeared")
    if word and sql(directory, checkpoint=False)[1] == 0:
        raise Failure(f"{name}: nothing in quarantine")
    again, log = start(bindir, directory)
    if again != digest:
        raise Failure(f"{name}: the second start differs: {digest}, {again}")
    if "damaged" in log:
        raise Failure(f"{name}: reported twice: {log[-300:]}")
    return "same state" if digest == want else "other state, reported"


def flips(bindir, base, root, rng, count):
    """Bytes anywhere: any answer but death by signal or a hang."""
    started = 0
    for _ in range(count):
        directory = os.path.join(root, "copy")
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(base, directory, ignore=lambda d, names: [n for n in names if n in ("i", "c")])
        sql(directory)
        size = os.path.getsize(os.path.join(directory, "state", DB))
        for _ in range(rng.choice([1, 4, 64])):
            patch(directory, DB, rng.randrange(size), bytes([rng.randrange(256)]))
        run([os.path.join(bindir, "rnnctl"), "--state-dir", os.path.join(directory, "state"), "check"])
        digest, _ = start(bindir, directory)
        started += digest is not None
    print(f"{count} databases with random bytes changed: {started} started, {count - started} were refused, none died")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--flips", type=int, default=10)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    print(f"seed {seed}", flush=True)
    root = tempfile.mkdtemp(prefix="rnn-damage.")
    base = os.path.join(root, "base")
    failures = 0
    want = prepare(arguments.bindir, base, rng)
    for entry in TABLE:
        try:
            print(f"{entry[0]:44} {entry[2]:9} {row(arguments.bindir, base, root, want, *entry)}", flush=True)
        except Failure as failure:
            failures += 1
            print(f"FAILED {failure}", flush=True)
    try:
        flips(arguments.bindir, base, root, rng, arguments.flips)
    except Failure as failure:
        failures += 1
        print(f"FAILED {failure}", flush=True)
    if failures:
        print(f"{failures} rows failed (seed {seed}, kept {root})", file=sys.stderr)
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
