#!/usr/bin/env python3
"""Injects faults into recorded series, to see what a detector finds on data it was not made for.

    python3 Tests/Benchmarks/inject_faults.py SERIES_DIR OUT_DIR [--seed 5] [--rows 60000]
    rnnctl evaluate labelled --series OUT_DIR/series --labels OUT_DIR/labels.json

SERIES_DIR holds CSV files (timestamp, then channels). For every series and every kind of fault one copy is written with one to six faults in its
second 60 %, each in one channel that has more than 20 values:

spike  2 rows, the larger of 5 deviations of the differences and 3 of the values     zero   24 to 71 rows of 0
shift  24 to 71 rows, the larger of 3 and 2                                          noise  24 to 71 rows of noise, the larger of 3 and 1
stuck  96 rows of the last value                                                     phase  72 rows of what comes 8 to 13 rows later
drift  150 rows, up to 3 deviations of the values

Faults may be invisible (a zero at night, a spike in a burst): compare detectors on the same files, do not expect all to be found.
"""
import argparse, csv, json, os
import numpy as np

KINDS = ("spike", "shift", "stuck", "zero", "noise", "phase", "drift")


def number(text):
    try:
        return float(text)
    except ValueError:
        return np.nan


def inject(values, kind, rng):
    """A copy of values [rows, channels] with faults of a kind, and their row ranges."""
    rows, channels = values.shape
    changed, ranges = values.copy(), []
    count = max(1, min(6, rows // 2500))
    lively = [i for i in range(channels) if len(np.unique(values[:, i])) > 20] or [0]
    for start in np.linspace(0.4 * rows, 0.95 * rows, count + 1)[:-1]:
        channel = rng.choice(lively)
        x = values[:, channel]
        sd, step = np.nanstd(x), np.nanstd(np.diff(x))
        start = int(start + rng.integers(0, max(2, int(0.25 * rows / (count + 1)))))
        length = {"spike": 2, "stuck": 96, "phase": 72, "drift": 150}.get(kind) or int(rng.integers(24, 72))
        end = min(start + length, rows - 20)
        part, sign = slice(start, end), rng.choice([-1, 1])
        if kind == "spike":
            changed[part, channel] += sign * max(5 * step, 3 * sd)
        elif kind == "shift":
            changed[part, channel] += sign * max(3 * step, 2 * sd)
        elif kind == "stuck":
            changed[part, channel] = x[start]
        elif kind == "zero":
            changed[part, channel] = 0
        elif kind == "noise":
            changed[part, channel] += rng.normal(size=end - start) * max(3 * step, sd)
        elif kind == "phase":
            later = int(rng.integers(8, 14))
            changed[part, channel] = x[start + later : end + later]
        else:
            changed[part, channel] += sign * 3 * sd * np.linspace(0, 1, end - start)
        ranges.append([start, end])
    return changed, ranges


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--rows", type=int, default=60000, help="of each series at most")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    os.makedirs(os.path.join(options.out, "series"), exist_ok=True)
    labels = {}
    for name in sorted(os.listdir(options.series)):
        with open(os.path.join(options.series, name)) as f:
            header, *rows = list(csv.reader(f))[: options.rows + 1]
        if not name.endswith(".csv") or len(rows) < 500:
            continue
        values = np.array([[number(v) for v in row[1:]] for row in rows])
        for kind in KINDS:
            changed, ranges = inject(values, kind, rng)
            one = f"{name[:-4]}__{kind}"
            labels[one] = {"n": len(rows), "train_end": 0, "ranges": ranges}
            with open(os.path.join(options.out, "series", one + ".csv"), "w") as f:
                f.write(",".join(header) + "\n")
                for row, line in zip(rows, changed):
                    f.write(row[0] + "," + ",".join("" if np.isnan(v) else f"{v:.7g}" for v in line) + "\n")
    with open(os.path.join(options.out, "labels.json"), "w") as f:
        json.dump(labels, f)
    print(f"{len(labels)} series, {sum(len(one['ranges']) for one in labels.values())} faults")


if __name__ == "__main__":
    main()
