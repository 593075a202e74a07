"""TFMOT's quantizers extended: weights that keep their zeros and clusters, and layers of which only the output is quantized."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from tfcompress._backend.tfmot._load import load

MOST_CLUSTERS = 256  # more different values than int8 has codes are no clusters


def assignment(kernel: np.ndarray) -> tuple[np.ndarray, bool] | None:
    """(index, per channel) of a clustered `kernel`: index, of its shape, numbers the sets of weights that hold one value.

    Per channel (of the last axis) if no two channels share a value but zero; None for a kernel that is not clustered: more
    than 256 values in the kernel or in a channel, or hardly fewer values than weights.
    """
    channels = kernel.shape[-1] if kernel.ndim == 4 else 1
    index = _index(kernel)
    if index is None and channels > 1:
        parts = (
            [_index(kernel[..., c]) for c in range(channels)]
            if _index(kernel[..., 0]) is not None
            else [None]
        )
        if any(part is None for part in parts):
            return None
        first = np.cumsum([0] + [int(part.max()) + 1 for part in parts])
        return np.stack([part + start for part, start in zip(parts, first)], axis=-1).astype(
            np.int32
        ), True
    if index is None or channels == 1:
        return None if index is None else (index, False)
    codes = index * np.int32(channels) + np.arange(
        channels, dtype=np.int32
    )  # (value, channel) in one number, counted without sorting
    there = np.bincount(codes.reshape(-1)) > 0
    used = np.flatnonzero(there)
    zero = index[kernel == 0][:1]  # the one value that channels may share
    alone = np.count_nonzero(used // channels != zero[0]) if zero.size else len(used)
    if alone == int(index.max()) + (0 if zero.size else 1):
        return (np.cumsum(there, dtype=np.int32) - 1)[codes], True
    return index, False


def _index(part: np.ndarray) -> np.ndarray | None:
    """Number of every weight's value among the sorted values of `part`, int32 of its shape; None if there are too many values."""
    most = min(MOST_CLUSTERS, part.size // 2)
    sample = np.unique(part.reshape(-1)[:: max(part.size // 65536, 1)])
    if len(sample) > most:
        return None
    index = np.searchsorted(sample, part).clip(max=len(sample) - 1)
    if np.array_equal(sample[index], part):
        return index.astype(np.int32)
    values, index = np.unique(part, return_inverse=True)
    return index.reshape(part.shape).astype(np.int32) if len(values) <= most else None


@functools.cache
def classes() -> SimpleNamespace:
    """The classes, made once, over TFMOT's: KeepingQuantizer and the configs, Affine; for loading QuantizeLayer, QuantizeWrapperV2."""
    import tensorflow as tf
    import tf_keras

    load()
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_configs import (
        Default8BitOutputQuantizeConfig,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_registry import (
        Default8BitQuantizeConfig,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import (
        QuantizeLayer as Layer,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
        QuantizeWrapperV2 as Wrapper,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantizers import Quantizer

    constant = tf_keras.initializers.Constant

    class KeepingQuantizer(Quantizer):
        """Symmetric 8-bit weights whose equal values stay equal (`clusters`) and whose zeros stay zero (`zeros`).

        Clusters: with a(i) the set of weight i and r(k) the first weight of set k, the layer sees c_a(i), c_k = w_r(k): the
        kernel's own weights at r are the centroids, and each gets the mean of its members' gradients. A centroid that is
        zero stays zero. The range is ±max|w| of the kernel where values are shared in all of it, else of each channel, so
        that equal weights get equal codes; zero is code 0.
        """

        def __init__(self, per_axis=False, clusters=False, zeros=False, sets=None, shared=True):
            self.per_axis, self.clusters, self.zeros, self.sets, self.shared = (
                per_axis,
                clusters,
                zeros,
                sets,
                shared,
            )

        def build(self, tensor_shape, name, layer):
            shape = tuple(tensor_shape)
            fresh = (
                self.sets is None
            )  # else: read back from a file, whose variables are about to be loaded
            kernel = getattr(layer.layer, name).numpy() if fresh else np.zeros(shape, np.float32)
            found = assignment(kernel) if fresh and self.clusters else None
            if fresh:
                self.sets = int(found[0].max()) + 1 if found else 0
                self.shared = not (found and found[1]) and bool(found)
            ranges = (shape[-1],) if self.per_axis else ()

            def add(what, shape, start, dtype=None):
                return layer.add_weight(
                    f"{name}_{what}",
                    shape=shape,
                    dtype=dtype,
                    initializer=constant(start),
                    trainable=False,
                )

            made = {"min_var": add("min", ranges, -6.0), "max_var": add("max", ranges, 6.0)}
            if self.sets:
                index = found[0] if found else np.zeros(shape, np.int32)
                first, counts = np.zeros(self.sets, np.int32), 1
                if found:
                    flat = index.reshape(-1)
                    counts = np.bincount(flat)
                    first[flat[::-1]] = np.arange(
                        flat.size - 1, -1, -1, dtype=np.int32
                    )  # of equal sets the last written stays: the first
                free = kernel.reshape(-1)[first] != 0
                made["index"] = add("index", shape, index, tf.int32)
                made["first"] = add("first", (self.sets,), first, tf.int32)
                made["scale"] = add("scale", (self.sets,), free / counts)
            elif self.zeros:
                made["mask"] = add("mask", shape, kernel != 0)
            return made

        def kept(self, weight, weights):
            """The weights as the layer sees them before rounding."""
            if "index" in weights:
                index, scale = (
                    tf.convert_to_tensor(weights["index"]),
                    tf.convert_to_tensor(weights["scale"]),
                )

                @tf.custom_gradient
                def shared(values):
                    def gradient(
                        upstream,
                    ):  # by set, the sum · 1/count = the mean; bincount is many times faster than gather's own gradient
                        flat = tf.reshape(index, [-1]), tf.reshape(upstream, [-1])
                        return (
                            tf.math.bincount(*flat, minlength=self.sets, maxlength=self.sets)
                            * scale
                        )

                    return tf.gather(tf.where(scale > 0, values, 0.0), index), gradient

                return shared(tf.gather(tf.reshape(weight, [-1]), weights["first"]))
            return weight * weights["mask"] if "mask" in weights else tf.convert_to_tensor(weight)

        def __call__(self, inputs, training, weights, **kwargs):
            kernel = self.kept(inputs, weights)
            low, high = weights["min_var"], weights["max_var"]
            if training:
                axes = (
                    list(range(len(kernel.shape) - 1))
                    if self.per_axis and not self.shared
                    else None
                )
                bound = tf.broadcast_to(tf.reduce_max(tf.abs(kernel), axis=axes), high.shape)
                low, high = low.assign(-bound), high.assign(bound)
            quantize = tf.quantization.fake_quant_with_min_max_vars
            if self.per_axis:
                quantize = tf.quantization.fake_quant_with_min_max_vars_per_channel
            return quantize(kernel, low, high, num_bits=8, narrow_range=True)

        def get_config(self):
            return {
                name: getattr(self, name)
                for name in ("per_axis", "clusters", "zeros", "sets", "shared")
            }

    @tf_keras.utils.register_keras_serializable("tfcompress")
    class KeepingConfig(Default8BitQuantizeConfig):
        """TFMOT's 8-bit config of a layer, its weights quantized by a KeepingQuantizer."""

        def __init__(self, weight_attrs, activation_attrs, quantize_output, keeping):
            super().__init__(weight_attrs, activation_attrs, quantize_output)
            self.weight_quantizer = KeepingQuantizer(**keeping)

        def get_config(self):
            return {**super().get_config(), "keeping": self.weight_quantizer.get_config()}

    @tf_keras.utils.register_keras_serializable("tfcompress")
    class OutputConfig(Default8BitOutputQuantizeConfig):
        """Of a layer without weights only the output is quantized; `quantize_output=False` where it keeps its input's range."""

    @tf_keras.utils.register_keras_serializable("tfcompress")
    class Affine(tf_keras.layers.Layer):
        """x·slope + offset along the last axis; `activation` is where the product gets a range of its own."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.activation = tf_keras.activations.linear

        def build(self, input_shape):
            self.slope = self.add_weight("slope", shape=(input_shape[-1],), initializer="ones")
            self.offset = self.add_weight("offset", shape=(input_shape[-1],), initializer="zeros")
            super().build(input_shape)

        def call(self, inputs):
            return self.activation(inputs * self.slope) + self.offset

        def compute_output_shape(self, input_shape):
            return input_shape

    @tf_keras.utils.register_keras_serializable("tfcompress")
    class AffineConfig(Default8BitQuantizeConfig):
        """TFMOT's 8-bit config under a name of its own, so that nothing takes it for that of a layer with a kernel."""

    class QuantizeLayer(Layer):
        """TFMOT's, which never says that it is built: reading a `.keras` file builds it twice, with twice the variables."""

        def build(self, input_shape):
            if not self.built:
                super().build(input_shape)
                self.built = True

    class QuantizeWrapperV2(Wrapper):
        """TFMOT's, which lists the weights of its layer before that is built, so that a `.keras` file has more of them."""

        def build(self, input_shape):
            if not self.layer.built:
                self.layer.build(input_shape)
            super().build(input_shape)

    for fixed, cls in ((QuantizeLayer, Layer), (QuantizeWrapperV2, Wrapper)):
        fixed.__module__ = (
            cls.__module__
        )  # they stand in for TFMOT's when a file is read, and are saved as TFMOT's again
    made = (
        KeepingQuantizer,
        KeepingConfig,
        OutputConfig,
        Affine,
        AffineConfig,
        QuantizeLayer,
        QuantizeWrapperV2,
    )
    return SimpleNamespace(**{cls.__name__: cls for cls in made})


def custom_objects() -> dict[str, Any]:
    """Name → class of everything that a quantization-aware model of this library holds beyond TFMOT's own."""
    return dict(vars(classes()))
