"""Magnitude pruning: the smallest weights become zero, and stay zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
from tfcompress.core._counts import is_count
from tfcompress.core._select import Selector, check_selector
from tfcompress.core._types import Array, Callback, Layer, Model, Variable
from tfcompress.techniques.pruning._layouts import Blocks, Groups, Layout, Weights


@dataclass(frozen=True, eq=False)
class Prune(Technique):
    """Sets the share `sparsity` of every kernel's weights, the smallest in magnitude, to zero.

    `strip` finishes what the schedule left undone: the promise holds after one step, and without
    training (one shot).

    Args:
        sparsity: The share of zeros, in (0, 1).
        schedule: "constant" prunes at step `begin` and again every `frequency` steps (100) until
            `end` (never). "polynomial" raises the sparsity from 0 at `begin` to `sparsity` at `end`
            by s(t) = sparsity · (1 − (1 − t)³), t in [0, 1], every `frequency` steps; without `end`
            the ramp takes the first three quarters of the training it meets.
        begin, end, frequency: Steps, counted from 0.
        pattern: "m:n" (or (m, n)) zeroes m of every n consecutive weights along a kernel's input
            channels instead, so that `sparsity` is m/n.
        block: (h, w) zeroes whole blocks of a matrix [inputs, outputs], least mean magnitude first.
        only, skip: Layers by a regular expression for the whole name, a list of names, or a
            function of the layer.

    Raises:
        RecipeError: for values out of range and, in `apply`, for a layer name that the model does
            not have.
        ModelError: in `strip`, for weights that are NaN or infinite.

    Source: Zhu & Gupta, To Prune or Not to Prune, arXiv 1710.01878.
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

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settle_pattern()
        if not (isinstance(self.sparsity, (int, float)) and 0 < self.sparsity < 1):
            raise RecipeError(
                f"sparsity must lie between 0 and 1, both excluded, "
                f"got {self.sparsity!r} (80 % is 0.8)."
            )
        if self.schedule not in ("constant", "polynomial"):
            raise RecipeError(
                f"schedule must be 'constant' or 'polynomial', got {self.schedule!r}."
            )
        for name, least in (("begin", 0), ("end", self.begin + 1), ("frequency", 1)):
            steps = getattr(self, name)
            if steps is not None and not (isinstance(steps, int) and steps >= least):
                raise RecipeError(
                    f"{name} must be a whole number of steps, at least {least}, got {steps!r}."
                )
        if self.block is not None and not _two_counts(self.block):
            raise RecipeError(
                "block must be two whole numbers (rows, columns) of at least 1, "
                f"got {self.block!r}."
            )
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    def _settle_pattern(self) -> None:
        """Let `pattern` fix the sparsity; RecipeError where other options contradict it."""
        if self._groups is None:
            return
        sparsity = self._groups.zeros / self._groups.size
        if self.sparsity not in (0.5, sparsity):
            raise RecipeError(
                f"pattern={self.pattern!r} fixes the sparsity at {sparsity:g}; "
                f"leave sparsity={self.sparsity!r} out."
            )
        if self.block is not None or self.schedule != "constant":
            raise RecipeError(
                "pattern= goes with neither block= nor schedule='polynomial': "
                "TFMOT sets an m:n mask once."
            )
        object.__setattr__(self, "sparsity", sparsity)

    @property
    def _groups(self) -> Groups | None:
        """`pattern` as a layout; RecipeError where it is not m:n with 0 < m < n."""
        if self.pattern is None:
            return None
        parts = self.pattern.split(":") if isinstance(self.pattern, str) else self.pattern
        try:
            zeros, size = (int(part) for part in parts)
        except (TypeError, ValueError):
            zeros, size = 0, 0
        if not 0 < zeros < size:
            raise RecipeError(
                "pattern must be 'm:n' or (m, n) with 0 < m < n: m zeros in every n weights; "
                f"got {self.pattern!r}."
            )
        return Groups(zeros, size)

    @property
    def _layout(self) -> Layout:
        if self._groups is not None:
            return self._groups
        if self.block in (None, (1, 1)):
            return Weights(self.sparsity)
        return Blocks(self.sparsity, *self.block)

    @property
    def label(self) -> str:
        """`prune80`, or `prune2of4` for a pattern."""
        if self._groups is not None:
            return f"prune{self._groups.zeros}of{self._groups.size}"
        return f"prune{100 * self.sparsity:g}"

    def apply(self, model: Model) -> Model:
        """A tf_keras model whose selected layers carry TFMOT's wrapper, compiled as `model` is.

        Raises ModelError when nothing in `model` can be pruned so, with every reason.
        """
        chosen, skipped = self._plan(model)
        if not chosen:
            reasons = " ".join(map(str, skipped))
            raise ModelError(f"{self.label} finds no layer to prune. {reasons}")
        groups = self._groups
        wrapped = _tfmot.wrap_pruned(
            _keras.to_tf_keras(model, flatten=True),
            _pairing.flat_names(model, chosen),
            sparsity=float(self.sparsity),
            polynomial=self.schedule == "polynomial",
            begin=self.begin,
            end=self.end,
            frequency=self.frequency,
            block=self.block or (1, 1),
            m_by_n=None if groups is None else (groups.zeros, groups.size),
        )
        _tfmot.note(wrapped, "origin", model)
        _keras.carry_compile(model, wrapped, removes=True, whole=model)
        return wrapped

    def callbacks(self) -> list[Callback]:
        """TFMOT's step counter, new for every training: its wrappers refuse to train without."""
        return _tfmot.pruning_callbacks(self.frequency)

    def strip(self, model: Model) -> Model:
        """The pruned model in plain Keras: names, nesting and flavour as given to `apply`."""
        origin = _tfmot.noted(model, "origin")
        plain = _tfmot.strip_pruned(model, self.kept)
        return plain if origin is None else _keras.restore(plain, origin)

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Selected layers with kernels that stay dense: TFMOT cannot prune them, or not so."""
        return self._plan(model)[1]

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """The measured share of zeros (zero blocks, groups with m zeros) of every selected kernel.

        Raises InvariantError where it falls short, and where a wrapper is left.
        """
        left = _tfmot.wrapped_pruning(after)
        if left:
            raise InvariantError(
                f"{self.label}: {left[0].name!r} still carries its pruning wrapper. "
                "Call strip() before check()."
            )
        chosen = {id(layer) for layer in self._plan(before)[0]}
        checks = []
        for source, layer in _pairing.paired(before, after):
            kernels = _tfmot.prunable(layer) if id(source) in chosen else []
            for kernel in kernels:
                what, share, bound = self.measure(_tfmot.value(kernel))
                if share < bound:
                    raise InvariantError(
                        f"{self.label}: {layer.name!r} has a {what} of {share:.6f}, "
                        f"promised is {bound:.6f}."
                    )
                checks.append(Check(self.label, what, share, bound, layer.name, "at least"))
        return tuple(checks)

    def _plan(self, model: Model) -> tuple[list[Layer], tuple[Skipped, ...]]:
        """The layers that are pruned, and those that are not although selected."""
        return wrappable(
            model,
            self.only,
            self.skip,
            label=self.label,
            kernels_of=_tfmot.prunable,
            reason_against=self._reason_against,
            unknown="TFMOT prunes no weights of this class",
        )

    def _reason_against(self, layer: Layer, kernels: list[Variable]) -> str:
        """Why `layer` cannot be pruned in this layout; "" where it can be."""
        ranks = {len(kernel.shape) for kernel in kernels}
        if self.pattern and not ranks <= {2, 4}:
            other = max(ranks - {2, 4})
            return f"m:n sparsity needs kernels of 2 or 4 dimensions, these have {other}"
        if self.block and self.block != (1, 1) and ranks != {2}:
            return f"block sparsity needs matrices (2 dimensions), these kernels have {max(ranks)}"
        return ""

    def kept(self, kernel: Array) -> Array:
        """Which weights of `kernel` (any shape) stay, bool of its shape: exactly the promise."""
        return self._layout.kept(kernel)

    def measure(self, kernel: Array) -> tuple[str, float, float]:
        """What is measured of one kernel, its share of zeros (blocks, groups), and the promise."""
        return (self._layout.what, *self._layout.share(kernel))


def _two_counts(pair: object) -> bool:
    """Whether `pair` is a tuple of two whole numbers of at least 1."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        return False
    return all(is_count(count) for count in pair)
