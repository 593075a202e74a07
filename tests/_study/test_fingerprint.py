"""Addresses by content: every change of what an object does is seen, and nothing is guessed."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tfcompress._study._fingerprint import fingerprint
from tfcompress.core import DataError
from tfcompress.core._types import Model, Tensor

HELPERS = """
FACTOR = 2
def scale(x): return x * FACTOR
def used_inside(x): return [scale(one) for one in x]
class Net:
    def __init__(self, width): self.width = width
    def build(self): return scale(self.width)
"""
BUILDERS = """
import functools
import numpy as np
import helpers
from helpers import scale, Net
WIDTH = 8
def plain(seed): return WIDTH
def in_comprehension(seed): return [WIDTH * one for one in range(3)]
def in_function(seed):
    def inner(): return scale(WIDTH)
    return inner()
def in_lambda(seed): return (lambda: scale(1))()
def by_module(seed): return helpers.scale(1)
def imports_itself(seed):
    from helpers import used_inside
    return used_inside([1])
def imports_the_module(seed):
    import helpers as tools
    return tools.scale(3)
def makes_an_object(seed): return Net(3).build()
def default(seed, width=8): return width
def keyword(seed, *, width=8): return width
bound = functools.partial(default, width=8)
def twice(function):
    @functools.wraps(function)
    def wrapper(seed): return function(seed) * 2
    return wrapper
@twice
def decorated(seed): return 1
@functools.cache
def cached(seed): return WIDTH
def method(seed): return np.zeros(3).sum()
def attribute(seed): return attribute.width
attribute.width = 8
"""
CHANGES = {
    "plain": ("builders", "WIDTH = 8", "WIDTH = 9"),
    "in_comprehension": ("builders", "WIDTH = 8", "WIDTH = 9"),
    "in_function": ("helpers", "FACTOR = 2", "FACTOR = 3"),
    "in_lambda": ("helpers", "x * FACTOR", "x + FACTOR"),
    "by_module": ("helpers", "FACTOR = 2", "FACTOR = 3"),
    "imports_itself": ("helpers", "FACTOR = 2", "FACTOR = 3"),
    "imports_the_module": ("helpers", "x * FACTOR", "x + FACTOR"),
    "makes_an_object": ("helpers", "return scale(self.width)", "return self.width"),
    "default": ("builders", "def default(seed, width=8)", "def default(seed, width=9)"),
    "keyword": ("builders", "*, width=8", "*, width=9"),
    "bound": ("builders", "partial(default, width=8)", "partial(default, width=512)"),
    "decorated": ("builders", "* 2", "* 3"),
    "cached": ("builders", "WIDTH = 8", "WIDTH = 9"),
    "method": ("builders", ".sum()", ".mean()"),
    "attribute": ("builders", "attribute.width = 8", "attribute.width = 9"),
}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., types.ModuleType]:
    """Write the modules `helpers` and `builders` of a user anew and import `builders`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(changed: str = "", old: str = "", new: str = "") -> types.ModuleType:
        for name, text in (("helpers", HELPERS), ("builders", BUILDERS)):
            assert name != changed or old in text
            (tmp_path / f"{name}.py").write_text(
                text.replace(old, new) if name == changed else text
            )
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("builders")

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return write


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_anything_a_builder_uses_is_seen(
    load: Callable[..., types.ModuleType], name: str
) -> None:
    before = fingerprint(getattr(load(), name))
    assert fingerprint(getattr(load(), name)) == before, "written again, it is the same"
    assert fingerprint(getattr(load(*CHANGES[name]), name)) != before


def test_what_a_builder_does_not_use_is_no_part_of_it(
    load: Callable[..., types.ModuleType],
) -> None:
    before = fingerprint(load().by_module)
    assert fingerprint(load("helpers", "self.width = width", "self.width = 7").by_module) == before
    assert fingerprint(load("builders", "WIDTH = 8", "WIDTH = 9").by_module) == before


def test_partials_differ_by_function_and_arguments() -> None:
    def build(seed: int, width: int) -> int:
        return width

    def other(seed: int, width: int) -> int:
        return width + 1

    partials = [
        functools.partial(build, width=8),
        functools.partial(build, width=512),
        functools.partial(other, width=8),
        functools.partial(build, 8),
        functools.partial(functools.partial(build, width=8), 1),
    ]
    assert len({fingerprint(one) for one in partials}) == len(partials)
    assert fingerprint(functools.partial(build, width=8)) == fingerprint(partials[0])


class Counter:
    """A trainer that is a plain object."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.rate = 0.1

    def __call__(self, model: object, callbacks: object) -> None:
        """Do nothing."""


def test_objects_differ_by_all_that_they_hold() -> None:
    slower = Counter(1)
    slower.rate = 0.01
    kinds = [
        Counter(1),
        Counter(2),
        slower,
        Counter(1).__call__,
        [[1], 2],
        [[1, 2]],
        {1: 2},
        {"1": 2},
    ]
    assert len({fingerprint(kind) for kind in kinds}) == len(kinds)
    assert fingerprint(Counter(1)) == fingerprint(Counter(1))


def test_arrays_of_every_type_have_an_address() -> None:
    arrays = [
        np.array(["2026-01-01"], "M8[D]"),
        np.array(3.0),
        np.zeros((0, 3)),
        np.array([1, "a"], object),
    ]
    assert len({fingerprint(one) for one in arrays}) == len(arrays)


def _numbers() -> Iterator[int]:
    yield 1


def test_what_has_no_content_is_refused_and_named(load: Callable[..., types.ModuleType]) -> None:
    def build(seed: int) -> object:
        return numbers

    def train(file: object) -> object:
        return file

    numbers = _numbers()
    with pytest.raises(DataError, match=r"generator _numbers in .*build has no content"):
        fingerprint(build)
    with open(__file__) as file, pytest.raises(DataError, match="TextIOWrapper"):
        fingerprint(functools.partial(train, file))
    helpers = load().helpers
    with pytest.raises(DataError, match=r"module helpers in .* import what is used of it by name"):
        fingerprint([helpers])
    assert fingerprint(build, lasting=False) == fingerprint(build, lasting=False)
    assert fingerprint(_numbers(), lasting=False) != fingerprint(numbers, lasting=False)
    assert fingerprint(threading.Lock()) == fingerprint(threading.Lock())


def test_a_data_set_has_no_address() -> None:
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(DataError, match="without running through it"):
        fingerprint(tf.data.Dataset.from_tensor_slices(np.zeros(3)))


def test_keras_objects_count_by_configuration_weights_and_own_code(keras_flavour: str) -> None:
    keras = importlib.import_module(keras_flavour)

    def model(function: Callable[[Tensor], Tensor], width: int = 2) -> Model:
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Input((3,)), keras.layers.Dense(width, activation=function)]
        return keras.Sequential(layers)

    def times(factor: float) -> Callable[[Tensor], Tensor]:
        def scaled(x: Tensor) -> Tensor:
            return x * factor

        return scaled

    first = fingerprint(model(times(2)))
    assert fingerprint(model(times(2))) == first != fingerprint(model(times(2), 3))

    def double(x: object) -> object:
        return x * 3  # pyright: ignore[reportOperatorIssue]

    assert fingerprint(model(double)) != first
    rates = [keras.optimizers.SGD(rate) for rate in (0.1, 0.2)]
    assert fingerprint(rates[0]) != fingerprint(rates[1])


@dataclass(frozen=True, eq=False)
class Options:
    """A trainer that is a dataclass."""

    epochs: int = 1


def test_a_dataclass_counts_by_its_code_too() -> None:
    before = fingerprint(Options())
    assert fingerprint(Options()) == before != fingerprint(Options(2))
    namespace: dict[str, object] = {"dataclass": dataclass, "__name__": __name__}
    text = "@dataclass(frozen=True, eq=False)\nclass Options:\n    epochs: int = 1\n"
    exec(text + "    def __call__(self, model, callbacks): return 7\n", namespace)
    assert fingerprint(namespace["Options"]()) != before  # pyright: ignore[reportCallIssue]


def test_a_package_that_is_listed_twice_is_the_same_package(monkeypatch: pytest.MonkeyPatch):
    """A checkout's own metadata stand beside those that its installation wrote."""
    code = importlib.import_module("tfcompress._study._code")
    releases = []
    for names in (["numpy"], ["numpy", "numpy"]):
        monkeypatch.setattr(code, "_distributions", lambda names=names: {"numpy": names})
        releases.append(code._release_of_package.__wrapped__("numpy"))
    assert releases[0] == releases[1] == np.__version__
