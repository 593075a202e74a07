"""Would the tests notice? A random sample of small changes to the code, each against its tests.

    python benchmarks/mutate.py analysis --count 25 --seed 0
    python benchmarks/mutate.py targets/packing --count 50 --timeout 300

A change (mutant) turns one comparison, operator, number, truth value or condition of one file into
another. It is made in a copy of the package; the tests named after the file run on it, or, where
there are none of its name, those of the files that import it. A mutant is killed if they fail or
run out of time. mutmut and cosmic-ray run every mutant of a file against one
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
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def tests_of(path: Path, room: str, root: Path) -> list[Path]:
    """The test files of a file's name, else those of the files in its room that import it.

    An importer without a test of its name is followed to those that import it.
    """
    folder = root / "tfcompress" / room
    sources = {file: file.read_text() for file in folder.rglob("*.py") if file.stem != "__init__"}
    tests: set[Path] = set()
    waiting, seen = [path], {path}
    while waiting:
        file = waiting.pop()
        own = _named_after(file, room, root)
        tests.update(own)
        if own:
            continue
        pattern = re.compile(rf"\b{file.stem}\b")
        importers = {other for other, text in sources.items() if pattern.search(text)} - seen
        seen |= importers
        waiting += importers
    return sorted(tests) or [root / "tests" / room.split("/")[0]]


def _named_after(path: Path, room: str, root: Path) -> list[Path]:
    """`_op_macs.py` → `test_op_macs.py`, else `test_macs.py`, in the room's tests."""
    folder = root / "tests" / room.split("/")[0]
    name = path.stem.strip("_")
    for part in (name, name.partition("_")[2]):
        found = sorted(folder.rglob(f"test_{part}.py")) if part else []
        if found:
            return found
    return []


def is_killed(mutant: Mutant, room: str, root: Path, timeout: float) -> bool:
    """Whether the tests fail, or run out of time, on the package at `root` with the change made."""
    file = root / mutant.path
    source = file.read_text()
    tests = [str(path.relative_to(root)) for path in tests_of(file, room, root)]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    file.write_text(with_change(mutant, source))
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, timeout=timeout
        )
        if done.returncode not in (0, *KILLED):
            raise RuntimeError(f"pytest could not run {tests}: {done.stdout.decode()[-500:]}")
        return done.returncode in KILLED
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(source)


def copied(folder: Path) -> Path:
    """The package and its tests as they are now, in `folder`: the working tree stays as it is."""
    for name in ("tfcompress", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def main() -> None:
    """Print every mutant with its fate, and the share that was killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("room", help="a folder of the package, such as analysis")
    parser.add_argument("--count", type=int, default=25, help="how many mutants are drawn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a mutant may take")
    options = parser.parse_args()
    killed = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = copied(Path(folder))
        everything: list[Mutant] = []
        for file in sorted((root / "tfcompress" / options.room).rglob("*.py")):
            everything += mutants_of(file.relative_to(root), file.read_text())
        count = min(options.count, len(everything))
        for mutant in random.Random(options.seed).sample(everything, count):
            is_dead = is_killed(mutant, options.room, root, options.timeout)
            killed += is_dead
            fate = "killed  " if is_dead else "SURVIVED"
            place = f"{mutant.path}:{mutant.line}"
            print(f"{fate} {place}  {mutant.before}  →  {mutant.after}", flush=True)
    print(f"{killed} of {count} killed ({100 * killed / max(count, 1):.0f} %)")


if __name__ == "__main__":
    main()
