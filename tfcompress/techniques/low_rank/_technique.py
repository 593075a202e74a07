"""Low rank: kernels become products of thinner kernels, one layer two or three cheaper ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress.core import Check, InvariantError, RecipeError, Skipped, Stage, Technique, Training
from tfcompress.core._select import check_selector, select
from tfcompress.techniques.low_rank import _factors as _low_rank

GOALS = ("rank", "energy", "target_params")


@dataclass(frozen=True, eq=False)
class LowRank(Technique):
    """Replaces kernels by products of low rank: Dense and 1×1 convolutions by two layers, other convolutions by two or three.

    Dense W [in, out] ≈ U V, U [in, r], V [r, out] (truncated SVD). Convolutions by `conv`: "tucker", W_xyio ≈ Σ_ab A_ia G_xyab B_bo:
    1×1 (in → r₁), k×k (r₁ → r₂), 1×1 (r₂ → out) (Tucker-2); "spatial": k×1 (in → r), 1×k (r → out) (Conv2D only).
    One of: `rank`, an integer for all or {layer name or regular expression: integer}; `energy` in (0, 1], r the smallest with
    Σ_{i≤r} σ_i² ≥ energy · Σσ_i²; `target_params` in (0, 1), the share of the model's parameters that may remain, met by one energy
    for all. Default: energy 0.9. A layer that would not lose parameters, or would need more multiply-accumulates, stays as it is.
    A trainer fine-tunes. The last part keeps the layer's name; `<name>_in` and `<name>_core` are in front of it.
    Denton et al., NeurIPS 2014 (arXiv:1404.0736); Jaderberg et al., BMVC 2014 (arXiv:1405.3866); Kim et al., ICLR 2016
    (arXiv:1511.06530).

    Raises RecipeError for values out of range, two goals at once, unknown layers, a budget out of reach, or nothing to gain.
    """

    rank: int | Mapping[str, int] | None = None
    energy: float | None = None
    target_params: float | None = None
    conv: str = "tucker"
    only: str | Sequence[str] | Callable | None = None
    skip: str | Sequence[str] | Callable | None = None
    stage: ClassVar[Stage] = Stage.ARCHITECTURE
    training: ClassVar[Training] = Training.OPTIONAL

    def __post_init__(self):
        given = [name for name in GOALS if getattr(self, name) is not None]
        if not given:
            object.__setattr__(self, "energy", 0.9)
        super().__post_init__()
        if len(given) > 1:
            raise RecipeError(
                f"LowRank takes one of {', '.join(GOALS)}, got {' and '.join(given)}."
            )
        for rank in self.rank.values() if isinstance(self.rank, Mapping) else [self.rank]:
            if rank is not None and (
                isinstance(rank, bool) or not isinstance(rank, int) or rank < 1
            ):
                raise RecipeError(f"LowRank(rank={rank!r}): expected a whole number of at least 1.")
        if self.energy is not None and not 0 < self.energy <= 1:
            raise RecipeError(
                f"LowRank(energy={self.energy}): the share of Σσ² to keep must be in (0, 1]."
            )
        if self.target_params is not None and not 0 < self.target_params < 1:
            raise RecipeError(
                f"LowRank(target_params={self.target_params}): the share to remain must be in (0, 1)."
            )
        if self.conv not in ("tucker", "spatial"):
            raise RecipeError(f"LowRank(conv={self.conv!r}): expected 'tucker' or 'spatial'.")
        check_selector(self.only, "only")
        check_selector(self.skip, "skip")

    def apply(self, model: Any) -> Any:
        """A model of thinner layers, compiled as `model` is; nested models are inlined."""
        chosen, _ = self._plan(model)
        if not chosen:
            raise RecipeError(
                f"{self.label}: no layer of {model.name!r} would become smaller; lower the rank or energy."
            )
        new = _low_rank.factored(
            model, {id(kernel.layer): (kernel, ranks) for kernel, ranks in chosen}
        )
        _keras.carry_compile(model, new, removes=True)
        return new

    def skips(self, model: Any) -> tuple[Skipped, ...]:
        """Layers with kernels that stay as they are: no low-rank form, or they would grow."""
        return tuple(
            Skipped(layer.name, type(layer).__name__, self.label, reason)
            for layer, reason in self._plan(model)[1]
        )

    def check(self, before: Any, after: Any) -> tuple[Check, ...]:
        """Parameters are fewer, and within the budget; `value` is the share of them that remains."""
        share = after.count_params() / before.count_params()
        bound = self.target_params or 1.0
        if share > bound or share == 1.0:
            raise InvariantError(
                f"{self.label}: {share:.1%} of the parameters remain, expected at most {bound:.0%}."
            )
        return (Check(self.label, "share of the parameters that remains", share, bound),)

    def _plan(
        self, model: Any
    ) -> tuple[list[tuple[_low_rank.Kernel, tuple[int, ...]]], list[tuple[Any, str]]]:
        """(kernel, ranks) of what is replaced, and (layer, reason) of what is not."""
        _keras.require_graph(model)
        layers = [
            layer
            for layer in _keras.leaf_layers(model)
            if any(len(weight.shape) > 1 for weight in layer.weights)
        ]
        names = select(layers, self.only, self.skip)
        read = [
            (layer, _low_rank.read(layer, self.conv)) for layer in layers if layer.name in names
        ]
        kernels = [kernel for _, kernel in read if isinstance(kernel, _low_rank.Kernel)]
        left = [(layer, kernel) for layer, kernel in read if isinstance(kernel, str)]
        chosen = []
        for kernel, ranks in self._ranks(model, kernels):
            if ranks is not None and kernel.shrinks(ranks):
                chosen.append((kernel, ranks))
            else:
                said = (
                    "no rank is given for it"
                    if ranks is None
                    else f"with rank {'×'.join(map(str, ranks))} it would not shrink"
                )
                left.append((kernel.layer, said))
        return chosen, left

    def _ranks(
        self, model: Any, kernels: list[_low_rank.Kernel]
    ) -> list[tuple[_low_rank.Kernel, tuple[int, ...] | None]]:
        if self.rank is None:
            energy = self.energy if self.energy is not None else self._energy(model, kernels)
            return [(kernel, kernel.ranks(energy)) for kernel in kernels]
        if isinstance(self.rank, Mapping):
            for key in self.rank:
                if not any(re.fullmatch(key, kernel.layer.name) for kernel in kernels):
                    names = ", ".join(kernel.layer.name for kernel in kernels[:12])
                    raise RecipeError(
                        f"rank names {key!r}, which matches no layer with a low-rank form; there are {names}."
                    )
        return [(kernel, self._rank_of(kernel)) for kernel in kernels]

    def _rank_of(self, kernel: _low_rank.Kernel) -> tuple[int, ...] | None:
        given = (
            [self.rank]
            if isinstance(self.rank, int)
            else [r for key, r in (self.rank or {}).items() if re.fullmatch(key, kernel.layer.name)]
        )
        return tuple(min(min(given), most) for most in kernel.full()) if given else None

    def _energy(self, model: Any, kernels: list[_low_rank.Kernel]) -> float:
        """The largest energy that meets the budget."""
        whole, allowed = model.count_params(), float(self.target_params or 1) * model.count_params()

        def remaining(energy: float) -> int:
            saved = 0
            for kernel in kernels:
                ranks = kernel.ranks(energy)
                saved += (
                    kernel.numbers(None)[0] - kernel.numbers(ranks)[0]
                    if kernel.shrinks(ranks)
                    else 0
                )
            return whole - saved

        low, high = 0.0, 1.0
        if remaining(low) > allowed:
            raise RecipeError(
                f"{self.label}: {remaining(low) / whole:.0%} of the parameters remain at rank 1; ask for more than that."
            )
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if remaining(middle) <= allowed else (low, middle)
        return low

    @property
    def label(self) -> str:
        """`lowrank50` where half of the parameters may remain, `lowrank90e` for an energy of 0.9, `lowrank8r` for a rank of 8."""
        if self.target_params is not None:
            return f"lowrank{round(100 * self.target_params)}"
        if self.energy is not None:
            return f"lowrank{round(100 * self.energy)}e"
        return "lowrank" if isinstance(self.rank, Mapping) else f"lowrank{self.rank}r"
