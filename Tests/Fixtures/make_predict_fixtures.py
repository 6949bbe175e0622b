#!/usr/bin/env python3
"""Writes Tests/Fixtures/predict: models as users save them, readings as CSV, and what PyTorch computes from them.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install torch safetensors numpy
    /tmp/v/bin/python Tests/Fixtures/make_predict_fixtures.py

<case>.safetensors is a state_dict as `safetensors.torch.save_file` writes it (no metadata, attribute names of the user's choice),
<case>.csv the readings (columns timestamp and channels), <case>.expected.csv the outputs of the float64 run of the same float32
weights on the float32 readings, from a zero state. Cases differ in cell, layers, sizes, bias, batch_first and head.
"""
import os

import torch
from safetensors.torch import save_file
from torch import nn

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "predict")
SEED = 40127


class Model(nn.Module):
    def __init__(self, cell, layers, inputs, hidden, outputs, bias, batch_first, body, head):
        super().__init__()
        self.body, self.head = body, head
        kind = {"elman": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        more = {"nonlinearity": "relu"} if cell == "relu" else {}
        setattr(self, body, kind(inputs, hidden, layers, bias=bias, batch_first=batch_first, **more))
        if head:
            setattr(self, head, nn.Linear(hidden, outputs, bias=bias))

    def forward(self, x):
        y, _ = getattr(self, self.body)(x)
        return getattr(self, self.head)(y) if self.head else y


def main():
    os.makedirs(HERE, exist_ok=True)
    torch.use_deterministic_algorithms(True)
    names = [("rnn", "fc"), ("encoder", "decoder"), ("zz_cells", "a_out"), ("lstm", "linear"), ("core", None)]
    index = 0
    for cell in ("elman", "relu", "lstm", "gru"):
        for layers, (i, h, o) in ((1, (1, 3, 1)), (2, (3, 9, 3)), (3, (2, 17, 5))):
            torch.manual_seed(SEED + index)
            body, head = names[index % len(names)]
            model = Model(cell, layers, i, h, o, index % 4 != 3, index % 2 == 0, body, head)
            name = f"{cell}_{layers}"
            save_file(model.state_dict(), os.path.join(HERE, name + ".safetensors"))
            x = torch.randn(24, i) * 1.5
            axis = 0 if index % 2 == 0 else 1
            with torch.no_grad():
                y = model.double()(x.double().unsqueeze(axis)).squeeze(axis)
            for suffix, head_row, rows in (
                (".csv", [f"c{k}" for k in range(i)], x),
                (".expected.csv", [f"y{k}" for k in range(y.shape[1])], y),
            ):
                with open(os.path.join(HERE, name + suffix), "w") as file:
                    file.write(",".join(["timestamp"] + head_row) + "\n")
                    for t, row in enumerate(rows):
                        file.write(f"2026-01-05T00:{t:02d}:00Z," + ",".join(repr(float(v)) for v in row) + "\n")
            index += 1
    print("torch", torch.__version__, "seed", SEED, "cases", index)


main()
