"""Which Keras a model comes from, whether it has a graph to walk, and the seed of both."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from tfcompress.core._errors import ModelError
from tfcompress.core._types import Layer, Model

FLAVOURS = ("keras", "tf_keras")


def keras_module(flavour: str) -> ModuleType:
    """The package "keras" (Keras 3) or "tf_keras"; ModelError for any other name."""
    if flavour not in FLAVOURS:
        raise ModelError(f"keras={flavour!r}: expected 'keras' (Keras 3) or 'tf_keras'.")
    return importlib.import_module(flavour)


def flavour(model: object) -> str:
    """The Keras that a model or layer belongs to: "keras" (Keras 3) or "tf_keras".

    Raises ModelError for anything else.
    """
    for name in _loaded():
        if isinstance(model, _package(name).layers.Layer):
            if name == "keras":
                _require_tensorflow(_package(name))
            return name
    if isinstance(model, type):
        raise ModelError(
            f"Expected a Keras model, got the class {model.__name__}; pass an instance of it."
        )
    raise ModelError(
        "Expected a Keras 3 or tf_keras model, got "
        f"{type(model).__module__}.{type(model).__qualname__}. "
        "Pass the model object; a saved one is read by load_model(path)."
    )


def _loaded() -> list[str]:
    return [name for name in FLAVOURS if name in sys.modules]


def _package(name: str) -> Any:
    return sys.modules[name]


def _require_tensorflow(keras: Any) -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ModelError(
            f"Keras 3 runs on its {backend} backend here, and .tflite files are made from "
            "TensorFlow models. Save the model (.keras), set the environment variable "
            "KERAS_BACKEND=tensorflow and load it in a new process."
        )


def package_of(model: Layer) -> Any:
    """The Python package, `keras` or `tf_keras`, that a model or layer belongs to."""
    return _package(flavour(model))


def from_keras(thing: object) -> bool:
    """Whether a class, function or object is Keras's own (either Keras), not the user's."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return module.split(".")[0] in FLAVOURS


def is_layer(thing: object) -> bool:
    """Whether `thing` is a layer or model of either Keras."""
    return any(isinstance(thing, _package(name).layers.Layer) for name in _loaded())


def graph_of(thing: Any) -> Any:
    """The object that holds the nodes of a Sequential or Functional model.

    None for a layer, and for a model that is not built or has a `call` of its own.
    """
    name = next((n for n in _loaded() if isinstance(thing, _package(n).Model)), None)
    if name is None or not from_keras(type(thing).call):
        return None
    if name == "keras":
        graph = thing._functional if isinstance(thing, _package(name).Sequential) else thing
        return graph if getattr(graph, "_nodes_by_depth", None) is not None else None
    is_built = thing._is_graph_network and getattr(thing, "_graph_initialized", True)
    return thing if is_built and getattr(thing, "_nodes_by_depth", None) is not None else None


def require_graph(model: Model) -> None:
    """Raise ModelError, with the way out, unless `model` has a graph to walk."""
    package = package_of(model)
    if not isinstance(model, package.Model):
        raise ModelError(
            f"Expected a model, got the {type(model).__name__} layer {model.name!r}; "
            "put it into a keras.Sequential."
        )
    if graph_of(model) is not None:
        return
    if isinstance(model, package.Sequential) and from_keras(type(model).call):
        raise ModelError(
            f"Sequential model {model.name!r} has no input shape yet: "
            "add keras.Input(shape) as its first layer, "
            "or call model.build((None, ...)) or the model on one batch."
        )
    raise ModelError(
        f"{type(model).__name__} {model.name!r} is a subclassed model: its layers "
        f"({_names(model)}) are joined by Python code, not by a graph. Rebuild it as "
        "keras.Model(inputs, outputs): call it on keras.Input(...) tensors layer by layer."
    )


def _names(model: Model) -> str:
    names = [f"{layer.name}: {type(layer).__name__}" for layer in model.layers]
    if not names:
        return "none yet"
    return ", ".join(names[:5] if len(names) <= 5 else [*names[:5], "…"])


def set_seed(seed: int) -> None:
    """Seed Python, NumPy, TensorFlow and both Kerases with the integer `seed`."""
    import keras
    import tf_keras

    keras.utils.set_random_seed(seed)
    tf_keras.utils.set_random_seed(seed)
