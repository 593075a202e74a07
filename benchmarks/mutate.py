"""Would the tests notice? A random sample of small changes to the code, each against its tests.

    python benchmarks/mutate.py --count 200 --seed 0 --out mutants.jsonl
    python benchmarks/mutate.py targets/packing --count 50 --timeout 300

A change (mutant) turns one comparison, operator, number, truth value or condition of one file into
another. It is made in a copy of the package; the tests named after the file run on it, or, where
there are none of its name, those of the files that import it. A mutant is killed if they fail or
run out of time. Each runs in a fork of this process, which has TensorFlow loaded already; with
`--out` it goes on where the file ends. mutmut and cosmic-ray run every mutant of a file against one
test command and draw no sample across rooms, which is why this is a script of its own.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
import tensorflow_model_optimization  # noqa: F401 - loaded once, with TensorFlow, for all forks
from children import append, rows_of

ROOT = Path(__file__).resolve().parents[1]
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NOT_COMPUTED = (ast.Raise, ast.Assert, ast.JoinedStr, ast.AnnAssign)
"""Messages and annotations: what they hold decides nothing."""

KILLED = (1, 2)
"""pytest's exit codes for tests that fail, and for code that cannot even be imported."""


@dataclass(frozen=True)
class Mutant:
    """One change: another in the place of the `number`-th node of `path` [from the project on]."""

    path: Path
    number: int
    line: int
    before: str
    after: str


def changed(node: ast.AST) -> ast.AST | None:
    """A copy of `node` that means something else; None where there is no such change."""
    other = copy.deepcopy(node)
    if isinstance(other, ast.Compare) and type(other.ops[0]) in COMPARISONS:
        other.ops[0] = COMPARISONS[type(other.ops[0])]()
    elif isinstance(other, ast.BinOp) and type(other.op) in OPERATORS:
        other.op = OPERATORS[type(other.op)]()
    elif isinstance(other, ast.BoolOp):
        other.op = ast.Or() if isinstance(other.op, ast.And) else ast.And()
    elif isinstance(other, ast.UnaryOp) and isinstance(other.op, (ast.Not, ast.USub)):
        return other.operand
    elif isinstance(other, ast.Constant) and isinstance(other.value, bool):
        other.value = not other.value
    elif isinstance(other, ast.Constant) and isinstance(other.value, (int, float)):
        other.value += 1
    elif isinstance(other, ast.IfExp):
        other.body, other.orelse = other.orelse, other.body
    elif isinstance(other, ast.Break):
        return ast.copy_location(ast.Continue(), other)
    elif isinstance(other, ast.Continue):
        return ast.copy_location(ast.Break(), other)
    else:
        return None
    return other


def computing(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes under `node` that decide what is computed, in order."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, NOT_COMPUTED):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring
            yield child
            yield from computing(child)


def mutants_of(path: Path, source: str) -> list[Mutant]:
    """All changes of one file."""
    found = []
    for number, node in enumerate(computing(ast.parse(source))):
        other = changed(node)
        if other is not None:
            line = getattr(node, "lineno", 0)
            found.append(Mutant(path, number, line, ast.unparse(node), ast.unparse(other)))
    return found


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def with_change(mutant: Mutant, source: str) -> str:
    """The file's code with the change made."""
    tree = ast.parse(source)
    node = list(computing(tree))[mutant.number]
    new = changed(node)
    assert new is not None
    return ast.unparse(ast.fix_missing_locations(_Put(node, new).visit(tree)))


def tests_of(path: Path, root: Path) -> list[Path]:
    """The test files of a file's name, else those of the files in its room that import it.

    An importer without a test of its name is followed to those that import it.
    """
    room = _room(path, root)
    sources = {file: file.read_text() for file in room.rglob("*.py") if file.stem != "__init__"}
    tests: set[Path] = set()
    waiting, seen = [path], {path}
    while waiting:
        file = waiting.pop()
        own = _named_after(file, root)
        tests.update(own)
        if own:
            continue
        pattern = re.compile(rf"\b{file.stem}\b")
        importers = {other for other, text in sources.items() if pattern.search(text)} - seen
        seen |= importers
        waiting += importers
    return sorted(tests) or _tests_of_room(room, root)


def _room(path: Path, root: Path) -> Path:
    """The folder of the package that the file belongs to; the package itself for its own files."""
    parts = path.relative_to(root / "tfcompress").parts
    return root / "tfcompress" / parts[0] if len(parts) > 1 else root / "tfcompress"


def _tests_of_room(room: Path, root: Path) -> list[Path]:
    """The folder of tests of a room, or the file: `_compress` has `test_compress.py`."""
    folder, file = root / "tests" / room.name, root / "tests" / f"test_{room.name.strip('_')}.py"
    return [place for place in (folder, file) if place.exists()] or [root / "tests"]


def _named_after(path: Path, root: Path) -> list[Path]:
    """`_op_macs.py` → `test_op_macs.py`, else `test_macs.py`, in the room's tests."""
    places = _tests_of_room(_room(path, root), root)
    name = path.stem.strip("_")
    for part in (name, name.partition("_")[2]):
        found = [file for place in places for file in sorted(place.rglob(f"test_{part}.py"))]
        if part and found:
            return found
    return []


def is_killed(mutant: Mutant, root: Path, timeout: float) -> bool:
    """Whether the tests fail, or run out of time, on the package at `root` with the change made."""
    file = root / mutant.path
    source = file.read_text()
    tests = [str(path.relative_to(root)) for path in tests_of(file, root)]
    log = root / "pytest.log"
    file.write_text(with_change(mutant, source))
    try:
        child = os.fork()
        if child == 0:
            _run_tests(tests, root, log)
        code = _exit_code(child, timeout)
    finally:
        file.write_text(source)
    if code not in (None, 0, *KILLED):
        raise RuntimeError(f"pytest could not run {tests}: {log.read_text()[-500:]}")
    return code != 0


def _run_tests(tests: list[str], root: Path, log: Path) -> NoReturn:
    """In the forked process: run the tests until one fails and end with pytest's exit code."""
    os.setsid()  # what it starts ends with it
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(root)
    os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path[0] = str(root)
    os._exit(int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests])))


def _exit_code(child: int, timeout: float) -> int | None:
    """How the process ended: a crash counts as tests that fail; None where it ran out of time."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else KILLED[0]
        time.sleep(0.2)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def copied(folder: Path) -> Path:
    """The package and its tests as they are now, in `folder`: the working tree stays as it is."""
    for name in ("tfcompress", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def drawn(root: Path, room: str, count: int, seed: int) -> list[Mutant]:
    """A random sample of the changes of one room, or of the whole package."""
    everything: list[Mutant] = []
    for file in sorted((root / "tfcompress" / room).rglob("*.py")):
        everything += mutants_of(file.relative_to(root), file.read_text())
    return random.Random(seed).sample(everything, min(count, len(everything)))


def main() -> None:
    """Print every mutant with its fate, and the share that was killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("room", nargs="?", default="", help="a folder of the package: analysis")
    parser.add_argument("--count", type=int, default=25, help="how many mutants are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a mutant may take")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to go on in")
    options = parser.parse_args()
    known = {row["mutant"]: row["killed"] for row in (rows_of(options.out) if options.out else [])}
    killed = count = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = copied(Path(folder))
        for mutant in drawn(root, options.room, options.count, options.seed):
            name = f"{mutant.path}:{mutant.line}  {mutant.before}  →  {mutant.after}"
            if name not in known:
                known[name] = is_killed(mutant, root, options.timeout)
                if options.out:
                    append(options.out, {"mutant": name, "killed": known[name]})
            killed, count = killed + known[name], count + 1
            print("killed  " if known[name] else "SURVIVED", name, flush=True)
    print(f"{killed} of {count} killed ({100 * killed / max(count, 1):.0f} %)")


if __name__ == "__main__":
    main()
