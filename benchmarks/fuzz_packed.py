"""Random small networks × recipes ending in `packed`: every file must do what its model does.

    python benchmarks/fuzz_packed.py [--cases 300] [--seed 0] [--direct] [--out fuzz_packed.jsonl]

Each case has a seed of its own: a convolution (strides, padding, dilation, groups, depthwise) or
dense layer, an activation, what stands behind it (BatchNormalization, a multiplication, an addition
or nothing), a recipe that puts its kernels on levels, a target, and one of both Kerases. The file's
outputs on fresh inputs are compared with the network's, by XNNPACK and by the builtin kernels.
--direct puts all kernels on the recipe's levels without training, in wider layers and with every
option of Packed: many more cases a minute. With --out, finished cases are kept there and not done
again; a failed one is repeated by its seed: `--seed 17 --cases 1`. Exit code 1 if any case fails.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfcompress as tfc
from tfcompress._backend.bridge import predict
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.core import InterpreterError, InvariantError, ParityError, TfcompressError
from tfcompress.core._types import Array, Layer, Model, Tensor
from tfcompress.targets import Packed, packed_layers
from tfcompress.targets.packing import RESTS, RUNTIMES
from tfcompress.training import Fit

RECIPES = ("mixed1", "mixed2", "cluster16", "xnor", "")
TARGETS = ("packed", "packedsize")
KINDS = ("Conv2D", "Conv2D", "DepthwiseConv2D", "Conv1D", "SeparableConv2D", "Dense")
BEHIND = ("BatchNormalization", "Multiply", "Add", "nothing")
BOUND = 0.05
"""‖file − model‖ / ‖model‖ of the outputs: integer kernels round their inputs to 8 bits."""


@dataclass(frozen=True)
class Case:
    """What one seed stands for; `runtime` and `rest` are Packed's where nothing is trained."""

    seed: int
    direct: bool
    flavour: str
    kind: str
    filters: int
    size: int
    strides: int
    padding: str
    dilation: int
    groups: int
    bias: bool
    activation: str
    behind: str
    recipe: str
    runtime: str
    rest: str

    @classmethod
    def of(cls, seed: int, direct: bool = False) -> Case:
        """The case of a seed."""
        r = np.random.RandomState(seed)
        kind = str(r.choice(KINDS))
        groups = int(r.choice([1, 1, 2, 4])) if kind in ("Conv2D", "Conv1D") else 1
        dilation = int(r.choice([1, 1, 2]))
        method, target = str(r.choice(RECIPES)), str(r.choice(TARGETS))
        return cls(
            seed=seed,
            direct=direct,
            flavour=str(r.choice(["keras", "tf_keras"])),
            kind=kind,
            filters=int(r.choice([8, 64, 256] if direct else [8, 16, 32, 64])),
            size=int(r.choice([1, 2, 3, 5])),
            strides=1 if dilation > 1 else int(r.choice([1, 2])),
            padding=str(r.choice(["same", "valid"])),
            dilation=dilation,
            groups=groups,
            bias=bool(r.randint(2)),
            activation=str(r.choice(["linear", "relu", "relu", "relu6", "tanh"])),
            behind=str(r.choice(BEHIND)),
            recipe=f"{method}-{target}" if method else target,
            runtime=str(r.choice(RUNTIMES)),
            rest=str(r.choice(RESTS)),
        )


def network(case: Case) -> Model:
    """[20, 20, 16] (or [20, 16]) → two such layers → pooling → dense."""
    keras = importlib.import_module(case.flavour)
    keras.utils.set_random_seed(case.seed)
    layers = keras.layers
    flat = case.kind in ("Conv1D", "Dense")
    x = inputs = layers.Input((20, 16) if flat else (20, 20, 16))
    for place in ("first", "second"):
        y = _layer(case, layers, place)(x)
        x = _behind(case, layers, y, place)
    x = layers.GlobalAveragePooling1D()(x) if flat else layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(8, name="head")(x))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model


def _layer(case: Case, layers: ModuleType, name: str) -> Layer:
    """The case's own layer."""
    activation = None if case.activation in ("linear", "relu6") else case.activation
    common = {"activation": activation, "use_bias": case.bias, "name": name}
    if case.kind == "Dense":
        return layers.Dense(case.filters, **common)
    window = {"strides": case.strides, "padding": case.padding, "dilation_rate": case.dilation}
    if case.kind == "DepthwiseConv2D":
        return layers.DepthwiseConv2D(case.size, **window, **common)
    if case.kind == "SeparableConv2D":
        return layers.SeparableConv2D(case.filters, case.size, **window, **common)
    make = layers.Conv1D if case.kind == "Conv1D" else layers.Conv2D
    return make(case.filters, case.size, groups=case.groups, **window, **common)


def _behind(case: Case, layers: ModuleType, y: Tensor, place: str) -> Tensor:
    """What stands behind the layer."""
    if case.activation == "relu6":
        y = layers.ReLU(6.0)(y)
    channels = y.shape[-1]
    if case.behind == "BatchNormalization":
        return layers.BatchNormalization(name=f"{place}_normalized")(y)
    if case.behind == "Multiply":
        return layers.Rescaling(np.linspace(0.5, 2, channels).tolist(), name=f"{place}_scaled")(y)
    if case.behind == "Add":
        return layers.Add(name=f"{place}_sum")([y, layers.Rescaling(0.5)(y)])
    return y


def disturb(model: Model, seed: int) -> None:
    """Biases and BatchNormalizations with values that matter."""
    r = np.random.RandomState(seed)
    for layer in model.layers:
        weights = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            count = weights[0].shape
            gamma = r.uniform(0.5, 1.5, count) * r.choice([-1, 1], count)
            moving = [r.normal(0, 0.1, count), r.uniform(0.5, 2, count)]
            layer.set_weights([gamma, r.normal(0, 0.2, count), *moving])
        elif weights and weights[-1].ndim == 1:
            layer.set_weights([*weights[:-1], r.normal(0, 0.1, weights[-1].shape)])


def inputs_of(shape: tuple[int, ...], r: np.random.RandomState) -> Array:
    """Inputs of different sizes, so that the outputs of a random network differ between them.

    The parity check measures errors in units of that difference.
    """
    size = r.uniform(0.2, 3, (shape[0], *[1] * (len(shape) - 1)))
    return (r.uniform(-1, 1, shape) * size).astype(np.float32)


def on_levels(model: Model, method: str, seed: int) -> None:
    """Every kernel on the levels that a recipe would train it to; sparse bytes for none."""
    r = np.random.RandomState(seed)
    clusters = r.normal(0, 0.2, 16)
    for layer in model.layers:
        weights = layer.get_weights()
        for place, kernel in enumerate(weights):
            if kernel.ndim < 2:
                continue
            step = np.abs(kernel).mean() * (1 if seed % 2 else r.uniform(0.5, 2, kernel.shape[-1]))
            if method in ("mixed1", "xnor"):
                weights[place] = r.choice([-1, 1], kernel.shape) * step
            elif method == "mixed2":
                weights[place] = r.choice([-3, -1, 1, 3], kernel.shape) * step / 3
            elif method == "cluster16":
                weights[place] = clusters[r.randint(0, 16, kernel.shape)]
            else:
                full = r.random_sample(kernel.shape) < 0.1
                weights[place] = r.randint(-127, 128, kernel.shape) * full * step / 30
        layer.set_weights(weights)


def packed(case: Case, model: Model, x: Array, y: Array) -> tuple[bytes, Model]:
    """The case's file and the model that it must do the same as.

    Without training there is no parity check: beside the small differences between the outputs of
    a random network, the 8 bits of activations can be much.
    """
    method, _, target = case.recipe.rpartition("-")
    if case.direct:
        on_levels(model, method, case.seed)
        prefer = "size" if target == "packedsize" else "speed"
        whole = Packed(prefer, case.runtime, case.rest)
        data = whole.convert(model)
        whole.check(model, data)
        return data, model
    fit = Fit(x, y, epochs=1, batch_size=16)
    artifact = tfc.compress(model, case.recipe, fit, x, seed=case.seed, progress=False)
    return artifact.data, artifact.model


def off(data: bytes, model: Model, x: Array) -> float:
    """Largest relative error of the file's outputs over both kinds of kernels."""
    expected = predict(model, [x])[0]
    errors = []
    for delegates in (True, False):
        opened = open_interpreter(data, runtime="litert", delegates=delegates)
        difference = np.linalg.norm(opened.predict([x])[0] - expected)
        errors.append(float(difference / max(np.linalg.norm(expected), 1e-6)))
    return max(errors)


def run(case: Case) -> str:
    """ "ok", "refused: …" by an error that names the reason, or "FAILED: …"."""
    r = np.random.RandomState(case.seed + 1)
    try:
        model = network(case)
        disturb(model, case.seed)
        shape = (32, *model.inputs[0].shape[1:])
        x = inputs_of(shape, r)
        y = r.normal(0, 1, (32, 8)).astype(np.float32)
        data, model = packed(case, model, x, y)
        fresh = inputs_of(shape, r)
        error = off(data, model, fresh)
        packed_layers(data, model)
    except (InvariantError, ParityError, InterpreterError) as broken:
        return f"FAILED: {type(broken).__name__}: {broken}"
    except TfcompressError as refusal:
        return f"refused: {refusal}"
    except Exception as trace:  # any other exception is what the fuzz looks for
        return f"FAILED: {type(trace).__name__}: {trace}"
    return "ok" if error <= BOUND else f"FAILED: outputs off by {error:.3g}, bound {BOUND}"


def main() -> int:
    """Run the cases that are not done yet and print how many of all failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case")
    parser.add_argument("--direct", action="store_true", help="levels without training")
    parser.add_argument("--out", type=Path, help="JSON lines: one for each finished case")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results: dict[tuple[int, bool], str] = {}
    if options.out and options.out.exists():
        for line in options.out.read_text().splitlines():
            record = json.loads(line)
            results[record["seed"], record["direct"]] = record["result"]
    seeds = range(options.seed, options.seed + options.cases)
    for seed in seeds:
        if (seed, options.direct) in results:
            continue
        case = Case.of(seed, options.direct)
        results[seed, options.direct] = result = run(case)
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps({**asdict(case), "result": result}) + "\n")
        if result != "ok":
            print(f"{case}\n    {result}", flush=True)
    counts = Counter(results[seed, options.direct].split(":")[0] for seed in seeds)
    print(", ".join(f"{kind} {count}" for kind, count in sorted(counts.items())))
    return int(counts["FAILED"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
