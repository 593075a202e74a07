"""Automatic names ("dense_1") that do not depend on what else was made in the process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any


@contextlib.contextmanager
def fresh_names() -> Iterator[None]:
    """Count automatic names of both Kerases from the start inside, as in a new process.

    Outside they go on where they were.
    """
    counters = _counters()
    before = [dict(counter) for counter in counters]
    for counter in counters:
        counter.clear()
    try:
        yield
    finally:
        for counter, values in zip(counters, before):
            counter.clear()
            counter.update(values)


def _counters() -> list[MutableMapping[Any, Any]]:
    """How often each automatic name was given, in the Kerases that are loaded."""
    counters: list[MutableMapping[Any, Any]] = []
    if "keras" in sys.modules:
        from keras.src.backend.common import global_state

        names: Any = global_state.get_global_attribute("object_name_uids")
        if names is not None:
            counters.append(names)
    if "tf_keras" in sys.modules:
        from tf_keras.src import backend

        counters += list(backend.PER_GRAPH_OBJECT_NAME_UIDS.values())
    return counters
