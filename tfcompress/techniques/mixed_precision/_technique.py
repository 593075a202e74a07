"""Mixed precision: every layer trained on as many bits as it needs, down to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress.core import (
    Check,
    InvariantError,
    ModelError,
    RecipeError,
    Rule,
    Skipped,
    Stage,
    Technique,
    Training,
)
from tfcompress.techniques.mixed_precision import _levels as _low_bit

FLOAT = 32
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, _low_bit.TERNARY)


@dataclass(frozen=True, eq=False)
class MixedPrecision(Technique):
    """Train layers on 1 to 8 bits (or "ternary") with a straight-through gradient, so that `Packed` writes them in as many.

    `bits` maps layer names to bits, 32 being float; layers that are not named stay float. A single number is for all layers but
    the first and the last with weights; a Rule such as `analysis.SignificanceBits()` is decided when the recipe runs.

    1 bit: α·sign(c), c = w − mean(w), α = mean|w| (XNOR-Net, arXiv 1603.05279); 2 and 3
    bits: 2^b even, symmetric levels of [−1, 1], ends included, times α (2 bits: ±α/3, ±α); from 4 bits on one level fewer, so that
    zero is one and integer kernels hold them all (4 bits: −7…7 times α/7). `scale` says whether α and the mean are the
    layer's or each output channel's. `fit="unit"` clips c to [−1, 1] as stated; trained kernels are so small that only the two
    middle ones of the levels occur then. `fit="gaussian"` clips to ±r, the range that rounds Gaussian weights of c's deviation with
    the least error, and takes α = r, so that all levels are used.

    `activations="same"` also puts the input of each such layer on its bits: clipped to [−1, 1], sign(x) at 1 bit, where sign(0) is 0
    (with +1, everything behind a ReLU would be +1 and nothing would pass), else uniform levels, without a scale. The stripped model
    keeps these roundings as layers `LowBit` around the user's; its kernels lie exactly on their levels either way.

    Raises RecipeError for values out of range and, in `apply`, for a layer name the model does not have.
    """

    stage: ClassVar[Stage] = Stage.NUMERICS
    training: ClassVar[Training] = Training.REQUIRED

    bits: Mapping[str, int | str] | int | str | Rule
    activations: str | None = None
    scale: str = "layer"
    fit: str = "gaussian"

    def __post_init__(self):
        super().__post_init__()
        widths: Any = (
            self.bits.values()
            if isinstance(self.bits, Mapping)
            else ()
            if isinstance(self.bits, Rule)
            else [self.bits]
        )
        for width in widths:
            if isinstance(width, bool) or width not in (*WIDTHS, FLOAT):
                raise RecipeError(f"bits must be 1 to 8, 'ternary' or 32 (float), got {width!r}.")
        if self.bits == FLOAT or (isinstance(self.bits, Mapping) and set(widths) <= {FLOAT}):
            raise RecipeError(
                "MixedPrecision with every layer float changes nothing: give at least one layer 1 to 8 bits or 'ternary'."
            )
        for field, known in (
            ("activations", (None, "same")),
            ("scale", ("layer", "channel")),
            ("fit", ("unit", "gaussian")),
        ):
            if getattr(self, field) not in known:
                raise RecipeError(
                    f"{field} must be one of {', '.join(map(repr, known))}, got {getattr(self, field)!r}."
                )

    @property
    def label(self) -> str:
        """`mixed` and the widths, most first: `mixed21`; then `a` with activations, `pc` per channel, `u` for the unit range."""
        marks = (
            "a" * bool(self.activations)
            + "pc" * (self.scale == "channel")
            + "u" * (self.fit == "unit")
        )
        if isinstance(self.bits, Rule):
            return self.bits.label + marks
        widths: set[Any] = {
            b
            for b in (self.bits.values() if isinstance(self.bits, Mapping) else [self.bits])
            if b != FLOAT
        }
        order = sorted(widths, key=lambda b: -(1.6 if b == _low_bit.TERNARY else b))
        word = "".join("t" if b == _low_bit.TERNARY else str(b) for b in order)
        return f"mixed{word}{marks}"

    def apply(self, model: Any) -> Any:
        """A flat tf_keras model whose chosen layers are wrapped in LowBit, compiled as `model` is.

        Raises ModelError when no layer of `model` can be put on levels.
        """
        chosen, skipped = self._plan(model)
        if not chosen:
            raise ModelError(
                f"{self.label} finds no layer to put on levels. " + " ".join(map(str, skipped))
            )
        flat = _keras.to_tf_keras(model, flatten=True)
        by_name = {layer.name: layer for layer in flat.layers}
        names = _low_bit.flat_names(model)
        wrapped = _low_bit.wrap(
            flat,
            {id(by_name[names[id(layer)]]): width for layer, width in chosen},
            activations=self.activations == "same",
            per_channel=self.scale == "channel",
            fit=self.fit,
            origin=model,
        )
        _keras.carry_compile(model, wrapped)
        return wrapped

    def strip(self, model: Any) -> Any:
        """Plain Keras with kernels on their levels, in the flavour given to `apply`; with `activations`, LowBit around their layers."""
        origin = _low_bit.origin_of(model)
        plain, inputs = _low_bit.unwrap(model)
        if origin is not None:
            plain = _keras.restore(plain, origin)
        if not inputs:
            return plain
        names = _low_bit.flat_names(plain)
        return _low_bit.with_input_levels(
            plain, {key: inputs[name] for key, name in names.items() if name in inputs}
        )

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers with kernels that stay float: of another class, first or last, or given no bits."""
        return self._plan(model)[1]

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """The number of levels in every chosen kernel (per channel: the most in any), bound 2^bits; and that they are one step's multiples.

        Raises InvariantError, naming the layer, where weights lie off the levels or a wrapper for weights is left.
        """
        left = [layer.name for layer in _low_bit.wrapped_layers(after) if layer.bits is not None]
        if left:
            raise InvariantError(
                f"{self.label}: {left[0]!r} still carries its wrapper. Call strip() before check()."
            )
        promised, checks = {layer.name: width for layer, width in self._plan(before)[0]}, []
        for layer in _keras.leaf_layers(after):
            if layer.name in promised:
                width: Any = promised[layer.name]
                kernel = np.asarray(_low_bit.kernel_of(layer))
                bound = 3 if width == _low_bit.TERNARY else 2**width
                parts = [kernel.reshape(-1)]
                if self.scale == "channel":
                    axes = _low_bit.channel_axes(layer)
                    parts = list(
                        np.moveaxis(kernel, axes, range(len(axes))).reshape(
                            np.prod([kernel.shape[a] for a in axes]), -1
                        )
                    )
                most = max(len(np.unique(part)) for part in parts)
                if most > bound or not all(_on_grid(np.unique(part), width) for part in parts):
                    raise InvariantError(
                        f"{self.label}: {layer.name!r} has {most} values, not the levels of {width} bits."
                    )
                checks.append(Check(self.label, "different weights", most, bound, layer.name))
        return tuple(checks)

    def _plan(self, model: Any) -> tuple[list[tuple[Any, int | str]], tuple[Skipped, ...]]:
        if isinstance(self.bits, Rule):
            raise RecipeError(
                f"bits={self.bits!r} is not decided yet: compress() does it, or technique.decided(model, x)."
            )
        layers = [
            layer
            for layer in _keras.leaf_layers(model)
            if any(len(w.shape) >= 2 for w in layer.weights)
        ]
        if isinstance(self.bits, Mapping):
            missing = sorted(set(self.bits) - {layer.name for layer in layers})
            if missing:
                known = ", ".join(repr(layer.name) for layer in layers)
                raise RecipeError(
                    f"bits names {', '.join(map(repr, missing))}, but the layers with weights are {known}."
                )
        chosen, skipped = [], []
        for place, layer in enumerate(layers):
            width, reason = self._width(layer, place, len(layers))
            if reason:
                skipped.append(Skipped(layer.name, type(layer).__name__, self.label, reason))
            else:
                chosen.append((layer, width))
        return chosen, tuple(skipped)

    def _width(self, layer: Any, place: int, count: int) -> tuple[int | str, str]:
        if isinstance(self.bits, Mapping):
            width = self.bits.get(layer.name, FLOAT)
            reason = (
                "bits gives it 32: float"
                if layer.name in self.bits
                else "bits does not name it: float"
            )
        else:
            width: Any = FLOAT if place in (0, count - 1) else self.bits
            reason = (
                "first layer with weights: float"
                if place == 0
                else "last layer with weights: float"
            )
        if width == FLOAT:
            return FLOAT, reason
        if type(layer).__name__ not in _low_bit.KERNELS:
            return FLOAT, f"only {', '.join(_low_bit.KERNELS)} have low-bit kernels"
        return width, ""


def _on_grid(values: np.ndarray, width: Any) -> bool:
    """Whether float32 `values` are k · step with the integers k of that width, to the last bits of the product."""
    size = np.abs(values.astype(np.float64))
    top = size.max(initial=0)
    if top == 0:
        return True
    odd = width in (1, 2, 3)
    limit = 1 if width in (1, _low_bit.TERNARY) else 2**width - 1 if odd else 2 ** (width - 1) - 1
    for most in range(1, limit + 1, 2 if odd else 1):
        k = size * (most / top)
        whole = np.rint(k)
        if np.all(np.abs(k - whole) <= 2.0**-22 * whole) and (not odd or np.all(whole % 2 == 1)):
            return True
    return False
