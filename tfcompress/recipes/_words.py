"""The table of words: how each is written, what it means, an example, and what it builds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfcompress import targets
from tfcompress.analysis.dimension import ESTIMATORS
from tfcompress.core import Target, Technique
from tfcompress.recipes import _builders


@dataclass(frozen=True)
class Word:
    """One word of a recipe's name: how it is written, what it means, and what it builds.

    `spelling` has capital letters where numbers go (S: a percentage, decimals allowed; N, M, A, B,
    R: whole numbers). `build` gets the match of `pattern` and the techniques before the word; a
    word without it is short for other words, of which `words` is the template.
    """

    spelling: str
    meaning: str
    example: str
    pattern: str
    build: Callable[[re.Match[str], Sequence[Technique]], Technique | Target] | None = None
    words: str = ""

    def match(self, word: str) -> re.Match[str] | None:
        """The match of the whole `word`, or None."""
        return re.fullmatch(self.pattern, word)


_S = r"(\d+(?:\.\d+)?)"
_DIMENSION = "|".join(ESTIMATORS)
_CLUSTER = r"cluster(?P<clusters>\d*)(?P<per_channel>pc)?"

TECHNIQUES = (
    Word(
        "pruneS",
        "`Prune(S/100)`: S % of every kernel's weights become zero",
        "prune80-int8",
        f"prune{_S}",
        _builders.prune,
    ),
    Word(
        "pruneNofM",
        "`Prune(pattern=(N, M))`: N zeros among every M weights",
        "prune2of4-int8",
        r"prune(\d+)of(\d+)",
        _builders.prune_pattern,
    ),
    Word(
        "filtersS",
        "`PruneFilters(S/100)`: S % of the filters are removed; `filtersStaylor` chooses them by "
        "gradients while it trains",
        "filters30-finetune-int8",
        f"(filters){_S}(taylor)?",
        _builders.prune_filters,
    ),
    Word(
        "macsS, paramsS, latencyS",
        "`PruneFilters(target_macs=S/100)` and so on: filters are removed until S % of the MACs, "
        "parameters or latency are left; with `taylor` behind likewise",
        "macs50taylor-finetune-int8",
        f"(macs|params|latency){_S}(taylor)?",
        _builders.prune_filters,
    ),
    Word(
        "slimS, slimmacsS",
        "`Slim(S/100)`: network slimming removes S % of the channels; `slimmacsS` leaves S % of "
        "the MACs",
        "slim50-finetune-qat-int8",
        f"slim(macs)?{_S}",
        _builders.slim,
    ),
    Word(
        "lowrankS",
        "`LowRank(target_params=S/100)`: kernels in factors, S % of the parameters are left",
        "lowrank50-int8",
        f"lowrank{_S}",
        _builders.low_rank,
    ),
    Word(
        "lowrankSe",
        "`LowRank(energy=S/100)`: kernels in factors that keep S % of their energy",
        "lowrank90e-finetune",
        f"lowrank{_S}e",
        _builders.low_rank_energy,
    ),
    Word(
        "lowrankRr",
        "`LowRank(rank=R)`: kernels in factors of rank R",
        "lowrank8r",
        r"lowrank(\d+)r",
        _builders.low_rank_of,
    ),
    Word(
        "finetune",
        "`FineTune()`: training as a step of its own",
        "filters30-finetune-int8",
        "finetune",
        _builders.fine_tune,
    ),
    Word(
        "clusterN, clusterNpc",
        "`Cluster(N)`: every kernel has N different weights, 16 without a number; `pc`: N in every "
        "channel. Behind `prune` the zeros stay",
        "cluster16-int8",
        _CLUSTER,
        _builders.cluster,
    ),
    Word(
        "twonn-clusterN, pca-clusterN",
        "`Cluster(N)` of the layers that the intrinsic dimension (TwoNN, or PCA's) finds "
        "insignificant",
        "twonn-cluster-cqat",
        f"(?P<dimension>{_DIMENSION})-{_CLUSTER}",
        _builders.cluster_insignificant,
    ),
    Word(
        "qat",
        "`QuantizeAware`: quantization-aware training that keeps the zeros and clusters made "
        "before it",
        "prune80-cluster16-qat-int8",
        "qat",
        _builders.qat,
    ),
    Word(
        "cqat",
        "`qat` behind `clusterN`; the target is then `packedsize` if none is given",
        "twonn-cluster-cqat",
        "cqat",
        _builders.cqat,
    ),
    Word(
        "qatplain",
        "`QuantizeAware(preserve=None)`: lets zeros and clusters go",
        "cluster16-qatplain-int8",
        "qatplain",
        _builders.qat_plain,
    ),
    Word(
        "mixedB",
        "`MixedPrecision(B)`: weights of B bits, 1 to 8, in all layers but the first and last",
        "mixed4-packed",
        "mixed([1-8])",
        _builders.mixed,
    ),
    Word(
        "roundB",
        "`RoundWeights(B)`: kernels in B bits, 2 to 8, without training, by samples",
        "round4-packedsize",
        "round([2-8])",
        _builders.rounded,
    ),
    Word("xnor", "`mixed1`: binary weights", "xnor", "xnor", _builders.xnor),
    Word(
        "twonn-mixedAB, pca-mixedAB",
        "`MixedPrecision`: A bits in the layers that the intrinsic dimension finds significant, "
        "B bits in the others",
        "twonn-mixed21",
        f"({_DIMENSION})-mixed([1-8])([1-8])",
        _builders.mixed_by_dimension,
    ),
)
"""The words for techniques."""

TARGETS = (
    Word(
        "float32",
        "target: 32-bit floats",
        "float32",
        "float32|base",
        _builders.to(targets.Float32()),
    ),
    Word(
        "float16",
        "target: weights stored as 16-bit floats",
        "float16",
        "float16",
        _builders.to(targets.Float16()),
    ),
    Word(
        "dynamic",
        "target: 8-bit weights, activations quantized while the file runs",
        "dynamic",
        "dynamic",
        _builders.to(targets.DynamicRange()),
    ),
    Word(
        "int8",
        "target: 8-bit weights and activations, floats at the inputs and outputs",
        "qat-int8",
        "int8",
        _builders.to(targets.Int8()),
    ),
    Word(
        "int8io, uint8io",
        "target: `int8` with integers at the inputs and outputs too, as cameras and "
        "microcontrollers have them",
        "qat-uint8io",
        "(int8|uint8)io",
        _builders.integer_ends,
    ),
    Word(
        "int16x8",
        "target: 8-bit weights, 16-bit activations",
        "int16x8",
        "int16x8",
        _builders.to(targets.Int16x8()),
    ),
    Word(
        "packed",
        "target: weights of 1, 2 and 4 bits, clusters and zeros stored really small, for speed",
        "twonn-mixed21-packed",
        "packed",
        _builders.to(targets.Packed()),
    ),
    Word(
        "packedsize",
        "target: `packed`, the smallest encoding of each layer",
        "cluster16-packedsize",
        "packedsize",
        _builders.to(targets.Packed(prefer="size")),
    ),
    Word(
        "packedmicro, packedmicroNk",
        "target: `int8` for microcontrollers, weights decoded from look-up tables where they are "
        "used, with as little flash and arena as can be; `Nk`: least flash in an arena of at most "
        "N · 1000 bytes",
        "cluster16-packedmicro",
        r"packedmicro(?:(\d+)k)?",
        _builders.packed_for_micro,
    ),
)
"""The words for targets; `base` is another word for `float32`."""

SHORT = (
    Word(
        "ethosN",
        "short for `clusterN-qat-int8io`: trained clusters, which Arm's Ethos-U NPUs hold in fewer "
        "bytes, and integers throughout, without which nothing runs there",
        "ethos16",
        r"ethos(\d*)",
        words=r"cluster\1-qat-int8io",
    ),
)
"""The words that are short for others."""

WORDS = (*TECHNIQUES, *TARGETS, *SHORT)
"""Every word of the grammar."""
