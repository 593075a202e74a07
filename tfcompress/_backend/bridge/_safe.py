"""Reading saved models without running the Python code that a file can hold or name."""

from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

TRUSTED_PACKAGES = ("keras", "tf_keras", "tensorflow_model_optimization", "tfcompress")
OPERATIONS = "tensorflow.python.ops."
ACTIVATIONS = (
    "array_ops",
    "clip_ops",
    "gen_math_ops",
    "gen_nn_ops",
    "math_ops",
    "nn_impl",
    "nn_ops",
)
"""Modules of TensorFlow, the path below it left out, whose functions are activations in files."""
UNSAFE_OPERATIONS = (
    "debugging.",
    "io.",
    "load_",
    "numpy_function",
    "py_func",
    "raw_ops.",
    "saved_model.",
    "summary.",
    "train.",
)
REFUSALS = ("arbitrary code", "safe_mode", "unsafe_deserialization", "is not run")

_LOCK = threading.RLock()


@contextmanager
def safe_loading(keras_name: str) -> Iterator[None]:
    """While a Keras reads a model, no code of the file's runs and no module it names is imported.

    Keras 3 keeps to that itself. tf_keras does not for `.h5` files and SavedModel folders (Lambda
    layers hold bytecode), for functions by module and name in `.keras` files, and for operations
    of TensorFlow that read and write files.
    """
    serialization = importlib.import_module(f"{keras_name}.src.saving.serialization_lib")
    with _LOCK, ExitStack() as stack:
        stack.enter_context(serialization.SafeModeScope(True))
        if keras_name == "tf_keras":
            stack.enter_context(_guarded(serialization))
        yield


@contextmanager
def _guarded(serialization: types.ModuleType) -> Iterator[None]:
    """tf_keras with its imports and its operations of TensorFlow looked at before they happen."""
    from tf_keras.src.layers.core import tf_op_layer

    revive = tf_op_layer.TFOpLambda.from_config.__func__

    def from_config(cls: type, config: dict[str, object], *more: object) -> object:
        _refuse_operation(str(config.get("function")))
        return revive(cls, config, *more)

    importer = types.SimpleNamespace(import_module=_import_module)
    operation = mock.patch.object(tf_op_layer.TFOpLambda, "from_config", classmethod(from_config))
    with mock.patch.object(serialization, "importlib", importer), operation:
        yield


def is_refusal(error: BaseException) -> bool:
    """Whether a file could not be read because it asks for code to be run."""
    return any(words in str(error) for words in REFUSALS)


def _import_module(name: str) -> object:
    """A module of the Kerases; of any other, the Keras classes that it has, if it is loaded."""
    is_activation = name.removeprefix(OPERATIONS) in ACTIVATIONS and name.startswith(OPERATIONS)
    if is_activation or name.partition(".")[0] in TRUSTED_PACKAGES:
        return importlib.import_module(name)
    if name not in sys.modules:
        raise ValueError(f"The file names the module {name!r}, which is not run unless imported")
    members = vars(sys.modules[name]).items()
    classes = {
        key: value
        for key, value in members
        if isinstance(value, type) and hasattr(value, "from_config")
    }
    if not classes:
        raise ValueError(f"The file names a function of {name!r}, which is not run")
    return types.SimpleNamespace(**classes)


def _refuse_operation(name: str) -> None:
    if name.startswith(UNSAFE_OPERATIONS):
        raise ValueError(f"The file calls tf.{name}, which is not run")
