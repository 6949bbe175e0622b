#!/usr/bin/env python3
"""Measures PyTorch (and onnxruntime if installed) like rnn-bench-model and prints the ratios.

    python3 Tests/Benchmarks/compare_frameworks.py .build/release/rnn-bench-model [forward] [training]

Runs the program first (with --export into a temporary folder), then the same cells, sizes, batches, weights, data and optimiser here.
With one thread processor time is compared, which other programs on the machine disturb little; with two threads also the time on the
clock, which needs a quiet machine. The program's forward part runs before and after the others, and again the fastest round counts.
Ratio > 1: this program is faster.
"""
import os
import subprocess
import sys
import tempfile
import time

import torch
from torch import nn

SECONDS = 0.5  # of short rounds for each figure; the fastest round counts
CELLS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Model(nn.Module):
    def __init__(self, cell, hidden):
        super().__init__()
        self.rnn, self.fc = CELLS[cell](1, hidden), nn.Linear(hidden, 1)

    def forward(self, x, state=None):
        y, state = self.rnn(x, state)
        return self.fc(y), state


def forward_ns(cell, hidden, batch):
    torch.set_num_threads(1)
    model, x, state = Model(cell, hidden).eval(), torch.randn(1, batch, 1), None
    rounds = []
    with torch.inference_mode():
        _, state = model(x, state)
        repeats = max(3, int(1000 / batch))
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end or len(rounds) < 7:
            start = time.process_time()
            for _ in range(repeats):
                _, state = model(x, state)
            rounds.append((time.process_time() - start) / repeats / batch * 1e9)
    return min(rounds)


def onnx_ns(cell, hidden, batch):
    try:
        import numpy as np
        import onnxruntime
    except ImportError:
        return None
    path = os.path.join(tempfile.gettempdir(), f"bench_{os.getpid()}.onnx")
    op = CELLS[cell](1, hidden)
    state = torch.zeros(1, batch, hidden)
    args = (torch.randn(1, batch, 1), (state, state) if cell == "lstm" else state)
    torch.onnx.export(op, args, path, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    feeds = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}
    os.remove(path)
    session.run(None, feeds)
    rounds = []
    repeats = max(3, int(1000 / batch))
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(rounds) < 7:
        start = time.process_time()
        for _ in range(repeats):
            session.run(None, feeds)
        rounds.append((time.process_time() - start) / repeats / batch * 1e9)
    return min(rounds)


def training(path, cell, hidden, threads):
    """Processor seconds, seconds on the clock, last loss."""
    torch.set_num_threads(threads)
    from safetensors import safe_open
    with safe_open(path, "pt") as file:
        tensors = {k: file.get_tensor(k) for k in file.keys()}
        iterations = int(file.metadata()["iterations"])
    x, y = tensors["x"], tensors["y"]
    best, fastest, loss = float("inf"), float("inf"), None
    for _ in range(3):
        model = Model(cell, hidden)
        model.load_state_dict({k[6:]: v.clone() for k, v in tensors.items() if k.startswith("model.")})
        optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(iterations):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(model(x)[0], y)
            loss.backward()
            optimiser.step()
        best, fastest = min(best, time.process_time() - busy), min(fastest, time.perf_counter() - start)
    return best, fastest, float(loss)


def main():
    program, parts = sys.argv[1], sys.argv[2:] or ["forward", "training"]
    torch.manual_seed(1)
    print(f"# torch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        lines = subprocess.run([program, *parts, "--export", folder], capture_output=True, text=True, check=True).stdout.splitlines()
        print("# forward: cell hidden batch ours_ns torch_ns ratio onnxruntime_ns ratio")
        print("# training: cell hidden threads, processor seconds ours torch ratio, clock seconds ours torch ratio, losses ours torch difference_percent")
        theirs_ns = {}
        for line in lines:
            if line.startswith("forward"):
                cell, hidden, batch = line.split()[1:4]
                theirs_ns[cell, hidden, batch] = forward_ns(cell, int(hidden), int(batch)), onnx_ns(cell, int(hidden), int(batch))
        ours_ns = {}
        again = subprocess.run([program, "forward"], capture_output=True, text=True, check=True).stdout.splitlines() if theirs_ns else []
        for line in lines + again:
            if line.startswith("forward"):
                *case, ours = line.split()[1:5]
                ours_ns[tuple(case)] = min(float(ours), ours_ns.get(tuple(case), float("inf")))
        for line in lines:
            kind, *fields = line.split()
            if kind == "forward":
                cell, hidden, batch = fields[:3]
                ours, (theirs, onnx) = ours_ns[cell, hidden, batch], theirs_ns[cell, hidden, batch]
                tail = f"{onnx:.1f} {onnx / ours:.1f}" if onnx else "- -"
                print(f"forward {cell} {hidden} {batch} {ours:.1f} {theirs:.1f} {theirs / ours:.1f} {tail}", flush=True)
            elif kind == "training":
                cell, hidden, threads, busy, clock, loss = fields[0], int(fields[1]), int(fields[2]), *map(float, fields[3:6])
                theirs, fastest, reached = training(os.path.join(folder, f"train_{cell}_{hidden}.safetensors"), cell, hidden, threads)
                print(f"training {cell} {hidden} {threads} {busy:.4f} {theirs:.4f} {theirs / busy:.2f} {clock:.4f} {fastest:.4f} "
                      f"{fastest / clock:.2f} {loss:.6f} {reached:.6f} {100 * (loss / reached - 1):+.3f}", flush=True)


if __name__ == "__main__":
    main()
