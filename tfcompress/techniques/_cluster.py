"""Weight clustering: every kernel holds at most N different values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

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


@dataclass(frozen=True, eq=False)
class Cluster(Technique):
    """Let every kernel hold at most `clusters` different values, which training moves (Han, Mao & Dally, arXiv 1510.00149).

    `init` says where the values start: "kmeans++", "linear" (evenly between the extremes), "density" (evenly in the
    cumulative distribution) or "random". `per_channel` gives every output channel of a Conv2D values of its own.
    `keep_zeros` reserves one value for zero and keeps every weight that is zero there: for a pruned model.
    `only` and `skip` select layers: a regular expression for the whole name, a list of names, or a function of the layer.

    Raises RecipeError for values out of range and, in `apply`, for a layer name the model does not have.
    """

    stage: ClassVar[Stage] = Stage.SHARING
    training: ClassVar[Training] = Training.OPTIONAL

    clusters: int = 16
    init: str = "kmeans++"
    per_channel: bool = False
    keep_zeros: bool = False
    only: Selector | None = None
    skip: Selector | None = None

    def __post_init__(self):
        super().__post_init__()
        least = 3 if self.keep_zeros else 2
        if not isinstance(self.clusters, int) or self.clusters < least:
            why = " with keep_zeros (one is zero)" if self.keep_zeros else ""
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
        return f"cluster{self.clusters}" + ("pc" if self.per_channel else "")

    def apply(self, model: Any) -> Any:
        """A tf_keras model whose selected layers carry TFMOT's clustering wrapper, compiled as `model` is.

        TFMOT damages the model it clusters; it is given a copy. Raises ModelError when nothing in `model` can be clustered.
        """
        chosen, skipped = self._plan(model)
        if not chosen:
            raise ModelError(
                f"{self.label} finds no layer to cluster. " + " ".join(map(str, skipped))
            )
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

    def strip(self, model: Any) -> Any:
        """The clustered model in plain Keras: names, nesting and flavour as given to `apply`."""
        origin = _tfmot.noted(model, "origin")
        plain = _tfmot.strip_clustered(model)
        return plain if origin is None else _keras.restore(plain, origin)

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers with kernels that are not clustered although selected: of an unknown class, frozen, or too small."""
        return self._plan(model)[1]

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """The number of different values in every selected kernel (per channel: the most in any), and with `keep_zeros` its zeros.

        Raises InvariantError where there are more than `clusters`, where a zero was lost, and where a wrapper is left.
        """
        left = _tfmot.wrapped_clusters(after)
        if left:
            raise InvariantError(
                f"{self.label}: {left[0].name!r} still carries its clustering wrapper. Call strip() before check()."
            )
        chosen = {id(layer) for layer in self._plan(before)[0]}
        checks = []
        for source, layer in _pairing.paired(before, after):
            if id(source) not in chosen:
                continue
            for old, new in zip(
                map(_tfmot.value, _tfmot.clusterable(source)),
                map(_tfmot.value, _tfmot.clusterable(layer)),
            ):
                values = max(len(np.unique(part)) for part in self._parts(layer, new))
                if values > self.clusters:
                    raise InvariantError(
                        f"{self.label}: {layer.name!r} has {values} different values, promised are {self.clusters}."
                    )
                checks.append(
                    Check(self.label, "different values", values, self.clusters, layer.name)
                )
                if self.keep_zeros:
                    lost = int(np.count_nonzero(new[old == 0]))
                    if lost:
                        raise InvariantError(
                            f"{self.label}: {lost} zeros of {layer.name!r} are no longer zero."
                        )
                    checks.append(Check(self.label, "zeros lost", lost, 0, layer.name))
        return tuple(checks)

    def _plan(self, model: Any) -> tuple[list[Any], tuple[Skipped, ...]]:
        layers = _keras.leaf_layers(model)
        names = select(layers, self.only, self.skip)
        chosen, skipped = [], []
        for layer in (layer for layer in layers if layer.name in names):
            kernels = _tfmot.clusterable(layer)
            reason = self._reason(layer, kernels)
            if kernels and not reason:
                chosen.append(layer)
            elif _tfmot.matrices(layer):
                skipped.append(
                    Skipped(
                        layer.name,
                        type(layer).__name__,
                        self.label,
                        reason or "TFMOT clusters no weights of this class",
                    )
                )
        return chosen, tuple(skipped)

    def _reason(self, layer: Any, kernels: list[Any]) -> str:
        if kernels and not layer.trainable:
            return "frozen (trainable=False), and clustering moves the values by training"
        for kernel in kernels:
            for part in self._parts(layer, _tfmot.value(kernel)):
                where = "a channel" if part.size < np.prod(kernel.shape) else "the kernel"
                if part.size <= self.clusters:
                    return f"{where} has {part.size} weights, not more than the {self.clusters} values asked for"
                if self.keep_zeros and np.count_nonzero(part) < self.clusters - 1:
                    return f"{where} has {np.count_nonzero(part)} weights that are not zero, fewer than {self.clusters - 1} values"
        return ""

    def _parts(self, layer: Any, kernel: np.ndarray) -> list[np.ndarray]:
        """The pieces of `kernel` that have values of their own."""
        if self.per_channel and _tfmot.clusters_per_channel(layer):
            return list(np.moveaxis(kernel, -1, 0))
        return [kernel]
