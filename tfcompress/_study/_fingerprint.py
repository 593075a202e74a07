"""The content address of anything a study depends on.

The same content gives the same address in another process. What has no content that can be read
(a tf.data set, a generator, an open file) has no address: it is refused, not guessed.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import hashlib
import inspect
import threading
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from tfcompress._study._code import (
    class_parts,
    code_parts,
    function_parts,
    is_installed,
    keras_code,
    reference,
)
from tfcompress.core import DataError
from tfcompress.core._types import Layer

SCALARS = (bool, int, float, complex, str, bytes, Path)
LOCKS = (type(threading.Lock()), type(threading.RLock()))


def fingerprint(*things: object, lasting: bool = True) -> str:
    """SHA-256 in hex of what `things` hold.

    Numbers, arrays, containers and values count by what they hold; functions and classes of the
    user's own modules by their code and all that the code uses; those of installed packages by
    name and version; trainers (dataclasses) by their options; Keras objects by their
    configuration, weights and own code; other objects by what they would be pickled as.

    Args:
        things: anything.
        lasting: whether the address must mean the same in another process. If not, what has no
            readable content counts as itself and nothing else.

    Raises:
        DataError: with `lasting`, for what has no readable content; it names what holds it.
    """
    return _Addresses(lasting).of(things).hex()


class _Addresses:
    """The addresses of objects of one `fingerprint`, each worked out once."""

    def __init__(self, lasting: bool):
        self.lasting = lasting
        self.known: dict[int, bytes] = {}
        self.depths: dict[int, int] = {}  # of the objects that are being worked out
        self.seen: list[object] = []  # keeps them alive, so that no id is used twice

    def of(self, thing: object) -> bytes:
        """The address of one object."""
        if thing is None or isinstance(thing, SCALARS):
            return _hash(type(thing).__qualname__, repr(thing).encode())
        key = id(thing)
        if key in self.known:
            return self.known[key]
        if key in self.depths:  # an object inside itself: so many levels up
            return _hash("cycle", str(len(self.depths) - self.depths[key]).encode())
        self.seen.append(thing)
        self.depths[key] = len(self.depths)
        self.known[key] = self._inside(thing)
        del self.depths[key]
        return self.known[key]

    def _inside(self, thing: object) -> bytes:
        kind = type(thing).__qualname__
        if isinstance(thing, np.ndarray) and thing.dtype != object:
            # As bytes, since some types (dates, bfloat16) have no buffer of their own.
            raw = np.ascontiguousarray(thing).reshape(-1).view(np.uint8)
            return _hash(f"{kind}{thing.dtype}{thing.shape}", raw.data)
        if isinstance(thing, (list, tuple, np.ndarray)):
            return self._all(kind, thing)
        if isinstance(thing, (set, frozenset)):
            return _hash(kind, *sorted(self.of(item) for item in thing))
        if isinstance(thing, Mapping):
            pairs = [self.of(key) + self.of(value) for key, value in thing.items()]
            return _hash(kind, *sorted(pairs))
        return self._all(kind, self._parts(thing))

    def _all(self, kind: str, parts: Iterable[object]) -> bytes:
        return _hash(kind, *[self.of(part) for part in parts])

    def _parts(self, thing: object) -> list[object]:
        """What an object that is no container consists of."""
        if isinstance(thing, types.CodeType):
            return code_parts(thing)
        if isinstance(thing, type):
            return class_parts(thing)
        if isinstance(thing, types.FunctionType):
            return function_parts(thing, self._refused)
        if isinstance(thing, types.ModuleType):
            return self._module_parts(thing)
        if isinstance(thing, (staticmethod, classmethod, types.MethodType)):
            return [thing.__func__, getattr(thing, "__self__", None)]
        if isinstance(thing, property):
            return [thing.fget, thing.fset, thing.fdel]
        if isinstance(thing, functools.partial):
            return [thing.func, thing.args, thing.keywords, vars(thing)]
        if isinstance(thing, types.BuiltinFunctionType):
            owner = thing.__self__
            return [reference(thing), None if isinstance(owner, types.ModuleType) else owner]
        inner = getattr(thing, "__wrapped__", None)
        if isinstance(inner, types.FunctionType):  # functools.cache, tf.function
            return [inner]
        return self._object_parts(thing)

    def _module_parts(self, module: types.ModuleType) -> list[object]:
        if not is_installed(module.__name__):
            self._refused(module, "is used as a whole; import what is used of it by name")
        return [reference(module)]

    def _object_parts(self, thing: object) -> list[object]:
        """What an instance of a class consists of."""
        if isinstance(thing, LOCKS):
            return []
        if dataclasses.is_dataclass(thing):
            return [type(thing), options_of(thing)]
        if hasattr(thing, "element_spec") or hasattr(thing, "__next__"):
            return self._refused(
                thing, "has no content that can be read without running through it"
            )
        replicas = getattr(thing, "num_replicas_in_sync", None)
        if replicas is not None:  # a tf.distribute strategy
            return [type(thing), replicas]
        try:
            if hasattr(thing, "get_config"):
                return [type(thing), *_keras_parts(thing)]
            if hasattr(thing, "__array__"):
                return [np.asarray(thing)]
            return _pickled(thing)
        except Exception as error:  # the objects' own code runs here
            return self._refused(thing, f"cannot be read ({type(error).__name__}: {error})")

    def _refused(self, thing: object, why: str) -> list[object]:
        """DataError; or, where the address need not last, what stands for this object alone."""
        if not self.lasting:
            return [id(thing)]
        cls = thing if isinstance(thing, type) else type(thing)
        name = getattr(thing, "__name__", "")
        open_ones = [one for one in self.seen if id(one) in self.depths and one is not thing]
        named = [getattr(one, "__qualname__", "") for one in open_ones]
        holder = next((one for one in reversed(named) if one), "what was given")
        raise DataError(
            f"{cls.__module__}.{cls.__qualname__} {name} in {holder} {why}. ".replace("  ", " ")
            + "A study keeps its cells by the content of all they depend on: give arrays, plain "
            "values, or a function that makes it, or leave out= away."
        )


def options_of(thing: object) -> list[tuple[str, object]]:
    """The options of a dataclass: not what it keeps of its work (`init=False`), nor labels."""
    fields = dataclasses.fields(thing)  # pyright: ignore[reportArgumentType]
    return [(one.name, getattr(thing, one.name)) for one in fields if one.compare and one.init]


def _hash(kind: str, *parts: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(f"{kind}:{len(parts)}:".encode())
    for part in parts:
        digest.update(part)
    return digest.digest()


def _keras_parts(thing: Layer) -> list[object]:
    weights = thing.get_weights() if hasattr(thing, "get_weights") else None
    return [nameless(thing.get_config()), weights, keras_code(thing)]


def nameless(config: object) -> object:
    """A Keras configuration without names: Keras numbers them by what else the process made."""
    if isinstance(config, Mapping):
        return {key: nameless(value) for key, value in config.items() if key != "name"}
    return [nameless(value) for value in config] if isinstance(config, (list, tuple)) else config


def _pickled(thing: object) -> list[object]:
    """What pickle would write of an object: its class or maker, and its state."""
    settings = _settings(thing) if is_installed(type(thing).__module__) else None
    if settings is not None:
        return [type(thing), settings]
    reducer = copyreg.dispatch_table.get(type(thing))
    reduced = reducer(thing) if reducer else thing.__reduce_ex__(2)
    if isinstance(reduced, str):  # the name under which its module has it
        return [reference(thing, reduced)]
    maker, arguments, *rest = reduced
    state = rest[0] if rest else None
    contents = [list(items) for items in rest[1:3] if isinstance(items, Iterator)]
    return [maker, arguments, state, contents]


def _settings(thing: object) -> dict[str, object] | None:
    """The arguments that an object of a package was made with, if it keeps them by their names."""
    try:
        parameters = inspect.signature(type(thing)).parameters.values()
    except (ValueError, TypeError):  # a class written in C
        return None
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind not in several]
    if not names or not all(hasattr(thing, name) for name in names):
        return None
    return {name: getattr(thing, name) for name in names}
