"""Ready-made recipes and the grammar of their names.

A name is words joined by `-`: techniques in order, then one target (float32 if none is given).

| word | meaning |
|---|---|
| `filtersS` | `PruneFilters(S/100)`: S % of the filters go; `filtersStaylor` by gradients (`finetune` comes after it) |
| `macsS`, `paramsS`, `latencyS` | `PruneFilters(target_macs=S/100)` and so on: S % stay; with `taylor` likewise |
| `slimS`, `slimmacsS` | `Slim(S/100)`: network slimming, S % of the channels go; `Slim(target_macs=S/100)`: S % of the MACs stay |
| `lowrankS` | `LowRank(target_params=S/100)`: S % of the parameters stay; `lowrankEe` with energy E/100, `lowrankRr` with rank R |
| `finetune` | `FineTune()`: training as a step of its own |
| `pruneS` | `Prune(S/100)`: S % of each kernel zero; `pruneNofM`: N zeros in every M, e.g. `prune2of4` |
| `clusterN`, `clusterNpc` | `Cluster(N)`, and per channel; zeros kept when it follows `prune` |
| `qat` | `QuantizeAware` that preserves what the words before it made (zeros, clusters or both) |
| `qatplain` | `QuantizeAware(preserve=None)`: lets them go |
| `mixedB`, `xnor` | `MixedPrecision(B)`, B one of 1 to 8: all layers but the first and last; `xnor` is `mixed1` |
| `twonn-mixedAB`, `pca-mixedAB` | `MixedPrecision`, A bits where the intrinsic dimension (TwoNN; PCA's rise) says significant, else B |
| `twonn-clusterN`, `pca-clusterN` | `Cluster(N)` of the insignificant layers; `cluster` alone is `cluster16` |
| `cqat` | `qat` after `clusterN` |
| `float32 float16 dynamic int8 int16x8 packed packedsize` | the target; none: `packed` after `mixed`, `packedsize` after `cqat` |
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from tfcompress import analysis, targets, techniques
from tfcompress.core import Recipe, RecipeError, Target, Technique

READY = (
    "float32",
    "dynamic",
    "float16",
    "int8",
    "int16x8",
    "prune50-int8",
    "prune80-int8",
    "prune2of4-int8",
    "cluster16-int8",
    "cluster32-int8",
    "qat-int8",
    "prune80-qat-int8",
    "cluster16-qat-int8",
    "prune80-cluster16-qat-int8",
    "macs50-int8",
    "macs50taylor-finetune-int8",
    "lowrank50-int8",
    "slim50-finetune-qat-int8",
    "twonn-mixed21",
    "twonn-cluster-cqat",
    "xnor",
    "pca-mixed21",
)
"""Names to start from; any other name of the grammar works as well."""

_TARGETS = {
    "float32": lambda: targets.Float32(),
    "base": lambda: targets.Float32(),
    "float16": lambda: targets.Float16(),
    "dynamic": lambda: targets.DynamicRange(),
    "int8": lambda: targets.Int8(),
    "int16x8": lambda: targets.Int16x8(),
    "packed": lambda: targets.Packed(),
    "packedsize": lambda: targets.Packed(prefer="size"),
}


_DIMENSION: dict[str, dict] = {
    "twonn": {"by": analysis.TwoNN()},
    "pca": {
        "by": analysis.PCADimension(),
        "view": "channels",
        "rule": "rise",
    },  # Chakraborty et al. 2020
}


def recipe(name: str | Recipe | Target) -> Recipe:
    """The recipe of that name; a Recipe is returned as it is, a Target becomes the recipe without techniques.

    Raises RecipeError for a word that is not in the grammar, with the nearest names.
    """
    if isinstance(name, Recipe):
        return name
    if isinstance(name, Target):
        return Recipe([], name)
    if not isinstance(name, str):
        raise RecipeError(
            f"Expected a recipe's name, a Recipe or a Target, got {name!r} of type {type(name).__name__}."
        )
    words = (
        name.strip().lower().replace("twonn-", "twonn+").replace("pca-", "pca+").split("-")
    )  # the two belong to what follows
    packs = any(re.fullmatch(r".*mixed\d+|xnor|cqat", word) for word in words)
    target = (
        _TARGETS[words.pop()]()
        if words[-1] in _TARGETS
        else targets.Packed(prefer="size" if "cqat" in words else "speed")
        if packs
        else targets.Float32()
    )
    made: list[Technique] = []
    for word in words:
        made.append(_technique(word, made, name))
    return Recipe(made, target, name=name)


def _technique(word: str, before: list[Technique], name: str) -> Technique:
    pruned = any(isinstance(t, techniques.Prune) for t in before)
    clustered = any(isinstance(t, techniques.Cluster) for t in before)
    if match := re.fullmatch(r"prune(\d+)of(\d+)", word):
        return techniques.Prune(pattern=(int(match[1]), int(match[2])))
    if match := re.fullmatch(r"prune(\d+)", word):
        return techniques.Prune(int(match[1]) / 100)
    if match := re.fullmatch(r"(filters|macs|params|latency)(\d+)(taylor)?", word):
        goal = "ratio" if match[1] == "filters" else f"target_{match[1]}"
        return techniques.PruneFilters(**{goal: int(match[2]) / 100}, importance=match[3] or "l1")
    if match := re.fullmatch(r"slim(macs)?(\d+)", word):
        return techniques.Slim(**{"target_macs" if match[1] else "ratio": int(match[2]) / 100})
    if match := re.fullmatch(r"lowrank(\d+)([er])?", word):
        number = int(match[1])
        options = {
            "r": {"rank": number},
            "e": {"energy": number / 100},
            None: {"target_params": number / 100},
        }
        return techniques.LowRank(**options[match[2]])
    if word == "finetune":
        return techniques.FineTune()
    if match := re.fullmatch(r"(?:(twonn|pca)\+)?cluster(\d*)(pc)?", word):
        only = (
            analysis.SignificantLayers(**_DIMENSION[match[1]], significant=False)
            if match[1]
            else None
        )
        return techniques.Cluster(
            int(match[2] or 16), per_channel=bool(match[3]), keep_zeros=pruned, only=only
        )
    if match := re.fullmatch(r"(twonn|pca)\+mixed([1-8])([1-8])", word):
        bits = analysis.SignificanceBits(
            **_DIMENSION[match[1]], significant=int(match[2]), other=int(match[3])
        )
        return techniques.MixedPrecision(bits)
    if match := re.fullmatch(r"mixed([1-8])|xnor", word):
        return techniques.MixedPrecision(int(match[1] or 1))
    if word == "qat" or (word == "cqat" and clustered):
        preserve = {(True, True): "both", (True, False): "sparsity", (False, True): "clusters"}.get(
            (pruned, clustered)
        )
        return techniques.QuantizeAware(preserve=preserve)
    if word == "qatplain":
        return techniques.QuantizeAware()
    near = get_close_matches(name, READY, 3, 0.4) + get_close_matches(
        word, [*_TARGETS, "qat", "qatplain", "prune80", "cluster16"], 3, 0.6
    )
    hint = f" Near: {', '.join(dict.fromkeys(near))}." if near else ""
    raise RecipeError(
        f"Unknown word {word.replace('+', '-')!r} in recipe {name!r}.{hint} `tfcompress compress --help` lists the words."
    )
