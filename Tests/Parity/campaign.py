#!/usr/bin/env python3
"""Random models of PyTorch, Keras and onnxruntime against `rnnctl model predict --raw`.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install torch onnx onnxscript onnxruntime safetensors numpy keras h5py
    /tmp/v/bin/python Tests/Parity/campaign.py .build/release/rnnctl [--kinds torch,onnx,dynamo,keras] [--cases 50] [--seed 1] [--keep DIR]

Every case follows from kind, seed and number alone, so a failure is repeated with `--kinds K --seed S --from N --cases 1`. The outputs
must lie within 1e-5 (absolute, and relative above 1) of the framework run in double precision on the same weights. What cannot run on
a stream must be refused with a message that names the part. The last lines are the table of what was tried: per family tried, equal,
refused as it should, failed, largest error. Exit code 3 if anything failed.
"""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import traceback
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")
warnings.filterwarnings("ignore")

import logging

import numpy as np
import torch
from torch import nn

logging.disable(logging.WARNING)
TOLERANCE = 1e-5
BODIES = ["rnn", "lstm", "gru", "encoder", "core", "zz_cells", "net", "body"]
HEADS = ["fc", "linear", "out", "head", "decoder", "a_out", "0", "dense1"]
CELLS = {"elman": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
FUNCTIONS = {"linear": nn.Identity, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class Case:
    """What one case came to: `expect` is None (equal outputs) or a word that the refusal must contain."""

    def __init__(self, family, model, x, y, options=(), expect=None):
        self.family, self.model, self.x, self.y = family, model, x, y
        self.options, self.expect = list(options), expect


class Recurrent(nn.Module):
    """Recurrent layers under one name, a head of dense layers under another, possibly inside further modules."""

    def __init__(self, r, cell, layers, inputs, hidden, sizes, functions, bias, batch_first, body, head, wrap, dropout, last, **more):
        super().__init__()
        if cell in ("elman", "relu"):
            more["nonlinearity"] = "relu" if cell == "relu" else "tanh"
        rnn = CELLS[cell](inputs, hidden, layers, bias=bias, batch_first=batch_first, dropout=dropout if layers > 1 else 0.0, **more)
        self.names, self.last = (body, head), last
        self.wrap = wrap
        if wrap:
            inner = nn.Module()
            setattr(inner, "rnn", rnn)
            setattr(self, body, inner)
        else:
            setattr(self, body, rnn)
        parts, width = [], hidden * (2 if more.get("bidirectional") else 1)
        if more.get("proj_size"):
            width = more["proj_size"]
        for size, function in zip(sizes, functions):
            parts += [nn.Linear(width, size, bias=bias)]
            if function != "linear":
                parts += [FUNCTIONS[function]()]
            width = size
        if len(parts) == 1:
            setattr(self, head, parts[0])
        elif parts:
            setattr(self, head, nn.Sequential(*parts))
        self.has_head = bool(parts)
        self.batch_first = batch_first

    def cells(self):
        inner = getattr(self, self.names[0])
        return inner.rnn if self.wrap else inner

    def forward(self, x, *state):
        state = (state if len(state) == 2 else state[0]) if state else None
        y, after = self.cells()(x, state)
        if self.last:
            y = y[:, -1] if self.batch_first else y[-1]
        y = getattr(self, self.names[1])(y) if self.has_head else y
        if self.with_state:
            return (y, *after) if isinstance(after, tuple) else (y, after)
        return y

    with_state = False


def sizes_of(r):
    hidden = r.choice([1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 48, 64, 129])
    return r.randint(1, 9), hidden


def draw(r, **fixed):
    """Random architecture; `fixed` overrides."""
    inputs, hidden = sizes_of(r)
    depth = r.choice([0, 1, 1, 1, 1, 2, 2, 3])
    a = dict(
        cell=r.choice(list(CELLS)), layers=r.randint(1, 4), inputs=inputs, hidden=hidden,
        sizes=[r.choice([1, 2, 3, 5, 8, 17]) for _ in range(depth)],
        functions=[r.choice(["relu", "tanh", "sigmoid", "relu", "linear"]) for _ in range(max(0, depth - 1))]
        + ([r.choice(["linear", "linear", "linear", "sigmoid", "tanh", "relu"])] if depth else []),
        bias=r.random() < 0.75, batch_first=r.random() < 0.5, body=r.choice(BODIES), head=r.choice(HEADS),
        wrap=r.random() < 0.25, dropout=r.choice([0.0, 0.3]), last=False)
    a.update(fixed)
    return a


def build(r, a, seed):
    torch.manual_seed(seed)
    model = Recurrent(r, **a).eval()
    scale = r.choice([1.0, 1.0, 2.0, 0.3])
    if a["cell"] == "relu":
        scale = min(scale, 1.0)  # an exploding network compares nothing
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(scale)
    return model


def truth(model, x, dtype=torch.float64):
    """[T, O] of one stream in double precision."""
    import copy
    twin = copy.deepcopy(model).to(dtype)
    twin.last, twin.with_state = False, False
    with torch.no_grad():
        axis = 0 if twin.batch_first else 1
        return twin(torch.tensor(x, dtype=dtype).unsqueeze(axis)).squeeze(axis).numpy()


def rows(r, inputs):
    rng = np.random.default_rng(r.randrange(1 << 30))
    return (rng.standard_normal((r.choice([1, 5, 20, 40]), inputs)) * r.choice([0.3, 1.0, 2.0])).astype(np.float32)


def flags(a):
    """What a state_dict does not say."""
    options = []
    if a["cell"] == "relu":
        options += ["--cell", "elman-relu"]
    if a["functions"] and a["functions"][-1] != "linear":
        options += ["--readout", a["functions"][-1]]
    if len(a["functions"]) > 1:
        options += ["--between", ",".join(a["functions"][:-1])]
    return options


def torch_case(r, seed, folder):
    from safetensors.torch import save_file
    special = r.random()
    path = os.path.join(folder, "m.safetensors")
    if special < 0.06:
        a = draw(r, bidirectional=True)
        model = build(r, a, seed)
        save_file(model.state_dict(), path)
        return Case("state_dict bidirectional", path, rows(r, a["inputs"]), None, flags(a), expect="bidirectional")
    if special < 0.10:
        a = draw(r, cell="lstm", hidden=9, proj_size=4)
        model = build(r, a, seed)
        save_file(model.state_dict(), path)
        return Case("state_dict proj_size", path, rows(r, a["inputs"]), None, flags(a), expect="proj")
    a = draw(r)
    kind = r.choice(["F32", "F32", "F32", "F64", "F16", "BF16"])
    dtype = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    model = build(r, a, seed)
    weights = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    save_file(weights, path)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weights[name].to(torch.float32))
    x = rows(r, a["inputs"])
    family = f"state_dict {kind} {a['cell']}" + (f" head of {len(a['sizes'])}" if len(a["sizes"]) > 1 else "")
    return Case(family, path, x, truth(model, x), flags(a))


def onnx_case(r, seed, folder, dynamo):
    a = draw(r, layers=r.randint(1, 3))
    model = build(r, a, seed)
    if a["head"] == "0":
        a["head"] = "fc"
        model = build(r, a, seed)
    steps, batch = r.choice([2, 5, 9]), r.choice([1, 1, 1, 3])
    if a["sizes"] and r.random() < 0.25:
        model.last = True
    x = torch.randn((batch, steps, a["inputs"]) if a["batch_first"] else (steps, batch, a["inputs"]))
    args, names = (x,), ["x"]
    shape = "sequence"
    if r.random() < 0.35:
        state = torch.zeros(a["layers"], batch, a["hidden"])
        args += (state, state.clone()) if a["cell"] == "lstm" else (state,)
        names += ["h0", "c0"] if a["cell"] == "lstm" else ["h0"]
        model.with_state = True
        if a["cell"] not in ("elman", "relu") and r.random() < 0.5:
            args = ((x[:, :1] if a["batch_first"] else x[:1]),) + args[1:]
            shape = "single step"
        shape += " with states"
    path = os.path.join(folder, "m.onnx")
    dynamic = r.random() < 0.5 and shape.startswith("sequence")
    more = {}
    if dynamo:
        opset = r.choice([18, 20, 21, 22])
        if dynamic and not model.with_state:
            time_axis, batch_axis = (1, 0) if a["batch_first"] else (0, 1)
            dims = {batch_axis: torch.export.Dim("batch")} if batch > 1 else {}
            if a["cell"] not in ("elman", "relu"):
                dims[time_axis] = torch.export.Dim("time")
            if steps > 1 and dims:
                more["dynamic_shapes"] = (dims,)
    else:
        opset = r.choice([11, 12, 13, 14, 15, 16, 17, 18])
        if dynamic:
            time_axis, batch_axis = (1, 0) if a["batch_first"] else (0, 1)
            more["dynamic_axes"] = {"x": {time_axis: "time", batch_axis: "batch"}}
            for name in names[1:]:
                more["dynamic_axes"][name] = {1: "batch"}
        more["do_constant_folding"] = r.random() < 0.8
    with open(os.devnull, "w") as null:
        saved, sys.stdout = sys.stdout, null
        try:
            torch.onnx.export(model, args, path, input_names=names, opset_version=opset, dynamo=dynamo, **more)
        except Exception as error:
            sys.stdout = saved
            return Case(f"exporter refuses ({'dynamo' if dynamo else 'TorchScript'})", None, None, None, expect=str(error)[:60])
        finally:
            sys.stdout = saved
    x = rows(r, a["inputs"])
    family = f"{'dynamo' if dynamo else 'TorchScript'} {a['cell']} {shape}" + (" last" if model.last else "")
    return Case(family, path, x, truth(model, x))


def keras_case(r, seed, folder):
    import keras
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs, hidden = sizes_of(r)
    count, kind = r.randint(1, 3), r.choice(["SimpleRNN", "LSTM", "GRU", "GRU reset before", "mixed"])
    functions = ["linear", "tanh", "sigmoid", "relu"]
    stack = []
    for index in range(count):
        one = r.choice(["SimpleRNN", "LSTM", "GRU"]) if kind == "mixed" else kind.split()[0]
        more = dict(return_sequences=True, use_bias=r.random() < 0.85)
        if r.random() < 0.3:
            more["activation"] = r.choice(["tanh", "sigmoid", "relu"] if one == "SimpleRNN" else ["tanh", "sigmoid"])
        if one != "SimpleRNN" and r.random() < 0.3:
            more["recurrent_activation"] = r.choice(["hard_sigmoid", "tanh", "sigmoid"])
        if one == "GRU":
            more["reset_after"] = kind != "GRU reset before"
        stack.append(getattr(layers, one)(max(1, hidden - index), **more))
        if r.random() < 0.15:
            stack.append(layers.Dropout(0.3))
    for _ in range(r.choice([0, 1, 1, 1, 2])):
        dense = layers.Dense(r.choice([1, 2, 5]), activation=r.choice(functions), use_bias=r.random() < 0.85)
        stack.append(layers.TimeDistributed(dense) if r.random() < 0.3 else dense)
    functional = r.random() < 0.4
    if functional:
        start = y = keras.Input((None, inputs))
        for layer in stack:
            y = layer(y)
        model = keras.Model(start, y)
    else:
        model = keras.Sequential([keras.Input((None, inputs)), *stack])
    for weight in model.weights:
        if "bias" in weight.path:
            weight.assign(np.random.default_rng(seed).standard_normal(weight.shape) * 0.3)
    x = rows(r, inputs)
    form = r.choice(["keras", "keras", "keras", "tensors", "weights"])
    # Keras computes in float32; the same weights in double precision are the truth.
    config = model.get_config()
    keras.config.set_dtype_policy("float64")
    twin = type(model).from_config(json.loads(json.dumps(config).replace('"float32"', '"float64"')))
    twin.set_weights([np.asarray(w, np.float64) for w in model.get_weights()])
    y = keras.ops.convert_to_numpy(twin(np.asarray(x[None], np.float64)))[0]
    keras.config.set_dtype_policy("float32")
    options = []
    if form == "keras":
        path = os.path.join(folder, "m.keras")
        model.save(path)
    elif form == "tensors":
        from safetensors.numpy import save_file
        path = os.path.join(folder, "m.safetensors")
        weights = {f"{l.name}/{i}": np.ascontiguousarray(w) for l in model.layers for i, w in enumerate(l.get_weights())}
        save_file(weights, path, {"keras": model.to_json()})
    else:
        path = os.path.join(folder, "m.weights.h5")
        model.save_weights(path)
        with open(os.path.join(folder, "m.json"), "w") as file:
            file.write(model.to_json())
        options = ["--keras-json", os.path.join(folder, "m.json")]
    return Case(f"Keras .{form} {kind}" + (" functional" if functional else ""), path, x, y, options)


def keras_onnx_case(r, seed, folder):
    case = keras_case(r, seed, folder)
    import keras
    if not case.model.endswith(".keras"):
        return None
    model = keras.saving.load_model(case.model)
    path = os.path.join(folder, "m.onnx")
    with open(os.devnull, "w") as null:
        saved, sys.stdout = sys.stdout, null
        try:
            model.export(path, format="onnx", verbose=False)
        except Exception as error:
            return Case("Keras ONNX exporter refuses (torch backend)", None, None, None, expect=str(error)[:60])
        finally:
            sys.stdout = saved
    return Case(case.family.replace(".keras", "ONNX"), path, case.x, case.y)


def run(rnnctl, case, folder):
    table = os.path.join(folder, "x.csv")
    with open(table, "w") as file:
        file.write(",".join(["timestamp"] + [f"c{k}" for k in range(case.x.shape[1])]) + "\n")
        for t, row in enumerate(case.x):
            file.write(f"2026-01-05T00:{t:02d}:00Z," + ",".join(repr(float(v)) for v in row) + "\n")
    done = subprocess.run([rnnctl, "model", "predict", case.model, table, "--raw", "--format", "csv", *case.options],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip()
    lines = done.stdout.splitlines()[1:]
    return np.array([[float(v) for v in line.split(",")[1:]] for line in lines]), ""


def judge(rnnctl, case, folder):
    """(verdict, error, text)"""
    if case.model is None:
        return "exporter", 0.0, case.expect
    got, text = run(rnnctl, case, folder)
    if case.expect:
        return ("refused", 0.0, text) if got is None and case.expect in text else ("failed", 0.0, text or "was not refused")
    if got is None:
        return "failed", 0.0, text
    if got.shape != case.y.shape:
        return "failed", 0.0, f"got shape {got.shape}, expected {case.y.shape}"
    error = float(np.max(np.abs(got - case.y) / np.maximum(1, np.abs(case.y))))
    return ("equal" if error <= TOLERANCE else "failed"), error, f"error {error:.3g}"


KINDS = {
    "torch": torch_case,
    "onnx": lambda r, s, f: onnx_case(r, s, f, False),
    "dynamo": lambda r, s, f: onnx_case(r, s, f, True),
    "keras": keras_case,
    "kerasonnx": keras_onnx_case,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rnnctl")
    parser.add_argument("--kinds", default="torch,onnx,dynamo,keras")
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="keep the files of failed cases here")
    a = parser.parse_args()
    torch.set_num_threads(1)
    table = collections.OrderedDict()
    for kind in a.kinds.split(","):
        for number in range(a.first, a.first + a.cases):
            seed = a.seed * 100_003 + number
            r = random.Random(f"{kind}-{seed}")
            with tempfile.TemporaryDirectory() as folder:
                try:
                    case = KINDS[kind](r, seed, folder)
                    if case is None:
                        continue
                    verdict, error, text = judge(a.rnnctl, case, folder)
                except Exception:
                    case, verdict, error, text = Case(f"{kind}: the script failed", None, None, None), "failed", 0.0, traceback.format_exc()
                if verdict == "failed" and a.keep:
                    subprocess.run(["cp", "-r", folder, os.path.join(a.keep, f"{kind}-{a.seed}-{number}")])
            row = table.setdefault(case.family, [0, 0, 0, 0, 0.0])
            row[0] += 1
            row[1 if verdict == "equal" else 2 if verdict in ("refused", "exporter") else 3] += 1
            row[4] = max(row[4], error if verdict == "equal" else 0)
            if verdict == "failed":
                print(f"FAILED {kind} seed {a.seed} case {number} [{case.family}] {' '.join(case.options)}: {text}", flush=True)
    width = max(len(name) for name in table)
    print(f"{'family':{width}}  tried equal refused failed largest error")
    for name, row in sorted(table.items()):
        print(f"{name:{width}}  {row[0]:5} {row[1]:5} {row[2]:7} {row[3]:6} {row[4]:.2g}")
    total = [sum(row[i] for row in table.values()) for i in range(4)]
    print(f"{'all':{width}}  {total[0]:5} {total[1]:5} {total[2]:7} {total[3]:6} {max(row[4] for row in table.values()):.2g}")
    sys.exit(3 if total[3] else 0)


main()
