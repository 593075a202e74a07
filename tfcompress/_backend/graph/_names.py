"""Automatic names ("dense_1") that do not depend on what else was made in the process."""

import contextlib
import sys


@contextlib.contextmanager
def fresh_names():
    """Count automatic names of both Kerases from the start inside, as in a new process; outside they go on where they were."""
    counts = []
    if "keras" in sys.modules:
        from keras.src.backend.common import global_state

        names = global_state.get_global_attribute("object_name_uids")
        if names is not None:
            counts.append((names, names.copy()))
    if "tf_keras" in sys.modules:
        from tf_keras.src import backend

        counts += [
            (names, names.copy()) for names in list(backend.PER_GRAPH_OBJECT_NAME_UIDS.values())
        ]
    for names, _ in counts:
        names.clear()
    try:
        yield
    finally:
        for names, before in counts:
            names.clear()
            names.update(before)
