"""Which Keras a model comes from, whether it has a graph that can be walked, and the seed of both."""

import importlib
import sys
from types import ModuleType

from tfcompress.core._errors import ModelError

FLAVOURS = ("keras", "tf_keras")


def flavour(model):
    """Return "keras" (Keras 3) or "tf_keras", the Keras that `model` (or layer) belongs to; ModelError for anything else."""
    for name in FLAVOURS:
        if name in sys.modules and isinstance(model, sys.modules[name].layers.Layer):
            if name == "keras":
                _require_tensorflow(sys.modules[name])
            return name
    if isinstance(model, type):
        raise ModelError(
            f"Expected a Keras model, got the class {model.__name__}; pass an instance of it."
        )
    raise ModelError(
        f"Expected a Keras 3 or tf_keras model, got {type(model).__module__}.{type(model).__qualname__}. "
        "Pass the model object; a saved one is read by load_model(path)."
    )


def _require_tensorflow(keras):
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ModelError(
            f"Keras 3 runs on its {backend} backend here, and .tflite files are made from TensorFlow models. "
            "Save the model (.keras), set the environment variable KERAS_BACKEND=tensorflow and load it in a new process."
        )


def package_of(model):
    """The Python package, `keras` or `tf_keras`, that `model` (or layer) belongs to."""
    return sys.modules[flavour(model)]


def from_keras(thing):
    """Whether a class, function or object is Keras's own (either Keras), not the user's."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return module.split(".")[0] in FLAVOURS


def is_layer(thing):
    """Whether `thing` is a layer or model of either Keras."""
    return any(
        name in sys.modules and isinstance(thing, sys.modules[name].layers.Layer)
        for name in FLAVOURS
    )


def graph_of(thing):
    """The object that holds the nodes of a Sequential or Functional model; None for a layer, an unbuilt or a subclassed model."""
    package = next(
        (
            sys.modules[n]
            for n in FLAVOURS
            if n in sys.modules and isinstance(thing, sys.modules[n].Model)
        ),
        None,
    )
    if package is None or not from_keras(type(thing).call):
        return None
    if package.__name__ == "keras":
        graph = thing._functional if isinstance(thing, package.Sequential) else thing
        return graph if getattr(graph, "_nodes_by_depth", None) is not None else None
    built = thing._is_graph_network and getattr(thing, "_graph_initialized", True)
    return thing if built and getattr(thing, "_nodes_by_depth", None) is not None else None


def require_graph(model):
    """Raise ModelError unless `model` is a built Sequential or Functional model of either Keras; says what to do."""
    package = package_of(model)
    if not isinstance(model, package.Model):
        raise ModelError(
            f"Expected a model, got the {type(model).__name__} layer {model.name!r}; put it into a keras.Sequential."
        )
    if graph_of(model) is not None:
        return
    if isinstance(model, package.Sequential) and from_keras(type(model).call):
        raise ModelError(
            f"Sequential model {model.name!r} has no input shape yet: add keras.Input(shape) as its first layer, "
            "or call model.build((None, ...)) or the model on one batch."
        )
    raise ModelError(
        f"{type(model).__name__} {model.name!r} is a subclassed model: its layers ({_names(model)}) are joined by Python code, "
        "not by a graph. "
        "Rebuild it as keras.Model(inputs, outputs): call it on keras.Input(...) tensors layer by layer."
    )


def _names(model):
    names = [f"{layer.name}: {type(layer).__name__}" for layer in model.layers]
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "") if names else "none yet"


def set_seed(seed):
    """Seed Python, NumPy, TensorFlow and both Kerases with the integer `seed`."""
    import keras
    import tf_keras

    keras.utils.set_random_seed(seed)
    tf_keras.utils.set_random_seed(seed)


def keras_module(flavour: str) -> ModuleType:
    """The package "keras" (Keras 3) or "tf_keras"; ModelError for any other name."""
    if flavour not in FLAVOURS:
        raise ModelError(f"keras={flavour!r}: expected 'keras' (Keras 3) or 'tf_keras'.")
    return importlib.import_module(flavour)
