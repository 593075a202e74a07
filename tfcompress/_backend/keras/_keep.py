"""Python objects that a tf_keras config can only name by a key.

Lambda functions, local classes and closures cannot be written as JSON, yet tf_keras and TFMOT copy
layers through their configs. A wrapped layer's config therefore carries a key into a table, and
beside it whatever can be serialized. An object is forgotten with the last layer that holds it.
"""

from __future__ import annotations

import contextlib
import uuid
import warnings
import weakref
from collections.abc import Iterator
from typing import Any


class Kept:
    """An object under a key; whoever is to find it again by the key holds this."""

    def __init__(self, value: Any):
        self.value, self.key = value, uuid.uuid4().hex


_KEPT: weakref.WeakValueDictionary[str, Kept] = weakref.WeakValueDictionary()


def keep(value: Any) -> Kept:
    """Remember `value` for as long as what this returns is held."""
    holder = Kept(value)
    _KEPT[holder.key] = holder
    return holder


def kept(key: str | None) -> Kept | None:
    """What was remembered under `key`; None in another process, or when nobody holds it."""
    return None if key is None else _KEPT.get(key)


def serialized(thing: Any) -> Any:
    """`thing` as Keras 3 would write it; None where it cannot be written (a lambda, say)."""
    import keras

    try:
        with quietly():
            return keras.saving.serialize_keras_object(thing)
    except Exception:
        return None


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence Python warnings (old formats, unsafe lambdas) that the user can do nothing about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
