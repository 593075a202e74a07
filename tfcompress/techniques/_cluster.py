"""Weight clustering: every kernel holds at most N different values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfcompress._backend import bridge as _keras
from tfcompress._backend import tfmot as _tfmot
from tfcompress._backend.bridge import _pairing
from tfcompress._backend.tfmot._selection import wrappable
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
from tfcompress.core._select import Selector, check_selector
from tfcompress.core._types import Array, Layer, Model, Variable


@dataclass(frozen=True, eq=False)
class Cluster(Technique):
    """Lets every kernel hold at most `clusters` different values, which training moves.

    Args:
        clusters: How many values, at least 2; 3 with `keep_zeros`.
        init: Where the values start: "kmeans++", "linear" (evenly between the extremes), "density"
            (evenly in the cumulative distribution) or "random".
        per_channel: Whether every output channel of a Conv2D has values of its own.
        keep_zeros: Reserve one value for zero and keep every weight that is zero there: for a
            pruned model.
        only, skip: Layers by a regular expression for the whole name, a list of names, or a
            function of the layer.

    Raises:
        RecipeError: for values out of range and, in `apply`, for a layer name that the model does
            not have.

    Source: Han, Mao & Dally, Deep Compression, arXiv 1510.00149.
    """

    stage: ClassVar[Stage] = Stage.SHARING
    training: ClassVar[Training] = Training.OPTIONAL

    clusters: int = 16
    init: str = "kmeans++"
    per_channel: bool = False
    keep_zeros: bool = False
    only: Selector | None = None
    skip: Selector | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        least, why = (3, " with keep_zeros (one is zero)") if self.keep_zeros else (2, "")
        if not isinstance(self.clusters, int) or self.clusters < least:
            raise RecipeError(
                f"clusters must be a whole number of at least {least}{why}, got {self.clusters!r}."
            )
        if self.init not in _tfmot.INITS:
            raise RecipeError(f"init must be one of {', '.join(_tfmot.INITS)}; got {self.init!r}.")
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    @property
    def label(self) -> str:
        """`cluster16`, `cluster16pc` per channel."""
        suffix = "pc" if self.per_channel else ""
        return f"cluster{self.clusters}{suffix}"

    def apply(self, model: Model) -> Model:
        """A tf_keras model whose selected layers carry TFMOT's wrapper, compiled as `model` is.

        TFMOT damages the model it clusters; it is given a copy. Raises ModelError when nothing in
        `model` can be clustered, with every reason.
        """
        chosen, skipped = self._plan(model)
        if not chosen:
            reasons = " ".join(map(str, skipped))
            raise ModelError(f"{self.label} finds no layer to cluster. {reasons}")
        wrapped = _tfmot.wrap_clustered(
            _keras.to_tf_keras(model, flatten=True),
            _pairing.flat_names(model, chosen),
            clusters=self.clusters,
            init=self.init,
            per_channel=self.per_channel,
            keep_zeros=self.keep_zeros,
        )
        _tfmot.note(wrapped, "origin", model)
        _keras.carry_compile(model, wrapped)
        return wrapped

    def strip(self, model: Model) -> Model:
        """The clustered model in plain Keras: names, nesting and flavour as given to `apply`."""
        origin = _tfmot.noted(model, "origin")
        plain = _tfmot.strip_clustered(model)
        return plain if origin is None else _keras.restore(plain, origin)

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Selected layers with kernels that are not clustered: unknown, frozen, or too small."""
        return self._plan(model)[1]

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """The number of different values in every selected kernel, and with `keep_zeros` its zeros.

        Per channel: the most values in any. Raises InvariantError where there are more than
        `clusters`, where a zero was lost, and where a wrapper is left.
        """
        left = _tfmot.wrapped_clusters(after)
        if left:
            raise InvariantError(
                f"{self.label}: {left[0].name!r} still carries its clustering wrapper. "
                "Call strip() before check()."
            )
        chosen = {id(layer) for layer in self._plan(before)[0]}
        checks: list[Check] = []
        for source, layer in _pairing.paired(before, after):
            if id(source) not in chosen:
                continue
            for old, new in zip(_tfmot.clusterable(source), _tfmot.clusterable(layer)):
                checks += self._check_kernel(layer, _tfmot.value(old), _tfmot.value(new))
        return tuple(checks)

    def _check_kernel(self, layer: Layer, before: Array, after: Array) -> list[Check]:
        values = max(len(np.unique(part)) for part in self._parts(layer, after))
        if values > self.clusters:
            raise InvariantError(
                f"{self.label}: {layer.name!r} has {values} different values, "
                f"promised are {self.clusters}."
            )
        checks = [Check(self.label, "different values", values, self.clusters, layer.name)]
        if self.keep_zeros:
            lost = int(np.count_nonzero(after[before == 0]))
            if lost:
                raise InvariantError(
                    f"{self.label}: {lost} zeros of {layer.name!r} are no longer zero."
                )
            checks.append(Check(self.label, "zeros lost", lost, 0, layer.name))
        return checks

    def _plan(self, model: Model) -> tuple[list[Layer], tuple[Skipped, ...]]:
        """The layers that are clustered, and those that are not although selected."""
        return wrappable(
            model,
            self.only,
            self.skip,
            label=self.label,
            kernels_of=_tfmot.clusterable,
            reason_against=self._reason_against,
            unknown="TFMOT clusters no weights of this class",
        )

    def _reason_against(self, layer: Layer, kernels: list[Variable]) -> str:
        """Why `layer` cannot be clustered; "" where it can be."""
        if not layer.trainable:
            return "frozen (trainable=False), and clustering moves the values by training"
        for kernel in kernels:
            for part in self._parts(layer, _tfmot.value(kernel)):
                where = "a channel" if part.size < np.prod(kernel.shape) else "the kernel"
                if part.size <= self.clusters:
                    return (
                        f"{where} has {part.size} weights, "
                        f"not more than the {self.clusters} values asked for"
                    )
                nonzero = np.count_nonzero(part)
                if self.keep_zeros and nonzero < self.clusters - 1:
                    return (
                        f"{where} has {nonzero} weights that are not zero, "
                        f"fewer than {self.clusters - 1} values"
                    )
        return ""

    def _parts(self, layer: Layer, kernel: Array) -> list[Array]:
        """The pieces of `kernel` that have values of their own."""
        if self.per_channel and _tfmot.clusters_per_channel(layer):
            return list(np.moveaxis(kernel, -1, 0))
        return [kernel]
