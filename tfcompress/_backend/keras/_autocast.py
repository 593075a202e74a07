"""Variables of a layer in half precision, read as they are stored."""

from __future__ import annotations

from contextlib import AbstractContextManager


def stored_precision() -> AbstractContextManager:
    """Inside, the variables of tf_keras layers read as float32 where mixed precision would cast."""
    from tf_keras.src.mixed_precision.autocast_variable import enable_auto_cast_variables

    return enable_auto_cast_variables(None)
