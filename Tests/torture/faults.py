#!/usr/bin/env python3
"""A disk that is full, read-only, broken or locked while the daemon works: it goes on, holds back, tells, and recovers by itself.

usage: faults.py BINDIR [--seed S]

The full disk is a small tmpfs and the read-only one a read-only mount (both need root; without it they are skipped and that is
said). I/O errors come from disk.c, preloaded into the daemon; the lock is another SQLite connection's.
In each case: the daemon lives and answers, the trouble stands in `status`, nothing is acknowledged that is not stored, the sender
is held back, and when the cause goes away everything is stored without a restart, an alert of kind `storage` tells when it was,
and the end state is that of a run without trouble.
"""
import argparse, os, random, shutil, sqlite3, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, Sender, difference, facts, compiled, outcome, workload


def wait(what, condition, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.05)
    raise Failure(f"{what}: not within {seconds} s")


def trouble(name, bindir, root, lines, want, begin, end, environment=(), word="", held=True):
    """Sends half, breaks the disk with `begin`, sends the rest, checks, mends it with `end`."""
    directory = os.path.join(root, "case")
    settings = {"streams_max": 100, "durability_interval": "50ms"}
    daemon = Daemon(bindir, directory, settings=settings, environment=environment)
    sender = Sender(lines, random.Random(1))
    half = len(lines) // 2
    if not sender.run(daemon, half, time.monotonic() + 60):
        raise Failure("the first half was not stored")
    cause = begin()
    result = []
    thread = threading.Thread(target=lambda: result.append(sender.run(daemon, len(lines), time.monotonic() + 90)))
    thread.start()
    try:
        wait(f"{name}: status tells the trouble", lambda: daemon.ask("status").get("storage_problem"))
        problem = daemon.ask("status")["storage_problem"]
        if word not in problem:
            raise Failure(f"{name}: the problem reads {problem}")
        before = sender.acknowledged
        time.sleep(1.0)
        status = daemon.ask("status")
        if sender.acknowledged != before:
            raise Failure(f"{name}: lines were acknowledged meanwhile")
    finally:
        end(cause)
    mended = time.monotonic()
    wait(f"{name}: it recovers", lambda: not daemon.ask("status").get("storage_problem"))
    recovered = time.monotonic() - mended
    thread.join()
    if result != [True]:
        raise Failure(f"{name}: the rest was not stored")
    got = outcome(daemon, directory)
    db = sqlite3.connect(os.path.join(directory, "state", "rnn-watchd.db"))
    alerts = db.execute("SELECT state, reason FROM alerts WHERE kind = 'storage'").fetchall()
    db.close()
    if len(alerts) != 1 or alerts[0][0] != "closed":
        raise Failure(f"{name}: alerts of kind storage: {alerts}")
    for part in want:
        if want[part] != got[part]:
            raise Failure(f"{name}: {difference(part, want[part], got[part])}")
    shutil.rmtree(os.path.join(directory, "state"), ignore_errors=True)
    print(f"{name:24} {problem[:90]}; {len(lines) - before} lines held back, recovered in {recovered:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="rnn-faults.")
    library, flag = compiled("disk.c", root), os.path.join(root, "fault")
    case = os.path.join(root, "case")
    state = os.path.join(case, "state")
    mounted = []
    try:
        lines = workload(random.Random(arguments.seed), 20, 300)
        reference = os.path.join(root, "reference")
        os.makedirs(reference)
        os.makedirs(case)
        daemon = Daemon(arguments.bindir, reference, settings={"streams_max": 100})
        if not Sender(lines, random.Random(1)).run(daemon, len(lines), time.monotonic() + 120):
            raise Failure("the run without trouble did not end")
        want = outcome(daemon, reference)

        def raise_fault(word):
            def begin():
                with open(flag, "w") as f:
                    f.write(word)
            return begin
        environment = {"LD_PRELOAD": library, "RNN_DISK_DIR": state, "RNN_DISK_FAULT": flag}
        for word, expected in (("EIO", "I/O error"), ("EROFS", "I/O error"), ("ENOSPC", "full")):
            trouble(f"{word} from the layer", arguments.bindir, root, lines, want, raise_fault(word), lambda _: os.unlink(flag), environment, expected)

        def lock():
            db = sqlite3.connect(os.path.join(state, "rnn-watchd.db"), isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA busy_timeout = 5000")
            db.execute("BEGIN IMMEDIATE")
            return db
        trouble("locked by another", arguments.bindir, root, lines, want, lock, lambda db: (db.execute("ROLLBACK"), db.close()), (), "locked")

        os.makedirs(state, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", state], capture_output=True)
        if done.returncode != 0:
            print(f"full tmpfs, read-only mount: SKIPPED, they need root ({done.stderr.decode().strip()})")
        else:
            mounted.append(state)
            filler = os.path.join(state, "filler")

            def fill():
                with open(filler, "wb", buffering=0) as f:
                    try:
                        while True:
                            f.write(b"\0" * 4096)
                    except OSError:
                        pass
            daemon_case = lambda: trouble("full tmpfs", arguments.bindir, root, lines, want, fill, lambda _: os.unlink(filler), (), "full")
            daemon_case()
            # A read-only medium: no start, but questions are answered.
            daemon = Daemon(arguments.bindir, case, settings={"streams_max": 100})
            Sender(lines, random.Random(1)).run(daemon, 500, time.monotonic() + 60)
            daemon.stop()
            subprocess.run(["mount", "-o", "remount,ro", state], check=True)
            done = subprocess.run([os.path.join(arguments.bindir, "rnn-watchd"), "--stdin", "--state-dir", state], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
            if done.returncode != 1 or b"Read-only" not in done.stderr:
                raise Failure(f"read-only mount: exit {done.returncode}: {done.stderr[-200:]}")
            for command in (["status"], ["streams", "list"], ["check"]):
                asked = subprocess.run([os.path.join(arguments.bindir, "rnnctl"), "--state-dir", state, *command], capture_output=True, timeout=30)
                if asked.returncode != 0:
                    raise Failure(f"read-only mount: rnnctl {command}: {asked.stderr[-200:]}")
            print(f"read-only mount          start refused: {done.stderr.decode().strip()[:80]}; rnnctl answers")
    except Failure as failure:
        print(f"FAILED {failure} (kept {root})", file=sys.stderr)
        log = os.path.join(case, "log")
        if os.path.exists(log):
            print(open(log, errors="replace").read()[-800:], file=sys.stderr)
        sys.exit(1)
    finally:
        for path in mounted:
            subprocess.run(["umount", "-l", path])
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
