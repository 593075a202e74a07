"""What a firmware needs of a `.tflite`: C array, operators, arena, quantization, a test vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress.core import Profile, RecipeError, refuse_existing, write_all
from tfcompress.core._types import Array, ArrayLike
from tfcompress.devices import _c_code
from tfcompress.devices._micro import Micro
from tfcompress.profiling._source import File, Source

NAMES = ("model.h", "model.cc", "model_operators.h", "model_test.h", "README.md")
ALIGNMENT = 16


@dataclass(frozen=True)
class Vector:
    """One input or output of the test vector as the file stores it, with what describes it."""

    name: str
    values: Array
    scale: float
    zero_point: int


def write_kit(
    file: File,
    out: str | Path,
    *,
    x: Sequence[ArrayLike] | None = None,
    margin: float = 0.2,
    overwrite: bool = False,
) -> list[Path]:
    """Write what a firmware needs to run a `.tflite` with TensorFlow Lite for Microcontrollers.

    `model.h` and `model.cc` are the file as an aligned array, the arena's size and the ends'
    quantization; `model_operators.h` adds the operators to a resolver; `model_test.h` is one input
    with the outputs that the interpreter gives here; `README.md` says how to use them.

    Args:
        file: path, bytes or Artifact.
        out: the folder.
        x: one array [1, …] for every input, for the test vector; without it, random values.
        margin: of the arena, above what was measured here, for a device whose kernels take scratch
            memory of their own.
        overwrite: replace files of these names.

    Raises:
        InterpreterError: the file does not run there, or the extra `micro` is missing.
        ArtifactError: files that are there already, or a folder that cannot be written.
        RecipeError: a margin below 0.
    """
    if not math.isfinite(margin) or margin < 0:
        raise RecipeError(f"margin={margin}: expected a share of the arena, 0 or more.")
    source = Source.of(file)
    paths = {name: Path(out) / name for name in NAMES}
    if not overwrite:
        refuse_existing(paths.values())
    device = Micro()
    profile = device.profile(source.data, source.name)
    arena = _rounded(math.ceil((profile.arena_bytes or 0) * (1 + margin)))
    inputs = _inputs(profile, x)
    real = device.run(source.data, [vector.values for vector in inputs])
    outputs = [_vector(info, values) for info, values in zip(profile.outputs, real)]
    operators = list(dict.fromkeys(op.kind for op in profile.ops))
    contents = {
        "model.h": _c_code.header(len(source.data), arena, inputs, outputs),
        "model.cc": _c_code.array(source.data, ALIGNMENT),
        "model_operators.h": _c_code.operators(operators),
        "model_test.h": _c_code.test_vector(inputs, outputs),
        "README.md": _readme(profile, arena, margin, operators),
    }
    texts = {paths[name]: text for name, text in contents.items()}
    return write_all(texts, overwrite=overwrite)


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _inputs(profile: Profile, x: Sequence[ArrayLike] | None) -> list[Vector]:
    """One batch for every input as the file stores it: of `x`, or of random values."""
    if x is None:
        return [_random(info, number) for number, info in enumerate(profile.inputs)]
    if len(x) != len(profile.inputs):
        raise RecipeError(f"x has {len(x)} arrays; the file has {len(profile.inputs)} inputs.")
    return [_vector(info, np.asarray(values)) for info, values in zip(profile.inputs, x)]


def _random(info: dict[str, Any], seed: int) -> Vector:
    rng = np.random.default_rng(seed)
    dtype, shape = np.dtype(info["dtype"]), [size or 1 for size in info["shape"]]
    if dtype.kind == "f":
        return _vector(info, rng.random(shape).astype(dtype))
    if not info.get("scale"):
        return _vector(info, np.zeros(shape, dtype))
    limits = np.iinfo(dtype)
    return _vector(info, rng.integers(limits.min, limits.max, shape, dtype, endpoint=True))


def _vector(info: dict[str, Any], values: Array) -> Vector:
    """`values`, real or stored, as the file stores them: round(x / scale) + zero_point, clipped."""
    dtype = np.dtype(info["dtype"])
    scale, zero_point = float(info.get("scale", 0.0)), int(info.get("zero_point", 0))
    if scale and values.dtype != dtype:
        limits = np.iinfo(dtype)
        stored = np.rint(values.astype(np.float64) / scale) + zero_point
        values = np.clip(stored, limits.min, limits.max)
    return Vector(info["name"], values.astype(dtype), scale, zero_point)


def _readme(profile: Profile, arena: int, margin: float, operators: Sequence[str]) -> str:
    text = files("tfcompress.devices").joinpath("kit.md").read_text()
    parts = [f"| {what} | {size:,} |" for what, size in profile.arena_parts]
    return text.format(
        name=profile.name,
        sha256=profile.sha256,
        flash=f"{profile.flash_bytes:,}",
        arena=f"{arena:,}",
        measured=f"{profile.arena_bytes:,}",
        margin=f"{margin:.0%}",
        parts="\n".join(parts),
        operators=", ".join(operators),
        runtime=profile.runtime,
    )
