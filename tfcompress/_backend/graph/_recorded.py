"""What an operation of a graph was called with: symbolic tensors, constants and options."""

from __future__ import annotations

from typing import Any

from tfcompress.core._types import Layer


def recorded_arguments(operation: Layer) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the call that made `operation`.

    Every call of a `keras.ops` function (Keras 3) or of a TensorFlow function (tf_keras) makes an
    operation of its own, so that its first node holds what the user gave.
    """
    node = operation._inbound_nodes[0]
    if hasattr(node, "arguments"):  # Keras 3
        return tuple(node.arguments.args), dict(node.arguments.kwargs)
    return tuple(node.call_args), dict(node.call_kwargs)


def keras_class(layer: Layer) -> str | None:
    """The Keras class whose computation `layer` runs, for example "Dense" or "ops.Matmul".

    A subclass that keeps its parent's `call` computes what the parent does. None for a `call` of
    another package, whatever the class is named.
    """
    classes = type(layer).__mro__
    owner = next((cls for cls in classes if "call" in vars(cls)), None)
    if owner is None or not _is_of_keras(owner):
        return None
    nearest = next(cls for cls in classes if _is_of_keras(cls))
    is_operation = nearest.__module__.startswith("keras.src.ops.")
    return f"ops.{nearest.__name__}" if is_operation else nearest.__name__


def _is_of_keras(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("keras", "tf_keras")
