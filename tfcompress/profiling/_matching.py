"""Timed kernels put to the operations of the file that they run."""

from __future__ import annotations

from collections.abc import Iterable

from tfcompress.core import OpTime

KERNELS = {
    "CONV_2D": "Convolution",
    "DEPTHWISE_CONV_2D": "Convolution",
    "TRANSPOSE_CONV": "Deconvolution",
    "FULLY_CONNECTED": "Fully Connected",
    "BATCH_MATMUL": "Batch Matrix Multiply",
}
"""Operation → how the names of XNNPACK's kernels for it begin: its family."""

ALIKE = ("Convolution", "Fully Connected")
"""Families that may stand for each other: a 1×1 convolution may run as a matrix product."""

Kernel = tuple[str, "int | None", float]
"""A timed kernel: its name, the operation's index in the file (None for a delegate's), its µs."""


def matched(kernels: Iterable[Kernel], ops: list[OpTime]) -> tuple[list[OpTime], bool]:
    """The timed kernels as operations of the file; False where some could not be put to one.

    A delegate's kernels run in the file's order, so its n-th convolution is the n-th one it took
    over. Kernels that stand for no single operation (layout, clamps) get index -1.
    """
    kernels = list(kernels)
    by_index = {op.index: op for op in ops}
    waiting, whole = _delegated(kernels, ops)
    timed: list[OpTime] = []
    for name, index, time_us in kernels:
        family = _family_of(name)
        if index is not None and index in by_index:
            op = by_index[index]
        elif index is None and family and whole[family]:
            op = waiting[family].pop(0)
        else:
            op = OpTime(-1, name.split(" (")[0], "", 0)
        timed.append(OpTime(op.index, op.kind, op.name, op.macs, time_us, name))
    return timed, all(whole.values())


def _delegated(
    kernels: list[Kernel], ops: list[OpTime]
) -> tuple[dict[str, list[OpTime]], dict[str, bool]]:
    """Family → operations that the delegate took over, and whether it ran as many kernels."""
    own = {index for _, index, _ in kernels if index is not None}
    ran = [_family_of(name) for name, index, _ in kernels if index is None]
    waiting: dict[str, list[OpTime]] = {family: [] for family in KERNELS.values()}
    for op in ops:
        if op.index not in own and op.kind in KERNELS:
            waiting[KERNELS[op.kind]].append(op)
    whole = {family: len(taken) == ran.count(family) for family, taken in waiting.items()}
    if not all(whole[family] for family in ALIKE):
        taken_over = waiting[ALIKE[0]] + waiting[ALIKE[1]]
        both = [op for op in ops if op in taken_over]
        complete = len(both) == sum(ran.count(family) for family in ALIKE)
        for family in ALIKE:  # one list: whichever kernel comes next takes the next operation
            waiting[family], whole[family] = both, complete
    return waiting, whole


def _family_of(kernel: str) -> str | None:
    for family in KERNELS.values():
        if kernel.startswith(family):
            return family
    return None
