"""Mixed precision: every layer trained on as many bits as it needs, down to one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend import tfmot as _tfmot
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
from tfcompress.core._types import Array, Layer, Model
from tfcompress.techniques.mixed_precision import _layer, _wrapping
from tfcompress.techniques.mixed_precision._levels import (
    TERNARY,
    Width,
    information,
    number_of_levels,
    on_grid,
)

FLOAT = 32
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, TERNARY)
CHOICES = {
    "activations": (None, "same"),
    "scale": ("layer", "channel"),
    "fit": ("unit", "gaussian"),
}


@dataclass(frozen=True, eq=False)
class MixedPrecision(Technique):
    """Trains layers on 1 to 8 bits (or "ternary") with a straight-through gradient.

    `Packed` then writes them in as many bits. With c = w − mean(w) and a scale α, a kernel is

        1 bit     α · sign(c)
        ternary   α · sign(c) where |c| > 0.7 mean|c|, else 0
        2, 3      2^b even, symmetric levels of [−1, 1], ends included, times α (2: ±α/3, ±α)
        4 to 8    one level fewer, so that zero is one (4 bits: −7 … 7 times α/7)

    Args:
        bits: Bits of each layer by its name, 32 being float; layers that are not named stay float.
            A single number is for all layers but the first and the last with weights. A Rule such
            as `analysis.SignificanceBits()` is decided when the recipe runs.
        activations: "same" also puts the input of each such layer on its bits: clipped to [−1, 1],
            sign(x) at 1 bit, where sign(0) is 0 (with +1, everything behind a ReLU would be +1 and
            nothing would pass), else uniform levels, without a scale. The stripped model keeps
            these roundings as layers `LowBit` around the user's.
        scale: Whether α and the mean are the "layer"'s or each output "channel"'s.
        fit: "gaussian": c is clipped to ±r, the range that rounds Gaussian weights of c's deviation
            with the least error, and α = r, so that all levels are used; α = mean|c| at 1 bit.
            "unit": c is clipped to [−1, 1] and α = mean|w| at every width, as XNOR-Net has it;
            trained kernels are so small that only the two middle levels occur then. Ternary has
            α = mean|c| of the weights that are not 0, with either.

    Raises:
        RecipeError: for values out of range and, in `apply`, for an unknown layer name.

    Source: Rastegari et al., XNOR-Net, arXiv 1603.05279; Li, Zhang & Liu, Ternary Weight Networks,
    arXiv 1605.04711; Max, Quantizing for Minimum Distortion, IRE Trans. Inf. Theory 1960.
    """

    stage: ClassVar[Stage] = Stage.NUMERICS
    training: ClassVar[Training] = Training.REQUIRED

    bits: Mapping[str, Width] | Width | Rule
    activations: str | None = None
    scale: str = "layer"
    fit: str = "gaussian"

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = self._widths()
        for width in widths:
            if isinstance(width, bool) or width not in (*WIDTHS, FLOAT):
                raise RecipeError(f"bits must be 1 to 8, 'ternary' or 32 (float), got {width!r}.")
        if not isinstance(self.bits, Rule) and set(widths) <= {FLOAT}:
            raise RecipeError(
                "MixedPrecision with every layer float changes nothing: "
                "give at least one layer 1 to 8 bits or 'ternary'."
            )
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                names = ", ".join(map(repr, known))
                raise RecipeError(f"{field} must be one of {names}, got {getattr(self, field)!r}.")

    def _widths(self) -> list[Width]:
        """The widths that `bits` names; none of a Rule, which is decided later."""
        if isinstance(self.bits, Rule):
            return []
        if isinstance(self.bits, Mapping):
            return list(self.bits.values())
        return [self.bits]

    @property
    def label(self) -> str:
        """`mixed21`: the widths, most first; then `a` (activations), `pc` (channel), `u` (unit)."""
        marks = "a" if self.activations else ""
        if self.scale == "channel":
            marks += "pc"
        if self.fit == "unit":
            marks += "u"
        if isinstance(self.bits, Rule):
            return self.bits.label + marks
        widths = sorted(set(self._widths()) - {FLOAT}, key=information, reverse=True)
        word = "".join("t" if width == TERNARY else str(width) for width in widths)
        return f"mixed{word}{marks}"

    def apply(self, model: Model) -> Model:
        """A flat tf_keras model whose chosen layers are in LowBit, compiled as `model` is.

        Raises ModelError when no layer of `model` can be put on levels.
        """
        chosen, skipped = self._plan(model)
        if not chosen:
            reasons = " ".join(map(str, skipped))
            raise ModelError(f"{self.label} finds no layer to put on levels. {reasons}")
        flat = _keras.to_tf_keras(model, flatten=True)
        names = _wrapping.flat_names(model)
        widths = {names[id(layer)]: width for layer, width in chosen}
        wrapped = _wrapping.wrap(
            flat,
            {id(layer): widths[layer.name] for layer in flat.layers if layer.name in widths},
            activations=self.activations == "same",
            per_channel=self.scale == "channel",
            fit=self.fit,
        )
        _tfmot.note(wrapped, "origin", model)
        _keras.carry_compile(model, wrapped, learns_anew=True)
        return wrapped

    def strip(self, model: Model) -> Model:
        """Plain Keras with kernels on their levels, in the flavour given to `apply`.

        With `activations`, LowBit stays around the layers whose inputs are rounded.
        """
        origin = _tfmot.noted(model, "origin")
        plain, input_bits = _wrapping.unwrap(model)
        if origin is not None:
            plain = _keras.restore(plain, origin)
        if not input_bits:
            return plain
        names = _wrapping.flat_names(plain)
        return _wrapping.with_input_levels(
            plain, {key: input_bits[name] for key, name in names.items() if name in input_bits}
        )

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Layers with kernels that stay float: of another class, first or last, or without bits."""
        return self._plan(model)[1]

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """The number of levels in every chosen kernel (per channel: the most in any), bound 2^bits.

        Raises InvariantError, naming the layer, where weights are no multiples of one step or a
        wrapper for weights is left.
        """
        for layer in _wrapping.wrapped_layers(after):
            if layer.bits is not None:
                raise InvariantError(
                    f"{self.label}: {layer.name!r} still carries its wrapper. "
                    "Call strip() before check()."
                )
        widths = {layer.name: width for layer, width in self._plan(before)[0]}
        return tuple(
            self._check_kernel(layer, widths[layer.name])
            for layer in _keras.leaf_layers(after)
            if layer.name in widths
        )

    def _check_kernel(self, layer: Layer, width: Width) -> Check:
        values = [np.unique(part) for part in self._parts(layer)]
        most, bound = max(map(len, values)), number_of_levels(width)
        if most > bound or not all(on_grid(part, width) for part in values):
            raise InvariantError(
                f"{self.label}: {layer.name!r} has {most} values, not the levels of {width} bits."
            )
        return Check(self.label, "different weights", most, bound, layer.name)

    def _parts(self, layer: Layer) -> list[Array]:
        """The pieces of a layer's kernel that have a scale of their own, each flat."""
        kernel = np.asarray(_layer.kernel_of(layer))
        if self.scale == "layer":
            return [kernel.reshape(-1)]
        axes = _layer.channel_axes(layer)
        channels_first = np.moveaxis(kernel, axes, range(len(axes)))
        return list(channels_first.reshape(np.prod([kernel.shape[axis] for axis in axes]), -1))

    def _plan(self, model: Model) -> tuple[list[tuple[Layer, Width]], tuple[Skipped, ...]]:
        """The layers to be put on levels with their widths, and those that stay float."""
        if isinstance(self.bits, Rule):
            raise RecipeError(
                f"bits={self.bits!r} is not decided yet: "
                "compress() does it, or technique.decided(model, x)."
            )
        layers = [layer for layer in _keras.leaf_layers(model) if _tfmot.matrices(layer)]
        self._require_known([layer.name for layer in layers])
        chosen, skipped = [], []
        for place, layer in enumerate(layers):
            width, reason = self._width(layer, place, len(layers))
            if reason:
                skipped.append(Skipped(layer.name, type(layer).__name__, self.label, reason))
            else:
                chosen.append((layer, width))
        return chosen, tuple(skipped)

    def _require_known(self, names: list[str]) -> None:
        """RecipeError where `bits` names a layer that is not among `names`."""
        if not isinstance(self.bits, Mapping):
            return
        missing = sorted(set(self.bits) - set(names))
        if missing:
            known = ", ".join(map(repr, names))
            raise RecipeError(
                f"bits names {', '.join(map(repr, missing))}, "
                f"but the layers with weights are {known}."
            )

    def _width(self, layer: Layer, place: int, count: int) -> tuple[Width, str]:
        """The width of layer number `place` of `count`, or 32 and why it stays float."""
        width, reason = self._width_asked(layer.name, place, count)
        if width != FLOAT and not _layer.has_levels(layer):
            return FLOAT, f"only {', '.join(_layer.KERNELS)} have low-bit kernels"
        return width, reason if width == FLOAT else ""

    def _width_asked(self, name: str, place: int, count: int) -> tuple[Width, str]:
        """The width that `bits` gives a layer, and the reason if that is 32."""
        if isinstance(self.bits, Mapping):
            if name in self.bits:
                return self.bits[name], "bits gives it 32: float"
            return FLOAT, "bits does not name it: float"
        if place == 0:
            return FLOAT, "first layer with weights: float"
        if place == count - 1:
            return FLOAT, "last layer with weights: float"
        assert not isinstance(self.bits, Rule)  # _plan refuses it
        return self.bits, ""
