"""Weights and activations on the levels of 1 to 8 bits, with a straight-through gradient."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from tfcompress.core._types import Array, ArrayLike, Tensor

Width: TypeAlias = "int | str"
"""Bits of one layer, 1 to 8, or "ternary"."""

TERNARY = "ternary"
TERNARY_THRESHOLD = 0.7
"""Share of mean|c| below which a ternary weight is 0 (Li, Zhang & Liu, arXiv 1605.04711)."""
GAUSSIAN_STEP = {2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}
"""Step of the uniform quantizer of 2^b levels with the least mean square error for Gaussian weights
of deviation 1 (Max, IRE Transactions on Information Theory, 1960)."""


def levels_of(
    weights: ArrayLike, bits: Width, channels: tuple[int, ...] = (), fit: str = "unit"
) -> tuple[Tensor, Tensor]:
    """The kernel on its levels, and where its gradient passes, both of the kernel's shape.

    With c = w − mean(w):

        1 bit    α · sign(c), sign(0) = +1
        ternary  α · sign(c) where |c| > 0.7 mean|c|, else 0; α = mean|c| of those
        2, 3     (α/n) · k, n = 2^b − 1, k = 2 round((clip(c/r, −1, 1) + 1) · n/2) − n, odd
        4 to 8   (α/n) · k, n = 2^(b−1) − 1, k = round(clip(c/r, −1, 1) · n)

    From 4 bits on there is one level fewer, so that zero is one and integer kernels hold them all.
    Every level is an integer times one float32 step, so that a file can hold exactly these values.
    At 1 bit and ternary every gradient passes, else those with |c| ≤ r.

    Args:
        weights: A float32 kernel.
        bits: Its width.
        channels: Dimensions of the kernel that have a mean, an α and an r of their own; () for one
            of each for the whole kernel.
        fit: "unit": r = 1 and α = mean|w| (XNOR-Net, arXiv 1603.05279). "gaussian": r = α = the
            range that rounds Gaussian weights of c's deviation best; at 1 bit α = mean|c|.
    """
    import tensorflow as tf

    kernel = tf.convert_to_tensor(weights)
    axes = [axis for axis in range(len(kernel.shape)) if axis not in channels]
    centred = kernel - tf.reduce_mean(kernel, axes, keepdims=True)
    if bits == TERNARY:
        return _ternary(centred, axes), tf.ones_like(kernel)
    measured = kernel if fit == "unit" else centred
    scale = tf.reduce_mean(tf.abs(measured), axes, keepdims=True)
    if bits == 1:
        return tf.where(centred >= 0, scale, -scale), tf.ones_like(kernel)
    reach = tf.ones_like(scale)
    if fit == "gaussian":
        reach = scale = _gaussian_range(centred, axes, int(bits))
    levels = _uniform_integers(centred / reach, int(bits))
    # The step is computed first: every level is then one float32 product with an integer.
    step = scale / largest_integer(bits)
    return step * levels, tf.cast(tf.abs(centred) <= reach, kernel.dtype)


def _ternary(centred: Tensor, axes: list[int]) -> Tensor:
    """−α, 0 or α for every centred weight."""
    import tensorflow as tf

    size = tf.abs(centred)
    threshold = TERNARY_THRESHOLD * tf.reduce_mean(size, axes, keepdims=True)
    chosen = tf.cast(size > threshold, centred.dtype)
    count = tf.maximum(tf.reduce_sum(chosen, axes, keepdims=True), 1)
    scale = tf.reduce_sum(size * chosen, axes, keepdims=True) / count
    return scale * (tf.sign(centred) * chosen)


def _gaussian_range(centred: Tensor, axes: list[int], bits: int) -> Tensor:
    """r = deviation · step · (2^b − 1)/2: the outermost of 2^b levels of Max's quantizer."""
    import tensorflow as tf

    deviation = tf.sqrt(tf.reduce_mean(tf.square(centred), axes, keepdims=True))
    return tf.maximum(deviation * (GAUSSIAN_STEP[bits] * (2.0**bits - 1) / 2), 1e-12)


def _uniform_integers(ratio: Tensor, bits: int) -> Tensor:
    """The integers k of `levels_of` for weights given as a share of their range, bits 2 to 8."""
    import tensorflow as tf

    clipped = tf.clip_by_value(ratio, -1.0, 1.0)
    largest = largest_integer(bits)
    if bits < 4:
        return 2 * tf.round((clipped + 1) * (largest / 2)) - largest
    return tf.round(clipped * largest)


def largest_integer(bits: Width) -> float:
    """The largest k by which the step of `bits`-bit weights is multiplied."""
    if bits in (1, TERNARY):
        return 1.0
    width = int(bits)
    return 2.0**width - 1 if width < 4 else 2.0 ** (width - 1) - 1


def number_of_levels(bits: Width) -> int:
    """How many values a kernel of that width may hold at most: 3, or 2^bits."""
    return 3 if bits == TERNARY else 2 ** int(bits)


def information(bits: Width) -> float:
    """Bits that a weight of that width carries: log₂ 3 for "ternary"."""
    return float(np.log2(3)) if bits == TERNARY else float(bits)


def on_grid(values: Array, bits: Width) -> bool:
    """Whether float32 values are k · step with the integers k of that width, to the last bits.

    The largest value may be any integer up to `largest_integer`, as not every level need occur.
    """
    size = np.abs(values.astype(np.float64))
    largest_value = size.max(initial=0)
    if largest_value == 0:
        return True
    only_odd = bits in (1, 2, 3)
    for largest in range(1, int(largest_integer(bits)) + 1, 2 if only_odd else 1):
        ratio = size * (largest / largest_value)
        integers = np.rint(ratio)
        whole = np.all(np.abs(ratio - integers) <= 2.0**-22 * integers)
        if whole and not (only_odd and np.any(integers % 2 == 0)):
            return True
    return False


def weights_on_levels(
    weights: ArrayLike, bits: Width, channels: tuple[int, ...] = (), fit: str = "unit"
) -> Tensor:
    """`levels_of` the weights, with the straight-through gradient to them."""
    import tensorflow as tf

    @tf.custom_gradient
    def rounded(kernel: Tensor) -> tuple[Tensor, object]:
        values, passes = levels_of(kernel, bits, channels, fit)
        return values, lambda gradient: gradient * passes

    return rounded(tf.convert_to_tensor(weights))


def activations_on_levels(x: ArrayLike, bits: Width) -> Tensor:
    """Inputs of any shape on the levels of [−1, 1]; gradient 1 where |x| ≤ 1, else 0.

    sign(x) at 1 bit, round(clip(x)) for ternary, else the nearest of 2^b even levels.
    sign(0) is 0, not +1: behind a ReLU every other input would be +1, and nothing would pass.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def rounded(inputs: Tensor) -> tuple[Tensor, object]:
        inside = tf.abs(inputs) <= 1
        return _input_levels(
            inputs, bits
        ), lambda gradient: gradient * tf.cast(inside, gradient.dtype)

    return rounded(tf.convert_to_tensor(x))


def _input_levels(inputs: Tensor, bits: Width) -> Tensor:
    import tensorflow as tf

    if bits == 1:
        return tf.sign(inputs)
    clipped = tf.clip_by_value(inputs, -1.0, 1.0)
    if bits == TERNARY:
        return tf.round(clipped)
    steps = 2.0 ** int(bits) - 1
    return tf.round((clipped + 1) * (steps / 2)) * (2 / steps) - 1
