"""What competes with what when weights are pruned: single weights, groups of n, or blocks.

A layout lays the magnitudes of a kernel out as scores [groups, members]; the largest `keep` of each
group stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from tfcompress.core._errors import ModelError
from tfcompress.core._types import Array


class Layout(ABC):
    """How the weights of a kernel compete."""

    what: str
    """What `Prune.check` measures."""

    @abstractmethod
    def scores(self, kernel: Array) -> Array:
        """Magnitudes of `kernel` (any shape) as [groups, members]."""

    @abstractmethod
    def spread(self, mask: Array, shape: tuple[int, ...]) -> Array:
        """The inverse: `mask` [groups, members] over a kernel of `shape`."""

    @abstractmethod
    def keep(self, members: int) -> int:
        """How many of a group's members stay."""

    def share(self, kernel: Array) -> tuple[float, float]:
        """The share of `kernel` that is zero, and the share that is promised."""
        scores = self.scores(kernel)
        zeros = scores.size - np.count_nonzero(scores)
        members = scores.shape[-1]
        return zeros / scores.size, (members - self.keep(members)) / members

    def kept(self, kernel: Array) -> Array:
        """Which weights of `kernel` stay, bool of its shape; ties are broken by position.

        Raises ModelError for a kernel with NaN or infinity, whose magnitudes have no order.
        """
        scores = self.scores(kernel)
        if not np.isfinite(scores).all():
            raise ModelError(
                f"A kernel {list(kernel.shape)} to be pruned holds NaN or infinity: the training "
                "before diverged. Train again with a smaller learning rate."
            )
        return self.spread(_largest(scores, self.keep(scores.shape[-1])), kernel.shape)


def _largest(scores: Array, count: int) -> Array:
    """bool of the shape of `scores` [groups, members]: the `count` largest of each group."""
    if len(scores) == 1:  # one group may be a whole kernel: no need to sort all of it
        if np.count_nonzero(scores) <= count:
            return scores > 0
        order = np.argpartition(-scores, count - 1)
    else:
        order = np.argsort(-scores, axis=-1, kind="stable")
    mask = np.zeros(scores.shape, bool)
    np.put_along_axis(mask, order[:, :count], True, axis=-1)
    return mask


@dataclass(frozen=True)
class Weights(Layout):
    """Every weight of a kernel competes with every other."""

    sparsity: float
    what = "share of zeros"

    def scores(self, kernel: Array) -> Array:
        """[1, weights]."""
        return np.abs(kernel).reshape(1, -1)

    def spread(self, mask: Array, shape: tuple[int, ...]) -> Array:
        """The mask in the kernel's shape."""
        return mask.reshape(shape)

    def keep(self, members: int) -> int:
        """As TFMOT rounds it, at least one."""
        return max(round(members * (1 - self.sparsity)), 1)


@dataclass(frozen=True)
class Groups(Layout):
    """m of every n consecutive weights along the input channels are zero."""

    zeros: int
    size: int
    what = "share of groups with their zeros"

    def scores(self, kernel: Array) -> Array:
        """[groups, n]; where n does not divide the inputs the last group is filled with zeros."""
        rows = np.moveaxis(np.abs(kernel), -2, -1)
        rows = rows.reshape(-1, rows.shape[-1])
        padding = -rows.shape[1] % self.size
        return np.pad(rows, ((0, 0), (0, padding))).reshape(-1, self.size)

    def spread(self, mask: Array, shape: tuple[int, ...]) -> Array:
        """The mask without the filling, in the kernel's shape [..., inputs, outputs]."""
        *positions, inputs, outputs = shape
        rows = mask.reshape(int(np.prod(positions)) * outputs, -1)[:, :inputs]
        return np.moveaxis(rows.reshape(*positions, outputs, inputs), -1, -2)

    def keep(self, members: int) -> int:
        """n − m."""
        return self.size - self.zeros

    def share(self, kernel: Array) -> tuple[float, float]:
        """The share of groups that have their zeros; all are promised to."""
        left = (self.scores(kernel) > 0).sum(-1)
        return float(np.mean(left <= self.keep(self.size))), 1.0


@dataclass(frozen=True)
class Blocks(Layout):
    """Blocks [height, width] of a matrix compete by their mean magnitude; edges cut them."""

    sparsity: float
    height: int
    width: int
    what = "share of zero blocks"

    def scores(self, kernel: Array) -> Array:
        """[1, blocks]."""
        rows, columns = kernel.shape
        tops, lefts = np.arange(0, rows, self.height), np.arange(0, columns, self.width)
        sums = np.add.reduceat(np.add.reduceat(np.abs(kernel), tops, axis=0), lefts, axis=1)
        heights, widths = np.diff([*tops, rows]), np.diff([*lefts, columns])
        return (sums / np.outer(heights, widths)).reshape(1, -1)

    def spread(self, mask: Array, shape: tuple[int, ...]) -> Array:
        """Every block's decision over its weights."""
        rows, columns = shape
        blocks = mask.reshape(-(-rows // self.height), -1)
        tall = np.repeat(blocks, self.height, axis=0)
        return np.repeat(tall, self.width, axis=1)[:rows, :columns]

    def keep(self, members: int) -> int:
        """As TFMOT rounds it, at least one."""
        return max(round(members * (1 - self.sparsity)), 1)
