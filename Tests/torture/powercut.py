#!/usr/bin/env python3
"""Cuts the power: what was not synced is forgotten, wholly or sector by sector, and the daemon starts from the rest.

usage: powercut.py BINDIR [--cuts N] [--seed S]

The daemon runs with disk.c preloaded, which records what has reached the medium. After a SIGKILL the state directory is put
together from that record; between it and what was only written, each 512-byte sector is old or new by chance. Half of the kills
come in the middle of a write, sync or truncation. Two levels are tried once more with syncs that fail now and then: what the kernel
could not write it takes for clean afterwards, and only writing it again helps. Then:
  always, interval   every acknowledged line is there
  none               the database is intact, lines may be missing
and at each level the database is whole, counters and lines agree, and after sending the rest again state and alerts are those
of a run that was never interrupted.
"""
import argparse, os, random, shutil, signal, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from torture import Daemon, Failure, Sender, difference, compiled, facts, outcome, workload

SECTOR = 512


def cut(rng, state, shadow):
    """Replaces the state directory by what a power cut leaves."""
    names = {}
    path = os.path.join(shadow, "names")
    if os.path.exists(path):
        for line in open(path):
            inode, name = line.rstrip("\n").split(" ", 1)
            names[name] = inode
    current = {}
    for name in os.listdir(state):
        full = os.path.join(state, name)
        current[str(os.stat(full).st_ino)] = open(full, "rb").read()
    is_torn = rng.random() < 0.7
    left = {}
    for name, inode in names.items():
        if name.endswith("-shm") or name == "lock":
            continue
        kept = os.path.join(shadow, "inode-" + inode)
        old = open(kept, "rb").read() if os.path.exists(kept) else b""
        new = current.get(inode, old)
        if is_torn and new != old:
            size = rng.choice([len(old), len(new)])
            image = bytearray(size)
            for at in range(0, size, SECTOR):
                source = rng.choice([old, new])
                piece = source[at:at + SECTOR] or (new if source is old else old)[at:at + SECTOR]
                piece = piece[:size - at]
                image[at:at + len(piece)] = piece
            left[name] = bytes(image)
        else:
            left[name] = old
    shutil.rmtree(state)
    os.makedirs(state)
    for name, content in left.items():
        with open(os.path.join(state, name), "wb") as f:
            f.write(content)
    shutil.rmtree(shadow)
    os.makedirs(shadow)
    # What was read back from the medium is on the medium.
    with open(os.path.join(shadow, "names"), "w") as f:
        for name in left:
            inode = os.stat(os.path.join(state, name)).st_ino
            f.write(f"{inode} {name}\n")
            shutil.copy(os.path.join(state, name), os.path.join(shadow, f"inode-{inode}"))


def failing_syncs(flag, rng, stop):
    """Lets every sync fail for a moment, now and then, until `stop`."""
    while not stop.wait(rng.uniform(0.02, 0.2)):
        with open(flag, "w") as f:
            f.write("SYNC")
        stop.wait(rng.uniform(0.001, 0.06))
        os.unlink(flag)


def level(bindir, library, name, cuts, rng, root, has_bad_syncs=False):
    lines = workload(rng, 20, 300)
    settings = {"durability": name, "durability_interval": "40ms"}
    title = name + (", syncs that fail" if has_bad_syncs else "")
    folder = name + ("-syncs" if has_bad_syncs else "")
    reference = os.path.join(root, folder + "-reference")
    os.makedirs(reference)
    daemon = Daemon(bindir, reference, settings=settings)
    if not Sender(lines, rng).run(daemon, len(lines), time.monotonic() + 300):
        raise Failure("the uninterrupted run did not end")
    want = outcome(daemon, reference)
    directory = os.path.join(root, folder)
    state, shadow = os.path.join(directory, "state"), os.path.join(directory, "shadow")
    os.makedirs(state)
    os.makedirs(shadow)
    environment = {"LD_PRELOAD": library, "RNN_DISK_DIR": state, "RNN_DISK_SHADOW": shadow}
    flag = os.path.join(directory, "fault")
    if has_bad_syncs:
        environment["RNN_DISK_FAULT"] = flag
    sender = Sender(lines, rng, may_forget=name == "none")
    lost = 0
    for number in range(cuts):
        kill_at = {"RNN_DISK_KILL": str(int(3 ** rng.uniform(2, 6)))} if rng.random() < 0.5 else {}
        daemon = Daemon(bindir, directory, settings=settings, environment={**environment, **kill_at})
        goal = min(len(lines), int(len(lines) * (number + 1) / cuts) + rng.randint(0, 200))
        stop = threading.Event()
        if has_bad_syncs:
            # Not at the start: a disk that fails then is an error.
            daemon.connect(daemon.control)
            spoiler = threading.Thread(target=failing_syncs, args=(flag, rng, stop))
            spoiler.start()
        sender.run(daemon, goal, time.monotonic() + rng.uniform(0.1, 0.7) + (1 if has_bad_syncs else 0))
        if not daemon.alive() and daemon.process.returncode != -signal.SIGKILL:
            raise Failure(f"it ended by itself with {daemon.process.returncode}")
        daemon.kill()
        if has_bad_syncs:
            stop.set()
            spoiler.join()
        before = sender.acknowledged
        cut(rng, state, shadow)
        if not os.path.exists(os.path.join(state, "rnn-watchd.db")):
            if before and name != "none":
                raise Failure("the database is gone")
            continue
        # A look at a copy: looking moves the log into the file.
        shutil.rmtree(os.path.join(directory, "look"), ignore_errors=True)
        shutil.copytree(state, os.path.join(directory, "look", "state"))
        totals, producers, _, _, _ = facts(os.path.join(directory, "look"))
        stored = producers.get("torture", 0)
        if name != "none" and stored < before:
            raise Failure(f"cut {number}: {before} lines acknowledged, {stored} left")
        counted = totals.get("lines_received", 0) - totals.get("dropped.resent", 0)
        if counted != stored:
            raise Failure(f"cut {number}: {stored} lines left, {counted} counted")
        lost += max(0, before - stored)
    daemon = Daemon(bindir, directory, settings=settings)
    if not sender.run(daemon, len(lines), time.monotonic() + 300):
        raise Failure("the last life did not end")
    got = outcome(daemon, directory)
    for part in want:
        if want[part] != got[part]:
            raise Failure(difference(part, want[part], got[part]))
    print(f"{title}: {cuts} power cuts, {lost} acknowledged lines missing after them, database whole, end state equal bit for bit", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--cuts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    root = tempfile.mkdtemp(prefix="rnn-powercut.")
    library = compiled("disk.c", root)
    try:
        for name, has_bad_syncs in (("always", False), ("interval", False), ("none", False), ("interval", True), ("always", True)):
            level(arguments.bindir, library, name, arguments.cuts, random.Random(seed), root, has_bad_syncs)
    except Failure as failure:
        print(f"FAILED ({name}, seed {seed}, kept {root}): {failure}", file=sys.stderr)
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
