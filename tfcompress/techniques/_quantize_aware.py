"""Quantization-aware training: the network learns to live with 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend import tfmot as _tfmot
from tfcompress._backend.bridge import _pairing
from tfcompress.core import (
    Check,
    InvariantError,
    ModelError,
    RecipeError,
    Skipped,
    Stage,
    Technique,
    Training,
)
from tfcompress.core._select import Selector, check_selector, select
from tfcompress.core._types import Array, Model

_LABELS = {None: "qat", "sparsity": "pqat", "clusters": "cqat", "both": "pcqat"}


@dataclass(frozen=True, eq=False)
class QuantizeAware(Technique):
    """Trains with the rounding of int8 in the forward pass, by TFMOT's default 8-bit scheme.

    What TFMOT has no 8-bit form of stays float32 and is listed by `skips`; a lone
    BatchNormalization, Rescaling or Normalization becomes an equal layer that has an 8-bit form
    (BatchNormalization with its statistics frozen).

    Args:
        bits: 8.
        preserve: What came before and stays: "sparsity" (zeros; PQAT), "clusters" (equal weights
            stay equal, so that a kernel has no more different values than before; CQAT) or "both"
            (PCQAT). A zero stays zero in all three.
        scheme: "tfmot" preserves by TFMOT's own collaborative schemes instead, for comparison: they
            take tens of times longer, and re-assign weights while training, so that the number of
            values per channel may grow and is not promised.
        only, skip: Layers by a regular expression for the whole name, a list of names, or a
            function of the layer; a BatchNormalization or activation directly behind a layer goes
            with it.

    Raises:
        RecipeError: for values out of range and, in `apply`, for a layer name that the model does
            not have.

    Source: Jacob et al., arXiv 1712.05877.
    """

    stage: ClassVar[Stage] = Stage.NUMERICS
    training: ClassVar[Training] = Training.REQUIRED

    bits: int = 8
    preserve: str | None = None
    scheme: str = "tfcompress"
    only: Selector | None = None
    skip: Selector | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits != 8:
            raise RecipeError(
                f"QuantizeAware trains for 8 bits, got bits={self.bits!r}. "
                "MixedPrecision is the technique for fewer bits."
            )
        if self.preserve not in _LABELS:
            raise RecipeError(
                f"preserve must be None, 'sparsity', 'clusters' or 'both', got {self.preserve!r}."
            )
        if self.scheme not in ("tfcompress", "tfmot"):
            raise RecipeError(f"scheme must be 'tfcompress' or 'tfmot', got {self.scheme!r}.")
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    @property
    def label(self) -> str:
        """`qat`, `pqat`, `cqat` or `pcqat` by what is preserved."""
        return _LABELS[self.preserve] + ("tfmot" if self.scheme == "tfmot" else "")

    def apply(self, model: Model) -> Model:
        """A flat tf_keras model with TFMOT's quantization wrappers, compiled as `model` is.

        The layers are named `quant_…`. Raises ModelError when nothing in `model` can be quantized,
        with every reason.
        """
        flat = _keras.to_tf_keras(model, flatten=True, split=True)
        placement = self._place(flat)
        if not placement.annotated:
            reasons = " ".join(map(str, self._skipped(model, placement)))
            raise ModelError(f"{self.label} finds no layer to quantize. {reasons}")
        wrapped = _tfmot.quantize(
            flat,
            placement,
            clusters=self.preserve in ("clusters", "both"),
            zeros=self.preserve in ("sparsity", "both"),
            tfmot_scheme=self.scheme == "tfmot",
        )
        _tfmot.note(wrapped, "quantized", placement.default)
        _keras.carry_compile(model, wrapped)
        return wrapped

    def strip(self, model: Model) -> Model:
        """The trained model without the helper variables of `preserve`.

        TFMOT's wrappers stay: the converter needs their ranges.
        """
        own = self.scheme == "tfmot" and self.preserve in ("clusters", "both")
        if self.preserve is None or (self.scheme == "tfmot" and not own):
            return model
        plain = _tfmot.strip_keeping(model, tfmot_scheme=own)
        _tfmot.note(plain, "quantized", _tfmot.noted(model, "quantized"))
        if plain is not model:
            _keras.carry_compile(model, plain)
        return plain

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Selected layers with weights or arithmetic that stay float32, each with the reason."""
        known = _tfmot.noted(model, ("skips", self))
        if known is None:
            flat = _keras.to_tf_keras(model, flatten=True, split=True)
            known = self._skipped(model, self._place(flat))
            _tfmot.note(model, ("skips", self), known)
        return known

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """Every layer is still quantized; per kernel, how many values it has, or zeros it lost.

        Measured after fake quantization, as the file will hold them. Raises InvariantError, naming
        the layer.
        """
        kernels = _tfmot.quantized_kernels(after)
        names = {layer.layer.name for layer in _tfmot.wrapped_quantized(after)}
        promised = _tfmot.noted(after, "quantized") or set()
        lost = sorted(promised - names)
        if lost or not names:
            raise InvariantError(
                f"{self.label}: {', '.join(lost) or 'no layer'} is no longer quantized. "
                "Train and keep the wrapped model."
            )
        checks = [
            Check(self.label, "quantized layers", len(names), len(promised), relation="at least")
        ]
        if self.preserve is None:
            return tuple(checks)
        for name, source in _pairing.kernels_by_name(before).items():
            if name in kernels:
                checks += self._check_kernel(name, source, kernels[name][0])
        return tuple(checks)

    def _check_kernel(self, name: str, source: Array, kernel: Array) -> list[Check]:
        """The promises of `preserve` for one kernel before (`source`) and after."""
        checks = []
        if self.preserve in ("clusters", "both") and self.scheme == "tfcompress":
            checks += self._check_clusters(name, source, kernel)
        if self.preserve in ("sparsity", "both"):
            lost = int(np.count_nonzero(kernel[source == 0]))
            if lost:
                raise InvariantError(f"{self.label}: {lost} zeros of {name!r} are no longer zero.")
            checks.append(Check(self.label, "zeros lost", lost, 0, name))
        return checks

    def _check_clusters(self, name: str, source: Array, kernel: Array) -> list[Check]:
        assignment = _tfmot.assignment(source)
        if not assignment:
            return []
        by_channel = assignment[1]
        had, has = (_most_values(array, by_channel) for array in (source, kernel))
        if has > had:
            raise InvariantError(
                f"{self.label}: {name!r} had {had} different values and has {has}."
            )
        return [Check(self.label, "different values", has, had, name)]

    def _place(self, flat: Model) -> _tfmot.Placement:
        return _tfmot.place(flat, select(flat.layers, self.only, self.skip))

    def _skipped(self, model: Model, placement: _tfmot.Placement) -> tuple[Skipped, ...]:
        layers = _pairing.users_layers(model)
        skipped = []
        for name, reason in placement.left.items():
            layer = layers.get(name)
            own_name = getattr(layer, "name", name)
            skipped.append(Skipped(own_name, type(layer).__name__, self.label, reason))
        return tuple(skipped)


def _most_values(kernel: Array, by_channel: bool) -> int:
    """The number of different values in a kernel, or the most in any of its output channels."""
    parts = np.moveaxis(kernel, -1, 0) if by_channel else [kernel]
    return max(len(np.unique(part)) for part in parts)
