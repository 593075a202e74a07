"""Random models of both Kerases × random recipes: a right file, or one clear error.

`python benchmarks/fuzz.py --cases 200 --out fuzz.jsonl` goes on where the file ends, runs
the cases in child processes (a crash of the interpreter costs one case), and ends with the counts.
`--case 17` runs one case here, with its traceback.

A case is right if the file's outputs on fresh inputs agree with the model that the Artifact holds:
‖file − Keras‖ ≤ bound · max(‖Keras − mean‖, share · ‖Keras‖), per output, and the user's model is
as it was; or if a tfcompress error of one paragraph is raised. A packed file of a
quantization-aware model computes in int8: it is compared with the dense int8 file of that model.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from children import carry_out, drive, rows_of

CHUNK = 60
"""Cases a child process runs: TensorFlow's graphs of all of them stay in its memory."""
BOUNDS = {"float32": 1e-3, "float16": 3e-2, "packed": 1e-2, "packedsize": 1e-2}
"""Relative error allowed a target; LOOSE for all others, since untrained networks hardly vary."""
LOOSE = 0.6
"""Also for other files of a quantization-aware model than packed ones: after two steps of training
its outputs have some ten levels (12/255 apart), and the last bit flips one of them."""
TECHNIQUES = [
    "",
    "",
    "prune50",
    "prune2of4",
    "cluster8",
    "qat",
    "prune50-qat",
    "cluster8-qat",
    "filters30",
    "filters50-finetune",
    "macs60",
    "lowrank60",
    "slim30",
    "mixed2",
    "mixed4",
    "xnor",
]
TARGETS = ["float32", "float16", "dynamic", "int8", "int16x8", "packed", "packedsize"]
ACTIVATIONS = ["relu", "relu6", "swish", "tanh", "sigmoid", "elu", "gelu", "linear", "softmax"]


class Builder:
    """One random model, drawn from `rng`: images, vectors or words in, one or two outputs."""

    def __init__(self, flavour: str, rng: np.random.Generator):
        self.keras: Any = importlib.import_module(flavour)
        self.layers: Any = self.keras.layers
        self.rng = rng
        self.shared: dict[int, Any] = {}

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def flip(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def build(self) -> Any:
        start = self.pick([self.image, self.image, self.image, self.vector, self.words, self.pair])
        inputs, features = start()
        head = self.layers.Dense(int(self.rng.integers(2, 7)), name="head")(features)
        outputs = [self.layers.Softmax()(head) if self.flip() else head]
        if self.flip(0.2):
            outputs.append(self.layers.Dense(2, activation="tanh", name="second")(features))
        return self.keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])

    def image(self) -> tuple[list[Any], Any]:
        size, channels = self.pick([8, 10, 12]), self.pick([1, 3, 4])
        x = given = self.keras.Input((size, size, channels), name="image")
        for _ in range(int(self.rng.integers(1, 5))):
            x = self.image_step(x)
        pool = self.layers.GlobalAveragePooling2D()
        x = pool(x) if self.flip() else self.layers.Flatten()(x)
        return [given], self.dense(x)

    def image_step(self, x: Any) -> Any:
        steps = [self.convolution, self.convolution, self.convolution, self.depthwise]
        steps += [self.separable, self.grouped, self.transposed, self.pool, self.residual]
        steps += [self.gate, self.operation, self.nested]
        return self.pick(steps)(x)

    def after(self, x: Any) -> Any:
        """What often stands behind a convolution."""
        if self.flip():
            x = self.layers.BatchNormalization()(x)
        if self.flip():
            x = self.layers.Activation(self.pick(ACTIVATIONS))(x)
        elif self.flip(0.2):
            x = self.layers.PReLU(shared_axes=[1, 2])(x)
        return self.layers.Dropout(0.2)(x) if self.flip(0.2) else x

    def options(self) -> dict[str, Any]:
        strides = self.pick([1, 1, 2])
        return {
            "padding": self.pick(["same", "valid"]),
            "use_bias": self.flip(),
            "activation": self.pick([None, None, *ACTIVATIONS]),
            "strides": strides,
            "dilation_rate": self.pick([1, 1, 2]) if strides == 1 else 1,
        }

    def kernel(self, x: Any) -> Any:
        """A kernel that fits also where it is dilated by two."""
        return self.pick([1, 3]) if min(x.shape[1:3]) >= 5 else 1

    def convolution(self, x: Any) -> Any:
        filters = int(self.rng.integers(2, 13))
        return self.after(self.layers.Conv2D(filters, self.kernel(x), **self.options())(x))

    def depthwise(self, x: Any) -> Any:
        layer = self.layers.DepthwiseConv2D(
            self.kernel(x), depth_multiplier=self.pick([1, 1, 2]), **self.options()
        )
        return self.after(layer(x))

    def separable(self, x: Any) -> Any:
        filters = int(self.rng.integers(2, 10))
        return self.after(self.layers.SeparableConv2D(filters, self.kernel(x), **self.options())(x))

    def grouped(self, x: Any) -> Any:
        wide = self.layers.Conv2D(8, 1)(x)
        groups = self.pick([2, 4, 8])
        return self.after(
            self.layers.Conv2D(8, self.kernel(x), groups=groups, **self.options())(wide)
        )

    def transposed(self, x: Any) -> Any:
        if max(x.shape[1:3]) > 12:
            return x
        return self.after(self.layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x))

    def pool(self, x: Any) -> Any:
        kind = self.pick(["MaxPooling2D", "AveragePooling2D"])
        return getattr(self.layers, kind)(2, padding="same")(x)

    def residual(self, x: Any) -> Any:
        branch = self.layers.Conv2D(x.shape[-1], 3, padding="same")(x)
        return self.layers.Add()([x, self.after(branch)])

    def gate(self, x: Any) -> Any:
        squeezed = self.layers.GlobalAveragePooling2D(keepdims=True)(x)
        return self.layers.Multiply()(
            [x, self.layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(squeezed)]
        )

    def operation(self, x: Any) -> Any:
        return x * 0.5 + 0.1 if self.flip() else self.layers.Rescaling(2.0, -1.0)(x)

    def nested(self, x: Any) -> Any:
        given = self.keras.Input(tuple(x.shape[1:]))
        inner = self.keras.Model(given, self.after(self.layers.Conv2D(x.shape[-1], 1)(given)))
        return inner(inner(x)) if self.flip() else inner(x)

    def dense(self, x: Any) -> Any:
        for _ in range(int(self.rng.integers(0, 3))):
            units = int(self.rng.integers(4, 20))
            x = self.layers.Dense(units, activation=self.pick([None, *ACTIVATIONS]))(x)
            x = self.layers.BatchNormalization()(x) if self.flip(0.3) else x
            x = self.layers.LayerNormalization()(x) if self.flip(0.15) else x
        return x

    def vector(self) -> tuple[list[Any], Any]:
        x = given = self.keras.Input((int(self.rng.integers(4, 24)),), name="vector")
        return [given], self.dense(self.layers.Dense(12, activation="relu")(x))

    def pair(self) -> tuple[list[Any], Any]:
        """Two inputs, a shared layer, and a nested model that is called with a dict."""
        one, two = (self.keras.Input((8,), name=name) for name in ("left", "right"))
        shared = self.layers.Dense(8, activation="relu")
        a, b = self.keras.Input((8,), name="a"), self.keras.Input((8,), name="b")
        inner = self.keras.Model([b, a], self.layers.Subtract()([b, self.layers.Dense(8)(a)]))
        joined = inner({"a": shared(one), "b": shared(two)})
        return [one, two], self.dense(self.layers.Concatenate()([joined, one]))

    def words(self) -> tuple[list[Any], Any]:
        given = self.keras.Input((6,), dtype="int32", name="words")
        x = self.layers.Embedding(12, 8, mask_zero=self.flip())(given)
        kind = self.pick(["LSTM", "GRU", "attention", "Conv1D", "Bidirectional"])
        if kind == "attention":
            x = self.layers.MultiHeadAttention(2, 4)(x, x)
            return [given], self.dense(self.layers.GlobalAveragePooling1D()(x))
        if kind == "Conv1D":
            x = self.layers.Conv1D(8, 3, activation="relu")(x)
            return [given], self.dense(self.layers.GlobalMaxPooling1D()(x))
        if kind == "Bidirectional":
            return [given], self.layers.Bidirectional(self.layers.LSTM(6))(x)
        return [given], self.dense(getattr(self.layers, kind)(8)(x))


def settle(model: Any, rng: np.random.Generator) -> None:
    """Weights of the size that trained ones have, and BatchNormalization statistics that differ."""
    weights = []
    for weight in model.get_weights():
        noise = rng.normal(0, 0.1, weight.shape)
        is_vector = weight.ndim == 1
        weights.append(
            (weight + np.abs(noise) if is_vector else weight + noise).astype(weight.dtype)
        )
    model.set_weights(weights)


def data_for(model: Any, n: int, rng: np.random.Generator) -> list[Any]:
    """Fresh inputs [n, ...] of every input of the model."""
    arrays = []
    for tensor in model.inputs:
        shape, dtype = (n, *tensor.shape[1:]), getattr(tensor.dtype, "name", tensor.dtype)
        is_whole = np.dtype(dtype).kind in "iu"
        drawn = rng.integers(1, 12, shape) if is_whole else rng.random(shape)
        arrays.append(drawn.astype(dtype))
    return arrays


def run_case(number: int) -> dict[str, Any]:
    """Carry out one case; what came out, as a row."""
    import tfcompress as tfc
    from tfcompress.core import TfcompressError

    rng = np.random.default_rng([20261124, number])
    flavour = ["keras", "tf_keras"][number % 2]
    keras: Any = importlib.import_module(flavour)
    keras.utils.set_random_seed(number)
    words = [str(rng.choice(TECHNIQUES)), str(rng.choice(TARGETS))]
    row: dict[str, Any] = {
        "case": number,
        "keras": flavour,
        "recipe": "-".join(filter(None, words)),
    }
    model = Builder(flavour, rng).build()
    settle(model, rng)
    row["layers"] = [type(layer).__name__ for layer in model.layers]
    before = [weight.tobytes() for weight in model.get_weights()]
    samples = data_for(model, 64, rng)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            artifact = tfc.compress(
                model, row["recipe"], fit=trainer(model, samples), samples=samples, progress=False
            )
        fresh = data_for(model, 16, rng)
        row |= compared(artifact, fresh, words[1])
    except TfcompressError as error:
        lines = str(error).strip().splitlines()
        row |= {"result": "error" if len(lines) <= 3 else "long error", "error": str(error)[:600]}
        row["kind"] = type(error).__name__
    except Exception:
        row |= {"result": "traceback", "error": traceback.format_exc()[-1500:]}
    if [weight.tobytes() for weight in model.get_weights()] != before:
        row["result"] = "model changed"
    return row


def trainer(model: Any, samples: list[Any]) -> Callable[[Any, list[Any]], None]:
    """One short epoch of Fit towards the model's own outputs."""
    from tfcompress._backend.keras._inputs import predict
    from tfcompress.training import Fit

    x = samples if len(samples) > 1 else samples[0]
    outputs = predict(model, samples)  # Keras's own ends on BatchNormalization → tanh in TF 2.21
    y = outputs if len(outputs) > 1 else outputs[0]
    return Fit(x, y, epochs=1, batch_size=32, loss="mse", verbose=0)


def compared(artifact: Any, fresh: list[Any], target: str) -> dict[str, Any]:
    """The file's outputs against those of the model that it claims to be."""
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    expected = expected_of(artifact, fresh, target)
    outputs = open_interpreter(artifact.data).predict(fresh)
    errors = []
    for one, other in zip(expected, outputs):
        flat, got = one.reshape(len(one), -1), np.asarray(other, np.float64).reshape(len(one), -1)
        spread = np.linalg.norm(flat - flat.mean(0))
        scale = max(spread, 0.1 * np.linalg.norm(flat), 1e-6)
        errors.append(float(np.linalg.norm(flat - got) / scale))
    worst = max(errors)
    is_right = len(expected) == len(outputs) and worst <= bound_of(artifact, target)
    return {"result": "right" if is_right else "wrong", "relative_error": worst}


def bound_of(artifact: Any, target: str) -> float:
    """The relative error allowed."""
    from tfcompress._backend.tflite._precision import is_quantization_aware

    is_loose = is_quantization_aware(artifact.model) and not target.startswith("packed")
    return LOOSE if is_loose else BOUNDS.get(target, LOOSE)


def expected_of(artifact: Any, fresh: list[Any], target: str) -> list[Any]:
    """The outputs that the file must have: the model's, or those of its dense int8 file."""
    from tfcompress._backend.interpreter._interpreter import open_interpreter
    from tfcompress._backend.keras._inputs import predict
    from tfcompress._backend.tflite import _converter as converter
    from tfcompress._backend.tflite._precision import is_quantization_aware

    if not (target.startswith("packed") and is_quantization_aware(artifact.model)):
        return predict(artifact.model, fresh)
    dense = converter.convert(artifact.model, converter.Format("dense", optimize=True))
    return open_interpreter(dense).predict(fresh)


def summary(rows: list[dict[str, Any]]) -> str:
    """Counts of results, and the cases that are neither right nor a clear error."""
    counts = Counter(row["result"] for row in rows)
    lines = [f"{len(rows)} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common())]
    kinds = Counter(row["kind"] for row in rows if row["result"] == "error")
    lines.append("errors: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))
    for row in rows:
        if row["result"] not in ("right", "error"):
            last = row.get("error", "").strip().splitlines()[-1:] or [
                str(row.get("relative_error"))
            ]
            lines.append(
                f"case {row['case']} {row.get('recipe')}: {row['result']}: {last[0][:200]}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz.jsonl"))
    parser.add_argument("--case", type=int)
    parser.add_argument("--work", type=int, nargs=2)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(run_case(options.case), indent=1))
    elif options.work:
        carry_out(options.out, range(*options.work), run_case)
    else:
        drive(__file__, options.out, options.first, options.cases, CHUNK)
        print(summary(rows_of(options.out)))


if __name__ == "__main__":
    main()
