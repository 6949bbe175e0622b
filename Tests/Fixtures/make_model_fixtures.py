#!/usr/bin/env python3
"""Writes Tests/Fixtures/models: what PyTorch, Keras and onnxruntime compute for small recurrent models.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install torch onnx onnxscript onnxruntime safetensors numpy keras
    /tmp/v/bin/python Tests/Fixtures/make_model_fixtures.py [torch] [onnx] [variants] [external] [keras] [keras-files]
    python3 -m venv /tmp/k && /tmp/k/bin/pip install tensorflow-cpu keras tf2onnx onnxruntime safetensors
    /tmp/k/bin/python Tests/Fixtures/make_model_fixtures.py keras-onnx

Without arguments: every part whose packages are installed. Each file records its versions, seed and shapes in its metadata.
torch_<case>.safetensors
    model.*       the state_dict (float32)
    x [T,B,I]     inputs; h0 (c0) [L,B,H] carried state; y [T,B,O], hn (cn) outputs and last state
    target, loss  and grad.<name>: mean squared error and its gradient
    adam.<name>, sgd.<name>  weights after ten steps (lr 0.01; adam_losses, sgd_losses the ten losses before each step)
  Everything is computed by PyTorch in float64 from the float32 weights, so that the reference's own rounding does not count;
  metadata float32_error is the largest relative deviation of PyTorch's own float32 run.
onnx_<case>.onnx with onnx_<case>.safetensors: x [T,I] and y [T,O] of one stream, by onnxruntime.
kerasfile_<case>.keras, .weights.h5, .json: Keras's own files, with x [T,I], y [T,O] in <file>.expected.safetensors.
keras_<case>.safetensors: model in PyTorch's names, x [T,I], y [T,O], by Keras; kerasjson_<case>.safetensors: the same weights as
Keras stores them, with the model's JSON as metadata.
"""
import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
SEED = 20240917


def torch_cases():
    # name, cell, layers, I, H, O, T, B, scale of the weights
    for layers, (i, h, o, t, b) in ((1, (3, 7, 2, 11, 3)), (2, (1, 16, 1, 9, 5)), (3, (5, 9, 4, 8, 2))):
        for cell in ("elman_tanh", "elman_relu", "lstm", "gru"):
            yield f"{cell}_{layers}", cell, layers, i, h, o, t, b, 1.0
    for cell in ("elman_tanh", "lstm", "gru"):
        yield f"{cell}_one", cell, 1, 1, 1, 1, 6, 1, 1.0
        yield f"{cell}_saturated", cell, 2, 2, 5, 2, 12, 2, 6.0


def make_torch():
    import torch
    from torch import nn
    from safetensors.torch import save_file

    torch.use_deterministic_algorithms(True)
    for index, (name, cell, layers, i, h, o, t, b, scale) in enumerate(torch_cases()):
        torch.manual_seed(SEED + index)

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                if cell.startswith("elman"):
                    self.rnn = nn.RNN(i, h, layers, nonlinearity=cell.split("_")[1])
                else:
                    self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](i, h, layers)
                self.fc = nn.Linear(h, o)

            def forward(self, x, state):
                y, last = self.rnn(x, state)
                return self.fc(y), last

        model = Model()
        with torch.no_grad():
            for name_, p in model.named_parameters():
                if name_.startswith("rnn."):
                    p.mul_(scale)
        x = torch.randn(t, b, i) * scale
        target = torch.randn(t, b, o)
        h0, c0 = torch.randn(layers, b, h) * 0.5, torch.randn(layers, b, h) * 0.5
        weights = {k: v.clone() for k, v in model.state_dict().items()}

        def run(dtype):
            out = {}
            model.to(dtype)

            def state():
                return (h0.to(dtype), c0.to(dtype)) if cell == "lstm" else h0.to(dtype)

            def load():
                model.load_state_dict({k: v.to(dtype) for k, v in weights.items()})

            load()
            model.zero_grad()
            y, last = model(x.to(dtype), state())
            loss = nn.functional.mse_loss(y, target.to(dtype))
            loss.backward()
            out["y"] = y
            out["hn"], out["cn"] = last if cell == "lstm" else (last, None)
            out["loss"] = loss.reshape(1)
            for k, p in model.named_parameters():
                out["grad." + k] = p.grad.clone()
            for kind in ("adam", "sgd"):
                load()
                opt = torch.optim.Adam(model.parameters(), lr=0.01) if kind == "adam" else torch.optim.SGD(model.parameters(), lr=0.01)
                losses = []
                for _ in range(10):
                    opt.zero_grad()
                    loss = nn.functional.mse_loss(model(x.to(dtype), state())[0], target.to(dtype))
                    losses.append(loss.detach())
                    loss.backward()
                    opt.step()
                out[kind + "_losses"] = torch.stack(losses)
                for k, p in model.named_parameters():
                    out[f"{kind}.{k}"] = p.clone()
            return {k: v.detach().double() for k, v in out.items() if v is not None}

        exact, single = run(torch.float64), run(torch.float32)
        errors = {k: float((exact[k] - single[k]).abs().max() / exact[k].abs().max()) for k in exact if not k.startswith(("adam", "sgd"))}
        tensors = {"model." + k: v for k, v in weights.items()}
        tensors |= {"x": x, "target": target, "h0": h0} | ({"c0": c0} if cell == "lstm" else {})
        tensors |= {k: v.float() for k, v in exact.items()}
        worst = max(errors, key=errors.get)
        meta = {
            "torch": torch.__version__, "seed": str(SEED + index), "cell": cell, "nonlinearity": "relu" if cell == "elman_relu" else "tanh",
            "shape": f"layers {layers} inputs {i} hidden {h} outputs {o} steps {t} streams {b}",
            "float32_error": f"{errors[worst]:.2e} in {worst}",
        }
        save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(HERE, f"torch_{name}.safetensors"), metadata=meta)
        print(name, meta["float32_error"])


def make_onnx():
    import warnings

    import numpy as np
    import onnx
    import onnxruntime
    import torch
    from safetensors.numpy import save_file
    from torch import nn

    warnings.filterwarnings("ignore")
    index = 0
    for exporter in ("old", "dynamo"):
        for cell in ("elman_tanh", "elman_relu", "lstm", "gru"):
            for layers, batch_first, ending in ((1, True, "all"), (2, False, "last"), (3, True, "last"), (2, True, "state")):
                if exporter == "dynamo" and cell == "elman_relu" and layers != 1:
                    continue
                index += 1
                torch.manual_seed(SEED + index)
                i, h, o, steps = 3, 5, 2, 7

                class Model(nn.Module):
                    def __init__(self):
                        super().__init__()
                        if cell.startswith("elman"):
                            self.rnn = nn.RNN(i, h, layers, batch_first=batch_first, nonlinearity=cell.split("_")[1])
                        else:
                            self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](i, h, layers, batch_first=batch_first)
                        self.fc = nn.Linear(h, o)

                    def forward(self, x):
                        y, last = self.rnn(x)
                        if ending == "state":
                            return self.fc((last[0] if cell == "lstm" else last)[-1])
                        if ending == "last":
                            y = y[:, -1] if batch_first else y[-1]
                        return torch.sigmoid(self.fc(y)) if layers == 3 else self.fc(y)

                model = Model().eval()
                shape = (1, steps, i) if batch_first else (steps, 1, i)
                path = os.path.join(HERE, f"onnx_{cell}_{layers}_{ending}_{exporter}.onnx")
                if exporter == "old":
                    time = 1 if batch_first else 0
                    torch.onnx.export(model, (torch.randn(shape),), path, dynamo=False, input_names=["x"], output_names=["y"],
                                      dynamic_axes={"x": {time: "time", 1 - time: "batch"}})
                else:
                    torch.onnx.export(model, (torch.randn(shape),), path, dynamo=True, external_data=False, verbose=False)
                session = onnxruntime.InferenceSession(path)
                x = np.random.default_rng(SEED + index).normal(size=(steps, i)).astype(np.float32)
                given = x[None] if batch_first else x[:, None]
                y = session.run(None, {session.get_inputs()[0].name: given})[0].reshape(-1, o)
                save_file({"x": x, "y": np.ascontiguousarray(y)}, path.replace(".onnx", ".safetensors"), metadata={
                    "torch": torch.__version__, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__,
                    "seed": str(SEED + index), "rows": "all" if len(y) == steps else "last"})
                print(os.path.basename(path), os.path.getsize(path))


def make_onnx_variants():
    """Exports with other options: opset 11, no folding, unbatched, symbolic shapes, not optimised, h_0 as input, a batch of four."""
    import warnings

    import numpy as np
    import torch
    from safetensors.numpy import save_file
    from torch import nn

    warnings.filterwarnings("ignore")
    steps = 6
    any_batch, any_time = torch.export.Dim("b"), torch.export.Dim("s", min=2)
    old, new = {"dynamo": False}, {"dynamo": True, "external_data": False, "verbose": False}
    variants = (
        ("gru_nofold", nn.GRU, (1, steps, 2), old | {"do_constant_folding": False}), ("lstm_opset11", nn.LSTM, (1, steps, 2), old | {"opset_version": 11}),
        ("gru_unbatched", nn.GRU, (steps, 2), old), ("lstm_unbatched_dynamo", nn.LSTM, (steps, 2), new),
        ("gru_symbolic", nn.GRU, (2, steps, 2), new | {"dynamic_shapes": ({0: any_batch, 1: any_time},)}),
        ("elman_symbolic", nn.RNN, (2, steps, 2), new | {"dynamic_shapes": ({0: any_batch},)}),
        ("lstm_plain", nn.LSTM, (1, steps, 2), new | {"optimize": False}), ("elman_plain", nn.RNN, (1, steps, 2), new | {"optimize": False}),
        ("elman_h0", nn.RNN, (1, steps, 2), new), ("elman_batch", nn.RNN, (4, steps, 2), new))
    for index, (name, cell, shape, options) in enumerate(variants):
        torch.manual_seed(SEED + index)

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.core, self.head = cell(2, 4, 2, batch_first=True), nn.Linear(4, 3)

            def forward(self, x, h=None):
                return self.head(self.core(x, h)[0] if name == "elman_h0" else self.core(x)[0])

        model = Model().eval()
        x = np.random.default_rng(SEED + index).normal(size=(steps, 2)).astype(np.float32)
        with torch.no_grad():
            y = model(torch.tensor(x)[None], torch.zeros(2, 1, 4))[0].numpy()
        path = os.path.join(HERE, f"onnx_variant_{name}.onnx")
        torch.onnx.export(model, (torch.randn(shape),) + ((torch.zeros(2, 1, 4),) if name == "elman_h0" else ()), path, **options)
        save_file({"x": x, "y": np.ascontiguousarray(y)}, path.replace(".onnx", ".safetensors"), metadata={
            "torch": torch.__version__, "seed": str(SEED + index), "rows": "all"})
        print(os.path.basename(path), os.path.getsize(path))


def keras_gates(cell, kernel):
    """Keras's [inputs, G*H] columns to PyTorch's [G*H, inputs] rows: LSTM i,f,c,o is i,f,g,o; GRU z,r,h becomes r,z,n."""
    import numpy as np

    rows = np.asarray(kernel).T
    if cell == "gru":
        z, r, n = np.split(rows, 3, axis=0)
        rows = np.concatenate([r, z, n])
    return np.ascontiguousarray(rows)


def make_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import numpy as np
    from safetensors.numpy import save_file

    cases = [
        ("rnn_tanh", "rnn", 1, {}), ("rnn_relu", "rnn", 2, {"activation": "relu"}), ("lstm", "lstm", 1, {}), ("lstm_2", "lstm", 2, {}),
        ("lstm_hard", "lstm", 1, {"recurrent_activation": "hard_sigmoid"}), ("gru_after", "gru", 2, {"reset_after": True}),
        ("gru_before", "gru", 2, {"reset_after": False}), ("gru_relu", "gru", 1, {"activation": "relu", "reset_after": False}),
    ]
    i, h, o, steps = 3, 7, 2, 10
    for index, (name, cell, layers, extra) in enumerate(cases):
        keras.utils.set_random_seed(SEED + index)
        layer = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
        stack = [layer(h + 2 * n, return_sequences=True, bias_initializer="random_normal", **extra) for n in range(layers)]
        model = keras.Sequential([keras.Input((steps, i))] + stack + [keras.layers.Dense(o, activation="tanh")])
        tensors = {}
        for n, part in enumerate(stack):
            kernel, recurrent, bias = part.get_weights()
            tensors[f"model.rnn.weight_ih_l{n}"] = keras_gates(cell, kernel)
            tensors[f"model.rnn.weight_hh_l{n}"] = keras_gates(cell, recurrent)
            both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
            tensors[f"model.rnn.bias_ih_l{n}"] = keras_gates(cell, both[0][None])[:, 0].copy()
            tensors[f"model.rnn.bias_hh_l{n}"] = keras_gates(cell, both[1][None])[:, 0].copy()
        kernel, bias = model.layers[-1].get_weights()
        tensors["model.fc.weight"], tensors["model.fc.bias"] = np.ascontiguousarray(kernel.T), bias
        tensors["x"] = np.random.default_rng(SEED + index).normal(size=(steps, i)).astype(np.float32)
        tensors["y"] = np.ascontiguousarray(np.asarray(keras.ops.convert_to_numpy(model(tensors["x"][None])))[0])
        meta = {"keras_version": keras.__version__, "backend": keras.backend.backend(), "seed": str(SEED + index), "readout_activation": "tanh",
                "nonlinearity": extra.get("activation", "tanh"), "output_activation": extra.get("activation", "tanh"),
                "gate_activation": extra.get("recurrent_activation", "sigmoid"),
                "cell": "gruResetBefore" if extra.get("reset_after") is False else cell}
        save_file(tensors, os.path.join(HERE, f"keras_{name}.safetensors"), metadata=meta)
        # the three lines that users are told to type
        raw = {f"{l.name}/{i}": np.ascontiguousarray(w) for l in model.layers for i, w in enumerate(l.get_weights())}
        save_file(raw, os.path.join(HERE, f"kerasjson_{name}.safetensors"), {"keras": model.to_json()})
        print("keras", name)


def make_keras_onnx():
    """Keras's own ONNX export (tf2onnx): an LSTM operator for LSTM; GRU and SimpleRNN become Loop, which is not supported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import keras
    import numpy as np
    import onnxruntime
    import tensorflow
    import tf2onnx
    from safetensors.numpy import save_file

    i, h, o, steps = 3, 5, 2, 7
    for index, (name, layers, last) in enumerate((("lstm_1", 1, False), ("lstm_3", 3, False), ("lstm_2_last", 2, True), ("gru", 1, False))):
        keras.utils.set_random_seed(SEED + index)
        layer = keras.layers.GRU if name == "gru" else keras.layers.LSTM
        model = keras.Sequential([keras.Input((steps, i))]
                                 + [layer(h + n, return_sequences=not last or n + 1 < layers, bias_initializer="random_normal") for n in range(layers)]
                                 + [keras.layers.Dense(o, bias_initializer="random_normal", activation="sigmoid" if last else None)])
        x = np.random.default_rng(SEED + index).normal(size=(steps, i)).astype(np.float32)
        expected = np.asarray(model(x[None]))
        path = os.path.join(HERE, f"{'unsupported' if name == 'gru' else 'onnx'}_keras_{name}.onnx")
        model.export(path, format="onnx", verbose=False)
        if name == "gru":
            continue
        session = onnxruntime.InferenceSession(path)
        y = session.run(None, {session.get_inputs()[0].name: x[None]})[0]
        assert np.abs(y - expected).max() < 1e-5
        save_file({"x": x, "y": np.ascontiguousarray(y.reshape(-1, o))}, path.replace(".onnx", ".safetensors"), metadata={
            "keras": keras.__version__, "tensorflow": tensorflow.__version__, "tf2onnx": tf2onnx.__version__,
            "onnxruntime": onnxruntime.__version__, "seed": str(SEED + index), "rows": "last" if last else "all"})
        print(os.path.basename(path), os.path.getsize(path))


def make_keras_files():
    """Keras's own files: .keras, and .weights.h5 with the model's JSON beside it."""
    import keras
    import numpy as np
    from safetensors.numpy import save_file

    layers = keras.layers
    cases = {
        "usual_gru": [layers.GRU(4, return_sequences=True), layers.GRU(3, return_sequences=True), layers.Dense(2)],
        "mixed": [layers.LSTM(4, return_sequences=True, activation="sigmoid"), layers.Dropout(0.2),
                  layers.GRU(3, return_sequences=True, reset_after=False, recurrent_activation="hard_sigmoid"),
                  layers.SimpleRNN(5, return_sequences=True, activation="relu", use_bias=False),
                  layers.TimeDistributed(layers.Dense(4, activation="relu")), layers.Dense(2, activation="sigmoid")],
        "functional_lstm": [layers.LSTM(5, return_sequences=True), layers.LSTM(4, return_sequences=True, use_bias=False), layers.Dense(1)],
    }
    for index, (name, stack) in enumerate(cases.items()):
        keras.utils.set_random_seed(SEED + index)
        start = y = keras.Input((None, 3))
        for layer in stack:
            y = layer(y)
        model = keras.Model(start, y) if name.startswith("functional") else keras.Sequential([keras.Input((None, 3)), *stack])
        random = np.random.default_rng(SEED + index)
        for weight in model.weights:
            if "bias" in weight.path:
                weight.assign(random.normal(size=weight.shape) * 0.3)
        x = random.normal(size=(9, 3)).astype(np.float32)
        outputs = {"x": x, "y": np.ascontiguousarray(np.asarray(keras.ops.convert_to_numpy(model(x[None])))[0])}
        notes = {"keras": keras.__version__, "backend": keras.backend.backend(), "seed": str(SEED + index)}
        base = os.path.join(HERE, f"kerasfile_{name}")
        model.save(base + ".keras")
        save_file(outputs, base + ".keras.expected.safetensors", notes)
        if not name.startswith("functional"):
            model.save_weights(base + ".weights.h5")
            save_file(outputs, base + ".weights.h5.expected.safetensors", notes)
            with open(base + ".json", "w") as file:
                file.write(model.to_json())
        print(name, [os.path.getsize(base + end) for end in (".keras",)])


def make_external():
    """One export of the dynamo exporter with its weights in a second file, as it writes by default."""
    import numpy as np
    import onnxruntime
    import torch
    from safetensors.numpy import save_file
    from torch import nn

    torch.manual_seed(SEED)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(2, 24, batch_first=True)
            self.head = nn.Linear(24, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    path = os.path.join(HERE, "external_lstm.onnx")
    torch.onnx.export(Model().eval(), (torch.randn(1, 6, 2),), path, dynamo=True, external_data=True, verbose=False)
    x = np.random.default_rng(SEED).normal(size=(6, 2)).astype(np.float32)
    session = onnxruntime.InferenceSession(path)
    y = session.run(None, {session.get_inputs()[0].name: x[None]})[0][0]
    save_file({"x": x, "y": np.ascontiguousarray(y)}, path.replace(".onnx", ".safetensors"), metadata={"torch": torch.__version__})


if __name__ == "__main__":
    os.makedirs(HERE, exist_ok=True)
    parts = {"torch": make_torch, "onnx": make_onnx, "variants": make_onnx_variants, "external": make_external, "keras": make_keras, "keras-files": make_keras_files, "keras-onnx": make_keras_onnx}
    for part in sys.argv[1:] or list(parts):
        try:
            parts[part]()
        except ImportError as error:
            print(f"{part}: skipped, {error}", file=sys.stderr)
    for name in os.listdir(HERE):
        os.chmod(os.path.join(HERE, name), 0o644)
