#!/usr/bin/env python3
"""Databases of every released schema still load.

usage: upgrade.py BINDIR            checks Tests/Fixtures/store/schema-*.db.gz
       upgrade.py BINDIR --make     makes the fixture of the present schema anew (before a release; never after)

Beside each database stands what it holds (schema-N.json). A fixture whose learned state was made by another version of the detector
loads with streams that learn anew; that is said, and alerts, streams and counters must still be there.
"""
import gzip, json, os, random, shutil, sqlite3, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, Sender, workload

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Fixtures", "store")
SETTINGS = {"checkpoint_interval": "1h", "streams_max": 100, "profile": "light"}


def holds(path):
    db = sqlite3.connect(path)
    numbers = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("streams", "channels", "alerts", "alert_events", "producers")}
    numbers["version"] = db.execute("PRAGMA user_version").fetchone()[0]
    numbers["readings_accepted"] = db.execute("SELECT value FROM totals WHERE name = 'readings_accepted'").fetchone()[0]
    numbers["layout"] = [row[0] for row in db.execute("SELECT DISTINCT layout FROM checkpoints")]
    db.close()
    return numbers


def make(bindir):
    root = tempfile.mkdtemp()
    rng = random.Random(1)
    lines = workload(rng, 3, 1000)
    daemon = Daemon(bindir, root, settings=SETTINGS)
    sender = Sender(lines, rng)
    assert sender.run(daemon, len(lines) // 2, time.monotonic() + 60)
    assert daemon.ask("checkpoints.write")
    assert sender.run(daemon, len(lines), time.monotonic() + 60)
    # The state comes from a checkpoint alone, not from replay: the same bits on every instruction set.
    assert daemon.ask("checkpoints.write")
    time.sleep(1)
    digest = daemon.ask("digest")
    daemon.kill()
    path = os.path.join(root, "state", "rnn-watchd.db")
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    numbers = holds(path)
    numbers["digest"] = digest
    name = os.path.join(FIXTURES, f"schema-{numbers['version']}")
    with open(path, "rb") as source, open(name + ".db.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as target:
        shutil.copyfileobj(source, target)
    with open(name + ".json", "w") as f:
        json.dump(numbers, f, indent=1)
    print(f"{name}.db.gz: {os.path.getsize(name + '.db.gz')} bytes, {numbers}")
    shutil.rmtree(root)


def check(bindir, name):
    root = tempfile.mkdtemp()
    os.makedirs(os.path.join(root, "state"))
    path = os.path.join(root, "state", "rnn-watchd.db")
    with gzip.open(os.path.join(FIXTURES, name), "rb") as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target)
    want = json.load(open(os.path.join(FIXTURES, name.replace(".db.gz", ".json"))))
    daemon = Daemon(bindir, root, settings=SETTINGS)
    digest = daemon.ask("digest")
    streams = len(daemon.ask("streams.list")["rows"])
    daemon.kill()
    got = holds(path)
    for part in ("streams", "channels", "alerts", "producers", "readings_accepted"):
        if got[part] != want[part]:
            raise Failure(f"{name}: {part}: {want[part]} were stored, {got[part]} are there")
    if streams != want["streams"]:
        raise Failure(f"{name}: {want['streams']} streams were stored, {streams} are watched")
    if got["layout"] == want["layout"] and digest == want["digest"]:
        print(f"{name}: state of {streams} streams as it was, {got['alerts']} alerts")
    elif got["layout"] == want["layout"]:
        raise Failure(f"{name}: the same layout of state, but digest {digest}, expected {want['digest']}")
    else:
        print(f"{name}: made by another version of the detector; {streams} streams learn anew, {got['alerts']} alerts are there")
    shutil.rmtree(root)


def main():
    bindir = sys.argv[1]
    if "--make" in sys.argv:
        return make(bindir)
    names = sorted(n for n in os.listdir(FIXTURES) if n.endswith(".db.gz"))
    if not names:
        sys.exit("no fixtures")
    try:
        for name in names:
            check(bindir, name)
    except Failure as failure:
        sys.exit(f"FAILED {failure}")


if __name__ == "__main__":
    main()
