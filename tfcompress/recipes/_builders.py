"""What each word of a recipe's name builds: one function a word.

Each gets the match of the word's pattern and the techniques that stand before it in the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tfcompress import analysis, targets, techniques
from tfcompress.analysis.dimension import by_name
from tfcompress.core import RecipeError, Target, Technique


def _has(before: Sequence[Technique], kind: type[Technique]) -> bool:
    return any(isinstance(member, kind) for member in before)


def _share(percent: str) -> float:
    return float(percent) / 100


def prune(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.Prune(_share(match[1]))


def prune_pattern(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.Prune(pattern=(int(match[1]), int(match[2])))


def prune_filters(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    goal = "ratio" if match[1] == "filters" else f"target_{match[1]}"
    options: dict[str, Any] = {goal: _share(match[2]), "importance": match[3] or "l1"}
    return techniques.PruneFilters(**options)


def slim(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    if match[1]:
        return techniques.Slim(target_macs=_share(match[2]))
    return techniques.Slim(_share(match[2]))


def low_rank(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.LowRank(target_params=_share(match[1]))


def low_rank_energy(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.LowRank(energy=_share(match[1]))


def low_rank_of(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.LowRank(rank=int(match[1]))


def fine_tune(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.FineTune()


def cluster(match: re.Match[str], before: Sequence[Technique]) -> techniques.Cluster:
    return techniques.Cluster(
        int(match["clusters"] or 16),
        per_channel=bool(match["per_channel"]),
        keep_zeros=_has(before, techniques.Prune),
    )


def cluster_insignificant(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    layers = analysis.SignificantLayers(*by_name(match["dimension"]), significant=False)
    return replace(cluster(match, before), only=layers)


def mixed(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.MixedPrecision(int(match[1]))


def rounded(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.RoundWeights(int(match[1]))


def xnor(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.MixedPrecision(1)


def mixed_by_dimension(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    significant, other = int(match[2]), int(match[3])
    bits = analysis.SignificanceBits(*by_name(match[1]), significant=significant, other=other)
    return techniques.MixedPrecision(bits)


def qat(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    pruned, clustered = _has(before, techniques.Prune), _has(before, techniques.Cluster)
    if pruned and clustered:
        return techniques.QuantizeAware(preserve="both")
    if pruned:
        return techniques.QuantizeAware(preserve="sparsity")
    if clustered:
        return techniques.QuantizeAware(preserve="clusters")
    return techniques.QuantizeAware()


def cqat(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    if not _has(before, techniques.Cluster):
        raise RecipeError("`cqat` keeps clusters: write it behind `clusterN`, or write `qat`.")
    return qat(match, before)


def qat_plain(match: re.Match[str], before: Sequence[Technique]) -> Technique:
    return techniques.QuantizeAware()


def integer_ends(match: re.Match[str], before: Sequence[Technique]) -> Target:
    return targets.Int8(io=match[1])


def packed_for_micro(match: re.Match[str], before: Sequence[Technique]) -> Target:
    arena = 1000 * int(match[1]) if match[1] else None
    return targets.Packed(runtime="micro", max_arena_bytes=arena)


def to(target: Target) -> Callable[[re.Match[str], Sequence[Technique]], Target]:
    return lambda match, before: target
