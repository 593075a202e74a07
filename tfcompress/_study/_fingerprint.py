"""The content address of anything a study depends on: the same content gives the same address in another process."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = (
    "tfcompress",
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "tflite-runtime",
    "numpy",
)


def fingerprint(*things: Any) -> str:
    """SHA-256 in hex of what `things` hold: numbers, arrays, values, trainers, functions with all that they use.

    Keras objects count by their configuration and weights. A tf.data set counts by its element shapes and length alone, because running
    through it may shuffle: give arrays, or a new output folder, where its content changes.
    """
    digest = hashlib.sha256()
    _feed(digest, things, ())
    return digest.hexdigest()


def _feed(digest: Any, thing: Any, inside: tuple[int, ...]) -> None:
    if id(thing) in inside:
        digest.update(b"cycle")
        return
    inside = (*inside, id(thing))
    digest.update(f"\0{type(thing).__qualname__}:".encode())
    if thing is None or isinstance(thing, (bool, int, float, complex, str, bytes, Path)):
        digest.update(repr(thing).encode())
    elif isinstance(thing, np.ndarray) and thing.dtype != object:
        digest.update(f"{thing.dtype}{thing.shape}".encode())
        digest.update(np.ascontiguousarray(thing).data)
    elif isinstance(thing, (list, tuple, np.ndarray)):
        for item in thing:
            _feed(digest, item, inside)
    elif isinstance(thing, (set, frozenset)):
        digest.update("".join(sorted(fingerprint(item) for item in thing)).encode())
    else:
        _feed(digest, _content(thing), inside)


def _content(thing: Any) -> Any:
    """What an object holds, as data that `_feed` knows."""
    if isinstance(thing, Mapping):
        return [(str(key), thing[key]) for key in sorted(thing, key=str)]
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        # What a trainer keeps of its work (init=False) is no option of it.
        return [
            (f.name, getattr(thing, f.name))
            for f in dataclasses.fields(thing)
            if f.compare and f.init
        ]
    if isinstance(thing, type) or inspect.isbuiltin(thing):
        return f"{thing.__module__}.{thing.__qualname__}"
    if inspect.ismethod(thing):
        return [thing.__func__, thing.__self__]
    if inspect.isroutine(inspect.unwrap(thing)) and hasattr(
        thing, "__wrapped__"
    ):  # functools.cache and its like
        return thing.__wrapped__
    if inspect.isfunction(thing):
        code, known = thing.__code__, thing.__globals__
        used = [
            (name, known[name])
            for name in code.co_names
            if name in known and not inspect.ismodule(known[name])
        ]
        return [
            code.co_code,
            _constants(code),
            thing.__defaults__,
            [_held(cell) for cell in thing.__closure__ or ()],
            used,
        ]
    if hasattr(thing, "element_spec"):
        return [repr(thing.element_spec), int(thing.cardinality())]
    if hasattr(thing, "get_config"):
        return [
            _nameless(thing.get_config()),
            thing.get_weights() if hasattr(thing, "get_weights") else None,
        ]
    if hasattr(thing, "__array__"):
        return np.asarray(thing)
    settings = _settings(thing)
    return (
        sorted((vars(thing) if settings is None else settings).items())
        if hasattr(thing, "__dict__")
        else type(thing).__module__
    )


def _nameless(config: Any) -> Any:
    """A Keras configuration without names: Keras numbers them by what else was made in the process."""
    if isinstance(config, Mapping):
        return {key: _nameless(value) for key, value in config.items() if key != "name"}
    return [_nameless(value) for value in config] if isinstance(config, (list, tuple)) else config


def _constants(code: Any) -> list[Any]:
    """A function's constants, nested functions as theirs (their own representation has an address in it)."""
    return [[c.co_code, _constants(c)] if inspect.iscode(c) else c for c in code.co_consts] + [
        list(code.co_names)
    ]


def _held(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not assigned yet
        return None


def _settings(thing: Any) -> dict[str, Any] | None:
    """The arguments an object was made with, if it keeps them under their names: what it did since does not count."""
    try:
        parameters = inspect.signature(type(thing)).parameters
    except (ValueError, TypeError):  # a class written in C
        return None
    names = [p.name for p in parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return (
        {name: getattr(thing, name) for name in names}
        if names and all(hasattr(thing, name) for name in names)
        else None
    )


def versions() -> dict[str, str]:
    """Versions of everything that a file depends on; packages that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
