"""Magnitude pruning: the smallest weights become zero, and stay zero."""

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
class Prune(Technique):
    """Set the share `sparsity` of every kernel's weights, the smallest in magnitude, to zero (Zhu & Gupta, arXiv 1710.01878).

    `schedule="constant"` prunes at step `begin` and again every `frequency` steps (100) until `end` (never);
    `"polynomial"` raises the sparsity from 0 at `begin` to `sparsity` at `end` by s(t) = sparsity·(1 − (1 − t)³), every
    `frequency` steps; without `end` the ramp takes the first three quarters of the training it meets. Steps count from 0.
    `pattern="m:n"` (or `(m, n)`) zeroes m of every n consecutive weights along a kernel's input channels instead, so that
    `sparsity` is m/n; `block=(h, w)` zeroes whole blocks of a matrix [inputs, outputs], least mean magnitude first.
    `only` and `skip` select layers: a regular expression for the whole name, a list of names, or a function of the layer.

    `strip` finishes what the schedule left undone: the promise holds after one step, and without training (one shot).
    Raises RecipeError for values out of range and, in `apply`, for a layer name the model does not have.
    """

    stage: ClassVar[Stage] = Stage.SPARSITY
    training: ClassVar[Training] = Training.OPTIONAL

    sparsity: float = 0.5
    schedule: str = "constant"
    begin: int = 0
    end: int | None = None
    frequency: int | None = None
    pattern: str | tuple[int, int] | None = None
    block: tuple[int, int] | None = None
    only: Selector | None = None
    skip: Selector | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.pattern is not None:
            zeros, group = self._m_by_n
            if self.sparsity not in (0.5, zeros / group):
                fixed = f"pattern={self.pattern!r} fixes the sparsity at {zeros / group:g}"
                raise RecipeError(f"{fixed}; leave sparsity={self.sparsity!r} out.")
            if self.block is not None or self.schedule != "constant":
                raise RecipeError(
                    "pattern= goes with neither block= nor schedule='polynomial': TFMOT sets an m:n mask once."
                )
            object.__setattr__(self, "sparsity", zeros / group)
        if not (isinstance(self.sparsity, (int, float)) and 0 < self.sparsity < 1):
            raise RecipeError(
                f"sparsity must lie between 0 and 1, both excluded, got {self.sparsity!r} (80 % is 0.8)."
            )
        if self.schedule not in ("constant", "polynomial"):
            raise RecipeError(
                f"schedule must be 'constant' or 'polynomial', got {self.schedule!r}."
            )
        for name, least in (("begin", 0), ("end", self.begin + 1), ("frequency", 1)):
            given = getattr(self, name)
            if given is not None and not (isinstance(given, int) and given >= least):
                raise RecipeError(
                    f"{name} must be a whole number of steps, at least {least}, got {given!r}."
                )
        if self.block is not None and not _two_counts(self.block):
            raise RecipeError(
                f"block must be two whole numbers (rows, columns) of at least 1, got {self.block!r}."
            )
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    @property
    def _m_by_n(self) -> tuple[int, int]:
        parts = self.pattern.split(":") if isinstance(self.pattern, str) else self.pattern
        try:
            zeros, group = (int(part) for part in parts)  # type: ignore[union-attr]
        except (TypeError, ValueError):
            zeros, group = 0, 0
        if not 0 < zeros < group:
            raise RecipeError(
                f"pattern must be 'm:n' or (m, n) with 0 < m < n: m zeros in every n weights; got {self.pattern!r}."
            )
        return zeros, group

    @property
    def label(self) -> str:
        """`prune80`, or `prune2of4` for a pattern."""
        return (
            "prune{}of{}".format(*self._m_by_n) if self.pattern else f"prune{100 * self.sparsity:g}"
        )

    def apply(self, model: Any) -> Any:
        """A tf_keras model whose selected layers carry TFMOT's pruning wrapper, compiled as `model` is.

        Raises ModelError when there is nothing in `model` that could be pruned so, with every reason.
        """
        chosen, skipped = self._plan(model)
        if not chosen:
            raise ModelError(
                f"{self.label} finds no layer to prune. " + " ".join(map(str, skipped))
            )
        wrapped = _tfmot.wrap_pruned(
            _keras.to_tf_keras(model, flatten=True),
            _pairing.flat_names(model, chosen),
            sparsity=float(self.sparsity),
            polynomial=self.schedule == "polynomial",
            begin=self.begin,
            end=self.end,
            frequency=self.frequency,
            block=self.block or (1, 1),
            m_by_n=self._m_by_n if self.pattern else None,
        )
        _tfmot.note(wrapped, "origin", model)
        _keras.carry_compile(model, wrapped, removes=True)
        return wrapped

    def callbacks(self) -> list:
        """TFMOT's step counter, without which its wrappers refuse to train; new ones for every training."""
        return _tfmot.pruning_callbacks(self.frequency)

    def strip(self, model: Any) -> Any:
        """The pruned model in plain Keras: names, nesting and flavour as given to `apply`."""
        origin = _tfmot.noted(model, "origin")
        plain = _tfmot.strip_pruned(model, self.kept)
        return plain if origin is None else _keras.restore(plain, origin)

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers with kernels that stay dense although selected: TFMOT knows no way to prune them, or not in this pattern."""
        return self._plan(model)[1]

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """The measured share of zeros (of zero blocks, of groups with m zeros) of every selected layer's kernels.

        Raises InvariantError where it falls short, and where a wrapper is left.
        """
        left = _tfmot.wrapped_pruning(after)
        if left:
            raise InvariantError(
                f"{self.label}: {left[0].name!r} still carries its pruning wrapper. Call strip() before check()."
            )
        chosen = {id(layer) for layer in self._plan(before)[0]}
        checks = []
        for source, layer in _pairing.paired(before, after):
            for kernel in _tfmot.prunable(layer) if id(source) in chosen else ():
                what, share, bound = self.measure(_tfmot.value(kernel))
                if share < bound:
                    raise InvariantError(
                        f"{self.label}: {layer.name!r} has a {what} of {share:.6f}, promised is {bound:.6f}."
                    )
                checks.append(Check(self.label, what, share, bound, layer.name, "at least"))
        return tuple(checks)

    def _plan(self, model: Any) -> tuple[list[Any], tuple[Skipped, ...]]:
        layers = _keras.leaf_layers(model)
        names = select(layers, self.only, self.skip)
        chosen, skipped = [], []
        for layer in (layer for layer in layers if layer.name in names):
            kernels = _tfmot.prunable(layer)
            reason = self._reason(kernels)
            if kernels and not reason:
                chosen.append(layer)
            elif _tfmot.matrices(layer):
                skipped.append(
                    Skipped(
                        layer.name,
                        type(layer).__name__,
                        self.label,
                        reason or "TFMOT prunes no weights of this class",
                    )
                )
        return chosen, tuple(skipped)

    def _reason(self, kernels: list[Any]) -> str:
        ranks = {len(kernel.shape) for kernel in kernels}
        if self.pattern and not ranks <= {2, 4}:
            return (
                f"m:n sparsity needs kernels of 2 or 4 dimensions, these have {max(ranks - {2, 4})}"
            )
        if self.block and self.block != (1, 1) and ranks != {2}:
            return (
                "block sparsity needs matrices (2 dimensions), "
                + f"these kernels have {max(ranks)}"
                if ranks
                else ""
            )
        return ""

    def kept(self, kernel: np.ndarray) -> np.ndarray:
        """Which weights of `kernel` (any shape) stay, bool of the same shape: exactly what this technique promises."""
        scores = self._scores(kernel)
        keep = self._keep(scores.shape)
        order = np.argsort(-scores, axis=-1, kind="stable") if scores.shape[0] > 1 else None
        if order is None:
            flat = scores[0]
            if np.count_nonzero(flat) <= keep:
                return self._spread((flat > 0)[None], kernel.shape)
            order = np.argpartition(-flat, keep - 1)[None]
        mask = np.zeros(scores.shape, bool)
        np.put_along_axis(mask, order[:, :keep], True, axis=-1)
        return self._spread(mask, kernel.shape)

    def measure(self, kernel: np.ndarray) -> tuple[str, float, float]:
        """(what, share, bound) of one kernel: the share of zeros, zero blocks or groups with m zeros, and what is promised."""
        scores = self._scores(kernel)
        if self.pattern:
            return (
                "share of groups with their zeros",
                float(np.mean((scores > 0).sum(-1) <= self._keep(scores.shape))),
                1.0,
            )
        what = "share of zeros" if self.block in (None, (1, 1)) else "share of zero blocks"
        return (
            what,
            1 - np.count_nonzero(scores) / scores.size,
            1 - self._keep(scores.shape) / scores.size,
        )

    def _keep(self, shape: tuple[int, ...]) -> int:
        zeros, group = self._m_by_n if self.pattern else (0, 0)
        return (
            group - zeros if self.pattern else max(round(shape[-1] * (1 - self.sparsity)), 1)
        )  # TFMOT's own rounding

    def _scores(self, kernel: np.ndarray) -> np.ndarray:
        """Magnitudes [groups, members] among which the largest `_keep` of each group stay."""
        size = np.abs(kernel)
        if self.pattern:
            group = self._m_by_n[1]
            rows = np.moveaxis(size, -2, -1)
            rows = rows.reshape(-1, rows.shape[-1])
            return np.pad(rows, ((0, 0), (0, -rows.shape[1] % group))).reshape(-1, group)
        if self.block in (None, (1, 1)):
            return size.reshape(1, -1)
        (height, width), (rows, columns) = self.block, kernel.shape
        starts = np.arange(0, rows, height), np.arange(0, columns, width)
        sums = np.add.reduceat(np.add.reduceat(size, starts[0], axis=0), starts[1], axis=1)
        counts = np.outer(np.diff([*starts[0], rows]), np.diff([*starts[1], columns]))
        return (sums / counts).reshape(1, -1)

    def _spread(self, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The inverse of `_scores`' layout: `mask` [groups, members] over a kernel of `shape`."""
        if self.pattern:
            moved = (*shape[:-2], shape[-1], shape[-2])
            rows = mask.reshape(int(np.prod(moved[:-1])), -1)[:, : shape[-2]]
            return np.moveaxis(rows.reshape(moved), -1, -2)
        if self.block in (None, (1, 1)):
            return mask.reshape(shape)
        height, width = self.block
        blocks = mask.reshape(-(-shape[0] // height), -1)
        return np.repeat(np.repeat(blocks, height, 0), width, 1)[: shape[0], : shape[1]]


def _two_counts(pair: Any) -> bool:
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(isinstance(n, int) and n >= 1 for n in pair)
    )
