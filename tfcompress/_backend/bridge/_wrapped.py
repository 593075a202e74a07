"""tf_keras layers that run what tf_keras has no layer for: Keras 3 layers, operations of either Keras, user functions.

This file imports both Kerases: import it inside functions only.
"""

import keras
import tensorflow as tf
import tf_keras

from tfcompress._backend.graph._walk import map_leaves
from tfcompress._backend.keras._copy import maker
from tfcompress._backend.keras._keep import keep, kept, serialized

_registered = tf_keras.utils.register_keras_serializable("tfcompress")
_LOST = "was made from Python code that a file cannot hold: load the file in a process that has built the same model before."


@keras.saving.register_keras_serializable("tfcompress")
class Slot:
    """The place of tensor number `index`, with its shape and dtype, in the recorded arguments of a call."""

    def __init__(self, index, shape=None, dtype=None):
        self.index, self.shape, self.dtype = index, shape, dtype

    def get_config(self):
        return {"index": self.index, "shape": self.shape, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        return cls(config["index"], tuple(config["shape"]), config["dtype"])


def template(structure):
    """Replace the symbolic tf_keras tensors in `structure` by Slots; returns (template, flat list of the tensors)."""
    tensors = []

    def slot(leaf):
        if not hasattr(leaf, "_keras_history"):
            return leaf
        tensors.append(leaf)
        return Slot(len(tensors) - 1, tuple(leaf.shape), leaf.dtype.name)

    return map_leaves(structure, slot), tensors


def fill(structure, value):
    """Put `value(slot)` in the place of every Slot in `structure`."""
    return map_leaves(structure, lambda leaf: value(leaf) if isinstance(leaf, Slot) else leaf)


class _Call:
    """What is called and its (args, kwargs) template, in an object that tf_keras's attribute tracking leaves alone."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def arguments_config(self):
        return serialized({"args": list(self.arguments[0]), "kwargs": self.arguments[1]})


def _load_arguments(config):
    loaded = keras.saving.deserialize_keras_object(config)
    return tuple(loaded["args"]), loaded["kwargs"]


@_registered
class OpLayer(tf_keras.layers.Layer):
    """One Keras 3 Operation or TensorFlow function in a graph; called on its tensor or the flat list of its tensors.

    function: what runs; arguments: (args, kwargs) in which Slots stand for the tensors.
    """

    def __init__(self, function=None, arguments=None, key=None, **kwargs):
        super().__init__(**kwargs, autocast=False)
        if kept(key) is None:
            key = keep(
                _Call(
                    _load_function(function),
                    _load_arguments(arguments) if "config" in arguments else arguments,
                )
            )
        self._key = key

    @property
    def function(self):
        """The Keras 3 Operation or TensorFlow function."""
        return kept(self._key).function

    def call(self, inputs):
        flat = tf.nest.flatten(inputs)
        args, kwargs = fill(kept(self._key).arguments, lambda slot: flat[slot.index])
        function = (
            self.function.call if isinstance(self.function, keras.Operation) else self.function
        )
        return function(*args, **kwargs)

    def get_config(self):
        config = {
            "function": _symbol(self.function) or serialized(self.function),
            "arguments": kept(self._key).arguments_config(),
        }
        return {**super().get_config(), **config, "key": self._key}


def _symbol(function):
    """The public TensorFlow name of `function`, or None."""
    from tensorflow.python.util.tf_export import get_canonical_name_for_symbol

    if isinstance(function, keras.Operation):
        return None
    return get_canonical_name_for_symbol(function, add_prefix_to_v1_names=True)


def _load_function(function):
    if function is None:
        raise ValueError(f"An operation of this model {_LOST}")
    if isinstance(function, str):
        from tensorflow.python.util.tf_export import get_symbol_from_name

        return get_symbol_from_name(function)
    return (
        keras.saving.deserialize_keras_object(function) if isinstance(function, dict) else function
    )


@_registered
class Keras3Layer(tf_keras.layers.Layer):
    """Runs a whole Keras 3 layer (the user's own, or one that tf_keras lacks); its variables are tracked here.

    layer: a Keras 3 layer that no other model uses; arguments: (args, kwargs) of its first call, tensors as Slots.
    """

    def __init__(self, layer=None, arguments=None, key=None, **kwargs):
        made = kept(key)
        if made is not None:
            layer = made.function()
        elif layer is None:
            raise ValueError(f"A layer of this model {_LOST}")
        elif isinstance(layer, dict):
            layer, arguments = (
                keras.saving.deserialize_keras_object(layer),
                _load_arguments(arguments),
            )
        super().__init__(**kwargs)
        self.supports_masking = True
        self.inner = layer
        self._key = key if made is not None else keep(_Call(maker(layer), arguments))

    def build(self, input_shape):
        if not self.inner.built:
            with tf.init_scope():
                args, kwargs = fill(
                    kept(self._key).arguments,
                    lambda slot: keras.KerasTensor(slot.shape, slot.dtype),
                )
                self.inner(*args, **kwargs)
        born_trainable = {
            id(v) for part in self.inner._flatten_layers() for v in part._trainable_variables
        }
        for variable in self.inner.weights:
            (
                self._trainable_weights
                if id(variable) in born_trainable
                else self._non_trainable_weights
            ).append(variable.value)
        super().build(input_shape)

    def call(self, inputs, *args, training=None, **kwargs):
        if self.inner.trainable != self.trainable:
            self.inner.trainable = self.trainable
        self.inner._get_call_context().set_value(
            "training", training
        )  # reaches the layers inside too
        outputs = self.inner(inputs, *args, **kwargs)
        self.add_loss(self.inner.losses)
        return outputs

    def compute_mask(self, inputs, mask=None):
        return self.inner.compute_mask(inputs, mask) if self.inner.supports_masking else None

    def get_config(self):
        config = {
            "layer": serialized(self.inner),
            "arguments": kept(self._key).arguments_config(),
            "key": self._key,
        }
        return {**super().get_config(), **config}


@_registered
class FunctionLayer(tf_keras.layers.Lambda):
    """A Lambda that survives copying through its config: the function is kept in this process."""

    def __init__(self, function, mask=None, key=None, **kwargs):
        super().__init__(function, mask=mask, **kwargs)
        self._key = key or keep((function, mask))

    def get_config(self):
        return {**super().get_config(), "key": self._key}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        key = config.pop("key")
        if kept(key) is None:
            return super().from_config(config, custom_objects)
        plain = {
            k: v
            for k, v in config.items()
            if not k.startswith(("function", "module", "mask", "output_shape"))
        }
        return cls(*kept(key), key=key, **plain)


@_registered
class Function:
    """A user's activation function; survives copying through a config because it is kept in this process."""

    def __init__(self, function=None, key=None):
        self.key = key if function is None else keep(function)
        self.function = kept(self.key)
        if self.function is None:
            raise ValueError(f"An activation function of this model {_LOST}")
        self.__name__ = getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, x):
        return self.function(x)

    def get_config(self):
        return {"key": self.key}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@_registered
def hard_sigmoid_keras3(x):
    """Keras 3's hard sigmoid, relu6(x + 3) / 6; that of tf_keras is clip(0.2·x + 0.5, 0, 1)."""
    return tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


@_registered
def hard_swish(x):
    """Hard SiLU, x · relu6(x + 3) / 6."""
    return x * (tf.nn.relu6(x + 3.0) * (1.0 / 6.0))
