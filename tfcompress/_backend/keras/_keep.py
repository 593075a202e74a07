"""Python objects that a tf_keras config can only name by a key: they live as long as this process.

Lambda functions, local classes and closures cannot be written as JSON, yet tf_keras and TFMOT copy layers through their
configs. A wrapped layer's config therefore carries a key into this table, and beside it whatever can be serialized.
"""

import contextlib
import uuid
import warnings

_KEPT = {}


def keep(thing):
    """Remember `thing`; returns the key under which `kept` finds it in this process."""
    key = uuid.uuid4().hex
    _KEPT[key] = thing
    return key


def kept(key):
    """The object remembered under `key`, or None in another process."""
    return _KEPT.get(key)


def serialized(thing):
    """`thing` as Keras 3 would write it, or None where it cannot be written (a lambda, a local class)."""
    import keras

    try:
        with quietly():
            return keras.saving.serialize_keras_object(thing)
    except Exception:
        return None


@contextlib.contextmanager
def quietly():
    """Silence Python warnings (old formats, unsafe lambdas) that the user can do nothing about here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
