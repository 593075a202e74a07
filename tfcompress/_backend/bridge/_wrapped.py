"""tf_keras layers that run what tf_keras has no layer for.

These are Keras 3 layers, operations of either Keras, and users' functions. This file imports both
Kerases: import it inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from tfcompress._backend.graph._walk import map_leaves
from tfcompress._backend.keras._copy import maker
from tfcompress._backend.keras._keep import keep, kept, serialized
from tfcompress.core._types import Layer, Tensor

_registered: Any = tf_keras.utils.register_keras_serializable("tfcompress")
_LOST = (
    "was made from Python code that a file cannot hold: load the file in a process that holds the "
    "same model."
)


@keras.saving.register_keras_serializable("tfcompress")
class Slot:
    """The place of tensor number `index`, with its shape and dtype, in a call's arguments."""

    def __init__(
        self, index: int, shape: tuple[int | None, ...] | None = None, dtype: str | None = None
    ):
        self.index, self.shape, self.dtype = index, shape, dtype

    def get_config(self) -> dict[str, Any]:
        return {"index": self.index, "shape": self.shape, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Slot:
        return cls(config["index"], tuple(config["shape"]), config["dtype"])


def template(structure: Any) -> tuple[Any, list[Tensor]]:
    """(`structure` with Slots for its symbolic tf_keras tensors, flat list of the tensors)."""
    tensors: list[Tensor] = []

    def slot(leaf: Any) -> Any:
        if not hasattr(leaf, "_keras_history"):
            return leaf
        tensors.append(leaf)
        return Slot(len(tensors) - 1, tuple(leaf.shape), leaf.dtype.name)

    return map_leaves(structure, slot), tensors


def fill(structure: Any, value: Callable[[Slot], Any]) -> Any:
    """Put `value(slot)` in the place of every Slot in `structure`."""
    return map_leaves(structure, lambda leaf: value(leaf) if isinstance(leaf, Slot) else leaf)


class _Call:
    """What is called, and the (args, kwargs) it is called with, tensors as Slots."""

    def __init__(self, function: Any, arguments: tuple[Any, dict[str, Any]]):
        self.function, self.arguments = function, arguments

    def arguments_config(self) -> Any:
        args, kwargs = self.arguments
        return serialized({"args": list(args), "kwargs": kwargs})


def _load_arguments(config: Any) -> tuple[Any, dict[str, Any]]:
    loaded: Any = keras.saving.deserialize_keras_object(config)
    return tuple(loaded["args"]), loaded["kwargs"]


@_registered
class OpLayer(tf_keras.layers.Layer):
    """One Keras 3 Operation or TensorFlow function; called on its tensor or the list of them.

    function: what runs. arguments: (args, kwargs) in which Slots stand for the tensors.
    """

    def __init__(
        self, function: Any = None, arguments: Any = None, key: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs, autocast=False)
        holder = kept(key)
        if holder is None:
            is_config = isinstance(arguments, dict) and "config" in arguments
            arguments = _load_arguments(arguments) if is_config else arguments
            holder = keep(_Call(_load_function(function), arguments))
        self._holder = holder

    @property
    def function(self) -> Any:
        """The Keras 3 Operation or TensorFlow function."""
        return self._holder.value.function

    def call(self, inputs: Any) -> Any:
        flat = tf.nest.flatten(inputs)
        args, kwargs = fill(self._holder.value.arguments, lambda slot: flat[slot.index])
        is_operation = isinstance(self.function, keras.Operation)
        run = self.function.call if is_operation else self.function
        return run(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {
            "function": _symbol(self.function) or serialized(self.function),
            "arguments": self._holder.value.arguments_config(),
            "key": self._holder.key,
        }
        return {**super().get_config(), **config}


def _symbol(function: Any) -> str | None:
    """The public TensorFlow name of `function`, or None."""
    from tensorflow.python.util.tf_export import get_canonical_name_for_symbol

    if isinstance(function, keras.Operation):
        return None
    return get_canonical_name_for_symbol(function, add_prefix_to_v1_names=True)


def _load_function(function: Any) -> Any:
    if function is None:
        raise ValueError(f"An operation of this model {_LOST}")
    if isinstance(function, str):
        from tensorflow.python.util.tf_export import get_symbol_from_name

        return get_symbol_from_name(function)
    if isinstance(function, dict):
        return keras.saving.deserialize_keras_object(function)
    return function


@_registered
class Keras3Layer(tf_keras.layers.Layer):
    """Runs a whole Keras 3 layer (the user's own, or one that tf_keras lacks).

    Its variables are tracked here. layer: a Keras 3 layer that no other model uses. arguments:
    (args, kwargs) of its first call, tensors as Slots.
    """

    def __init__(
        self, layer: Any = None, arguments: Any = None, key: str | None = None, **kwargs: Any
    ):
        holder = kept(key)
        if holder is not None:
            layer = holder.value.function()
        elif layer is None:
            raise ValueError(f"A layer of this model {_LOST}")
        elif isinstance(layer, dict):
            layer = keras.saving.deserialize_keras_object(layer)
            arguments = _load_arguments(arguments)
        super().__init__(**kwargs)
        self.supports_masking = True
        self.inner: Layer = layer
        self._holder = holder or keep(_Call(maker(layer), arguments))

    def build(self, input_shape: Any) -> None:
        if not self.inner.built:
            with tf.init_scope():
                args, kwargs = fill(
                    self._holder.value.arguments,
                    lambda slot: keras.KerasTensor(slot.shape, slot.dtype or "float32"),
                )
                self.inner(*args, **kwargs)
        parts = self.inner._flatten_layers()
        trainable = {id(variable) for part in parts for variable in part._trainable_variables}
        for variable in self.inner.weights:
            is_trainable = id(variable) in trainable
            weights = self._trainable_weights if is_trainable else self._non_trainable_weights
            weights.append(variable.value)
        super().build(input_shape)

    def call(self, inputs: Any, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        if self.inner.trainable != self.trainable:
            self.inner.trainable = self.trainable
        # The context reaches the layers inside too.
        self.inner._get_call_context().set_value("training", training)
        outputs = self.inner(inputs, *args, **kwargs)
        self.add_loss(self.inner.losses)
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.inner.compute_mask(inputs, mask) if self.inner.supports_masking else None

    def get_config(self) -> dict[str, Any]:
        config = {
            "layer": serialized(self.inner),
            "arguments": self._holder.value.arguments_config(),
            "key": self._holder.key,
        }
        return {**super().get_config(), **config}


@_registered
class FunctionLayer(tf_keras.layers.Lambda):
    """A Lambda that survives copying through its config while a layer holds the function."""

    def __init__(self, function: Any, mask: Any = None, key: str | None = None, **kwargs: Any):
        super().__init__(function, mask=mask, **kwargs)
        self._holder = kept(key) or keep((function, mask))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "key": self._holder.key}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        holder = kept(config.pop("key"))
        if holder is None:
            return super().from_config(config, custom_objects)
        code = ("function", "module", "mask", "output_shape")
        plain = {name: value for name, value in config.items() if not name.startswith(code)}
        return cls(*holder.value, key=holder.key, **plain)


@_registered
class Function:
    """A user's activation function; survives copying through a config while a layer holds it."""

    def __init__(self, function: Any = None, key: str | None = None):
        holder = kept(key) if function is None else keep(function)
        if holder is None:
            raise ValueError(f"An activation function of this model {_LOST}")
        self._holder = holder
        self.function = holder.value
        self.__name__ = getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def key(self) -> str:
        """Under which this process finds the function."""
        return self._holder.key

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)

    def get_config(self) -> dict[str, Any]:
        return {"key": self.key}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Function:
        return cls(**config)


@_registered
def hard_sigmoid_keras3(x: Tensor) -> Tensor:
    """Keras 3's hard sigmoid, relu6(x + 3) / 6; that of tf_keras is clip(0.2·x + 0.5, 0, 1)."""
    return tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


@_registered
def hard_swish(x: Tensor) -> Tensor:
    """Hard SiLU, x · relu6(x + 3) / 6."""
    return x * (tf.nn.relu6(x + 3.0) * (1.0 / 6.0))
