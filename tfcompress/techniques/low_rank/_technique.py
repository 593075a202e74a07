"""Low rank: kernels become products of thinner kernels, one layer two or three cheaper ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress._backend import tfmot as _tfmot
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training
from tfcompress.core._counts import is_count
from tfcompress.core._select import Selector, check_selector, select
from tfcompress.core._types import Layer, Model
from tfcompress.techniques.low_rank._factors import Kernel, Ranks, read
from tfcompress.techniques.low_rank._rebuild import factored

GOALS = ("rank", "energy", "target_params")
BISECTIONS = 30


@dataclass(frozen=True, eq=False)
class LowRank(Technique):
    """Replaces kernels by products of low rank: one layer by two or three.

    Dense W [in, out] ≈ U V, U [in, r], V [r, out] (truncated SVD), 1×1 convolutions likewise. A
    layer that would not lose parameters, or would need more multiply-accumulates, stays as it is.
    A trainer fine-tunes. The last part keeps the layer's name; `<name>_in` and `<name>_core` are in
    front of it.

    Args:
        rank: An integer for all layers, or a mapping from layer name or regular expression to one.
        energy: Instead, r is the smallest with Σ_{i≤r} σ_i² ≥ energy · Σσ_i², in (0, 1]; 0.9 where
            nothing is given.
        target_params: Instead, the share of the model's parameters that may remain, in (0, 1), met
            by one energy for all.
        conv: Other convolutions: "tucker" (Tucker-2), W_xyio ≈ Σ_ab A_ia G_xyab B_bo: 1×1 (in →
            r₁), k×k (r₁ → r₂), 1×1 (r₂ → out); "spatial", Conv2D only: k×1 (in → r), 1×k (r → out).
        only, skip: Layers by a regular expression for the whole name, a list of names, or a
            function of the layer.

    Raises:
        RecipeError: for values out of range, two goals at once, unknown layers, a budget out of
            reach, or nothing to gain.
        ModelError: for a kernel that holds NaN or infinity.

    Source: Denton et al., NeurIPS 2014, arXiv:1404.0736; Jaderberg et al., BMVC 2014,
    arXiv:1405.3866; Kim et al., ICLR 2016, arXiv:1511.06530.
    """

    rank: int | Mapping[str, int] | None = None
    energy: float | None = None
    target_params: float | None = None
    conv: str = "tucker"
    only: Selector | None = None
    skip: Selector | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE
    training: ClassVar[Training] = Training.OPTIONAL

    def __post_init__(self) -> None:
        given = [name for name in GOALS if getattr(self, name) is not None]
        if not given:
            object.__setattr__(self, "energy", 0.9)
        super().__post_init__()
        if len(given) > 1:
            raise RecipeError(
                f"LowRank takes one of {', '.join(GOALS)}, got {' and '.join(given)}."
            )
        for rank in self.rank.values() if isinstance(self.rank, Mapping) else [self.rank]:
            if rank is not None and not is_count(rank):
                raise RecipeError(f"LowRank(rank={rank!r}): expected a whole number of at least 1.")
        if self.energy is not None and not 0 < self.energy <= 1:
            raise RecipeError(
                f"LowRank(energy={self.energy}): the share of Σσ² to keep must be in (0, 1]."
            )
        if self.target_params is not None and not 0 < self.target_params < 1:
            raise RecipeError(
                f"LowRank(target_params={self.target_params}): "
                "the share to remain must be in (0, 1)."
            )
        if self.conv not in ("tucker", "spatial"):
            raise RecipeError(f"LowRank(conv={self.conv!r}): expected 'tucker' or 'spatial'.")
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    def apply(self, model: Model) -> Model:
        """A model of thinner layers, compiled as `model` is; nested models are laid flat."""
        chosen, _ = self._plan(model)
        if not chosen:
            raise RecipeError(
                f"{self.label}: no layer of {model.name!r} would become smaller; "
                "lower the rank or energy."
            )
        replaced = {id(kernel.layer): (kernel, ranks) for kernel, ranks in chosen}
        thinner = factored(model, replaced)
        _keras.carry_compile(model, thinner, removes=True, whole=model)
        return thinner

    def skips(self, model: Model) -> tuple[Skipped, ...]:
        """Layers with kernels that stay as they are: no low-rank form, or they would grow."""
        return tuple(
            Skipped(layer.name, type(layer).__name__, self.label, reason)
            for layer, reason in self._plan(model)[1]
        )

    def check(self, before: Model, after: Model) -> tuple[Check, ...]:
        """Parameters are fewer, and within the budget; `value` is the share that remains."""
        share = after.count_params() / before.count_params()
        bound = self.target_params or 1.0
        if share > bound or share == 1.0:
            raise InvariantError(
                f"{self.label}: {share:.1%} of the parameters remain, expected at most {bound:.0%}."
            )
        return (Check(self.label, "share of the parameters that remains", share, bound),)

    def _plan(self, model: Model) -> tuple[list[tuple[Kernel, Ranks]], list[tuple[Layer, str]]]:
        """Kernels that are replaced with their ranks, and layers that are not with the reason."""
        _keras.require_graph(model)
        layers = [layer for layer in _keras.leaf_layers(model) if _tfmot.matrices(layer)]
        names = select(layers, self.only, self.skip)
        kernels: list[Kernel] = []
        left: list[tuple[Layer, str]] = []
        for layer in layers:
            kernel = read(layer, self.conv) if layer.name in names else None
            if isinstance(kernel, Kernel):
                kernels.append(kernel)
            elif kernel is not None:
                left.append((layer, kernel))
        chosen = []
        for kernel, ranks in self._ranks(model, kernels):
            if ranks is None:
                left.append((kernel.layer, "no rank is given for it"))
            elif kernel.shrinks(ranks):
                chosen.append((kernel, ranks))
            else:
                product = "×".join(map(str, ranks))
                left.append((kernel.layer, f"with rank {product} it would not shrink"))
        return chosen, left

    def _ranks(self, model: Model, kernels: list[Kernel]) -> list[tuple[Kernel, Ranks | None]]:
        """The ranks of every kernel; None where `rank` does not name it."""
        if self.rank is None:
            energy = self._energy(model, kernels) if self.energy is None else self.energy
            return [(kernel, kernel.ranks(energy)) for kernel in kernels]
        if not isinstance(self.rank, Mapping):
            return [(kernel, _smallest_rank(kernel, {".*": self.rank})) for kernel in kernels]
        for key in self.rank:
            if not any(re.fullmatch(key, kernel.layer.name) for kernel in kernels):
                names = ", ".join(kernel.layer.name for kernel in kernels[:12])
                raise RecipeError(
                    f"rank names {key!r}, which matches no layer with a low-rank form; "
                    f"there are {names}."
                )
        return [(kernel, _smallest_rank(kernel, self.rank)) for kernel in kernels]

    def _energy(self, model: Model, kernels: list[Kernel]) -> float:
        """The largest energy that meets the budget, by bisection."""
        total = model.count_params()
        allowed = float(self.target_params or 1) * total

        def remaining(energy: float) -> int:
            return total - sum(_saved(kernel, kernel.ranks(energy)) for kernel in kernels)

        low, high = 0.0, 1.0
        if remaining(low) > allowed:
            raise RecipeError(
                f"{self.label}: {remaining(low) / total:.0%} of the parameters remain at rank 1; "
                "ask for more than that."
            )
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if remaining(middle) <= allowed:
                low = middle
            else:
                high = middle
        return low

    @property
    def label(self) -> str:
        """`lowrank50` where half of the parameters may remain; `lowrank90e` for an energy of 0.9.

        `lowrank8r` for a rank of 8.
        """
        if self.target_params is not None:
            return f"lowrank{round(100 * self.target_params)}"
        if self.energy is not None:
            return f"lowrank{round(100 * self.energy)}e"
        return "lowrank" if isinstance(self.rank, Mapping) else f"lowrank{self.rank}r"


def _smallest_rank(kernel: Kernel, ranks: Mapping[str, int]) -> Ranks | None:
    """The smallest rank that is given for a kernel's layer, up to the full ones; None for none."""
    given = [rank for key, rank in ranks.items() if re.fullmatch(key, kernel.layer.name)]
    return tuple(min(min(given), most) for most in kernel.full()) if given else None


def _saved(kernel: Kernel, ranks: Ranks) -> int:
    """The parameters that a kernel loses with these ranks; 0 where it is left as it is."""
    if not kernel.shrinks(ranks):
        return 0
    return kernel.numbers(None)[0] - kernel.numbers(ranks)[0]
