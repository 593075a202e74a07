"""What a function or class consists of: its code, and everything that the code uses by name."""

from __future__ import annotations

import dis
import functools
import importlib
import importlib.util
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from importlib import metadata
from pathlib import Path

Refuse = Callable[[object, str], list[object]]
INSTALLED_FOLDERS = ("site-packages", "dist-packages")


@functools.cache
def is_installed(module: str) -> bool:
    """Whether a module is Python's own or lies in a package that has a version."""
    top = module.partition(".")[0]
    file = Path(_file_of(top))
    if top == "tfcompress" or str(file) in ("built-in", "frozen"):
        return True
    of_python = file.is_relative_to(sysconfig.get_path("stdlib"))
    return of_python or any(part in INSTALLED_FOLDERS for part in file.parts)


def _file_of(top: str) -> str:
    loaded = sys.modules.get(top)
    if top == "__main__" or (loaded is not None and getattr(loaded, "__spec__", None) is None):
        return getattr(loaded, "__file__", None) or ""
    spec = importlib.util.find_spec(top)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return (spec.origin if spec else None) or (folders[0] if folders else "")


def _release(module: str) -> str:
    """The version that tells what is in an installed module."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"python {sys.version_info[0]}.{sys.version_info[1]}"
    return _release_of_package(top)


@functools.cache
def _release_of_package(top: str) -> str:
    # A checkout's own metadata beside the installed one names its distribution twice.
    packages = sorted(set(_distributions().get(top, ())))
    return " ".join(metadata.version(name) for name in packages)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Top-level package → the distributions it came with; reads the list of all their files."""
    return metadata.packages_distributions()


def reference(thing: object, name: str = "") -> str:
    """Where something of an installed module is, and which version of it."""
    module = getattr(thing, "__module__", None) or getattr(type(thing), "__module__", "")
    if isinstance(thing, types.ModuleType):
        module = thing.__name__
    name = name or getattr(thing, "__qualname__", "")
    return f"{module}.{name} {_release(module)}"


def _has_by_name(thing: Callable | type) -> bool:
    """Whether the module of a function or class has it under its name."""
    holder: object = sys.modules.get(thing.__module__)
    for name in thing.__qualname__.split("."):
        holder = getattr(holder, name, None)
    return holder is thing


def code_parts(code: types.CodeType) -> list[object]:
    """Everything of a code object that changes what it does."""
    arguments = code.co_argcount + code.co_kwonlyargcount
    return [
        code.co_code,
        list(code.co_consts),
        list(code.co_names),
        list(code.co_varnames[:arguments]),
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
        [list(code.co_freevars), list(code.co_cellvars)],
        getattr(code, "co_exceptiontable", b""),
    ]


def function_parts(function: types.FunctionType, refuse: Refuse) -> list[object]:
    """A function's code, defaults, attributes and closure, and the globals that it uses.

    An installed package's function is its name and version; one that was made inside another
    also has its closure. `refuse` is called with what cannot be part of an address, and why.
    """
    cells = [_contents(cell) for cell in function.__closure__ or ()]
    defaults = [function.__defaults__, function.__kwdefaults__]
    if is_installed(function.__globals__.get("__name__", "__main__")):
        inner = [] if _has_by_name(function) else [cells, defaults]
        return [reference(function, function.__code__.co_name), *inner]
    attributes = {key: value for key, value in vars(function).items() if key != "__wrapped__"}
    return [function.__code__, defaults, cells, attributes, _used(function, refuse)]


def _contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not assigned yet
        return None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those of the functions, comprehensions and classes inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _used(function: types.FunctionType, refuse: Refuse) -> list[tuple[str, object]]:
    """(name, value) of the globals that a function or anything inside it reads.

    Of a module of the user's own it is the attributes whose names stand in the code.
    """
    known, codes = function.__globals__, list(_codes(function.__code__))
    names = {name for code in codes for name in code.co_names}
    used: dict[str, object] = {}
    for code in codes:
        for loaded in _globals_loaded(code):
            if loaded in known:
                used[loaded] = known[loaded]
        for module in _modules_imported(code, known.get("__package__") or ""):
            used[f"import {module}"] = _imported(module)
    parts: list[tuple[str, object]] = []
    for name, value in sorted(used.items()):
        if isinstance(value, types.ModuleType) and not is_installed(value.__name__):
            parts += _attributes(value, names, refuse, ())
        else:
            parts.append((name, value))
    return parts


def _globals_loaded(code: types.CodeType) -> set[str]:
    loads = ("LOAD_GLOBAL", "LOAD_NAME")
    names = {one.argval for one in dis.get_instructions(code) if one.opname in loads}
    return {name for name in names if not _is_about(name)}


def _modules_imported(code: types.CodeType, package: str) -> set[str]:
    """The modules that a function imports by itself, with their full names."""
    steps = [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]
    modules = set()
    for index, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level = steps[index - 2].argval  # LOAD_CONST level, LOAD_CONST names, IMPORT_NAME
            modules.add(importlib.util.resolve_name("." * level + step.argval, package))
    return modules


def _imported(module: str) -> object:
    """A module of the user's own, or the reference of an installed one, which is not loaded."""
    top = module.partition(".")[0]
    if is_installed(top):
        return f"{module} {_release(top)}"
    try:
        importlib.import_module(module)
    except ImportError:  # the function itself will say so, or does without
        return f"no module {module}"
    return sys.modules[module]


def _attributes(
    module: types.ModuleType, names: set[str], refuse: Refuse, inside: tuple[str, ...]
) -> list[tuple[str, object]]:
    """(name, value) of what a module has under any of `names`, in its own modules too."""
    used: list[tuple[str, object]] = []
    for name in sorted(names & vars(module).keys()):
        value = vars(module)[name]
        if not isinstance(value, types.ModuleType) or is_installed(value.__name__):
            used.append((f"{module.__name__}.{name}", value))
        elif value.__name__ not in inside:
            used += _attributes(value, names, refuse, (*inside, module.__name__))
    return used or [(module.__name__, refuse(module, "is used, and nothing of it by name"))]


def class_parts(cls: type) -> list[object]:
    """A class's bases and members; an installed package's class is its name and version."""
    if is_installed(cls.__module__) and _has_by_name(cls):
        return [reference(cls)]
    if issubclass(cls, Enum):
        return [cls.__qualname__, [(one.name, one.value) for one in cls]]
    members = [
        (name, value)
        for name, value in sorted(vars(cls).items())
        if isinstance(value, types.FunctionType) or not _is_about(name)
    ]
    return [cls.__qualname__, list(cls.__bases__), members]


def _is_about(name: str) -> bool:
    """Whether a name is one of Python's own notes of a class or module."""
    return name == "_abc_impl" or (name.startswith("__") and name.endswith("__"))


def keras_code(thing: object) -> list[object]:
    """The classes of a Keras object and of its layers, and the user's functions that they call."""
    flatten = getattr(thing, "_flatten_layers", None)
    layers = list(flatten()) if flatten else [thing]
    parts: list[object] = []
    for layer in layers:
        parts.append(type(layer))
        for _, value in sorted(getattr(layer, "__dict__", {}).items()):
            own = isinstance(value, types.FunctionType)
            if own and not is_installed(value.__globals__.get("__name__", "__main__")):
                parts.append(value)
    return parts
