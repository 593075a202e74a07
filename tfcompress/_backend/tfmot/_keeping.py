"""8-bit weights that keep their zeros and clusters while they are trained.

This file imports TFMOT: import it inside functions only, after `load()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_registry as registry,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantizers import Quantizer

from tfcompress._backend.tfmot._assignment import assignment
from tfcompress.core._types import Array, Layer, Tensor, Variable

START = 6.0  # of a range that no batch has set yet, as TFMOT has it


@dataclass(frozen=True)
class Sets:
    """The sets of equal weights of a kernel.

    Args:
        index: the set of every weight, int32 of the kernel's shape.
        first: the first weight of every set, by its place in the flat kernel.
        scale: 1 / the number of its weights for every set, 0 for the set of zeros.
    """

    index: Array
    first: Array
    scale: Array

    @classmethod
    def of(cls, kernel: Array, index: Array) -> Sets:
        """The sets of `kernel`, numbered by `index`."""
        flat = index.reshape(-1)
        counts = np.bincount(flat)
        first = np.zeros(len(counts), np.int32)
        # Of equal sets the last one written stays: backwards, that is the first.
        first[flat[::-1]] = np.arange(flat.size - 1, -1, -1, dtype=np.int32)
        return cls(index, first, (kernel.reshape(-1)[first] != 0) / counts)

    @classmethod
    def empty(cls, shape: Sequence[int], count: int) -> Sets:
        """Sets whose numbers a file is about to give."""
        zeros = np.zeros(count, np.int32)
        return cls(np.zeros(shape, np.int32), zeros, np.ones(count))


class KeepingQuantizer(Quantizer):
    """Symmetric 8-bit weights whose equal values stay equal (`clusters`) and whose zeros stay zero
    (`zeros`).

    Clusters: with a(i) the set of weight i and r(k) the first weight of set k, the layer sees
    c_a(i), c_k = w_r(k): the kernel's own weights at r are the centroids, and each gets the mean of
    its members' gradients. A centroid that is zero stays zero. The range is ±max|w| of the kernel
    where values are shared in all of it, else of each channel, so that equal weights get equal
    codes; zero is code 0.

    Args:
        per_axis: a range for every output channel.
        clusters, zeros: what the weights keep.
        sets: how many sets of equal weights there are; None until `build` has looked.
        shared: whether sets reach over several channels.
    """

    def __init__(
        self,
        per_axis: bool = False,
        clusters: bool = False,
        zeros: bool = False,
        sets: int | None = None,
        shared: bool = True,
    ) -> None:
        self.per_axis, self.clusters, self.zeros = per_axis, clusters, zeros
        self.sets, self.shared = sets, shared

    def build(self, tensor_shape: Any, name: str, layer: Layer) -> Any:
        """The variables for the weight `name` of `layer`, a wrapper: its range, and what it
        keeps.
        """
        shape = tuple(tensor_shape)
        add = _adding(layer, name)
        ranges = (shape[-1],) if self.per_axis else ()
        variables = {"min_var": add("min", ranges, -START), "max_var": add("max", ranges, START)}
        kernel = None  # read back from a file, whose variables are about to be loaded
        if self.sets is None:
            kernel = getattr(layer.layer, name).numpy()
        sets = self._sets(shape, kernel)
        if sets is not None:
            count = len(sets.first)
            variables["index"] = add("index", shape, sets.index, tf.int32)
            variables["first"] = add("first", (count,), sets.first, tf.int32)
            variables["scale"] = add("scale", (count,), sets.scale)
        elif self.zeros:
            mask = np.ones(shape) if kernel is None else kernel != 0
            variables["mask"] = add("mask", shape, mask)
        return variables

    def _sets(self, shape: Sequence[int], kernel: Array | None) -> Sets | None:
        """The sets of equal weights, where there are any and they are kept; notes how many."""
        if kernel is None:
            return Sets.empty(shape, self.sets) if self.sets else None
        assigned = assignment(kernel) if self.clusters else None
        if assigned is None:
            self.sets, self.shared = 0, False
            return None
        index, per_channel = assigned
        self.sets, self.shared = int(index.max()) + 1, not per_channel
        return Sets.of(kernel, index)

    def kept(self, weight: Tensor, weights: dict[str, Variable]) -> Tensor:
        """The weights as the layer sees them before rounding."""
        if "index" in weights:
            return self._shared(weight, weights)
        return weight * weights["mask"] if "mask" in weights else tf.convert_to_tensor(weight)

    def _shared(self, weight: Tensor, weights: dict[str, Variable]) -> Tensor:
        """c_a(i); by set, the sum of the gradients · 1/count = their mean."""
        index, scale = (tf.convert_to_tensor(weights[name]) for name in ("index", "scale"))

        @tf.custom_gradient
        def spread(centroids: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            def gradient(upstream: Tensor) -> Tensor:
                # bincount is many times faster than gather's own gradient.
                flat, values = tf.reshape(index, [-1]), tf.reshape(upstream, [-1])
                sums = tf.math.bincount(flat, values, minlength=self.sets, maxlength=self.sets)
                return sums * scale

            return tf.gather(tf.where(scale > 0, centroids, 0.0), index), gradient

        return spread(tf.gather(tf.reshape(weight, [-1]), weights["first"]))

    def __call__(
        self, inputs: Tensor, training: bool, weights: dict[str, Variable], **kwargs: Any
    ) -> Tensor:
        """The weights rounded to 8 bits; while training, their range is what they span now."""
        kernel = self.kept(inputs, weights)
        low, high = weights["min_var"], weights["max_var"]
        if training:
            by_channel = self.per_axis and not self.shared
            axes = list(range(len(kernel.shape) - 1)) if by_channel else None
            bound = tf.broadcast_to(tf.reduce_max(tf.abs(kernel), axis=axes), high.shape)
            low, high = low.assign(-bound), high.assign(bound)
        quantize = tf.quantization.fake_quant_with_min_max_vars
        if self.per_axis:
            quantize = tf.quantization.fake_quant_with_min_max_vars_per_channel
        return quantize(kernel, low, high, num_bits=8, narrow_range=True)

    def get_config(self) -> dict[str, Any]:
        names = ("per_axis", "clusters", "zeros", "sets", "shared")
        return {name: getattr(self, name) for name in names}


def _adding(layer: Layer, name: str) -> Callable[..., Variable]:
    """add(what, shape, start, dtype): a variable of `layer` for its weight `name`, not trained."""

    def add(what: str, shape: Sequence[int], start: Any, dtype: Any = None) -> Variable:
        return layer.add_weight(
            f"{name}_{what}",
            shape=shape,
            dtype=dtype,
            initializer=tf_keras.initializers.Constant(start),
            trainable=False,
        )

    return add


@tf_keras.utils.register_keras_serializable("tfcompress")
class KeepingConfig(registry.Default8BitQuantizeConfig):
    """TFMOT's 8-bit config of a layer, its weights quantized by a KeepingQuantizer.

    Args:
        weight_attrs, activation_attrs, quantize_output: as TFMOT's.
        keeping: the arguments of the KeepingQuantizer.
    """

    def __init__(
        self,
        weight_attrs: list[str],
        activation_attrs: list[str],
        quantize_output: bool,
        keeping: dict[str, Any],
    ) -> None:
        super().__init__(weight_attrs, activation_attrs, quantize_output)
        self.weight_quantizer = KeepingQuantizer(**keeping)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keeping": self.weight_quantizer.get_config()}
