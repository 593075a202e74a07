"""What the package's lines and rooms look like: `python benchmarks/house.py` prints each figure
beside its aim.

The figures are read from the source with `ast`; circles and layers are import-linter's. `--list
NAME` names the places.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tfcompress"
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# One member of each kind, whose mentions show which files a new member of that kind would touch.
MEMBERS = {
    "technique": ("FineTune", "techniques/_fine_tune.py"),
    "target": ("Float16", "targets/_float16.py"),
    "encoding": ("Bitmask", "targets/packing/_bitmask.py"),
    "estimator": ("PCADimension", "analysis/dimension/_pca.py"),
    "column": ("images_per_second", "core/_column.py"),
}


def files(package: Path) -> dict[Path, ast.Module]:
    """Every Python file of the package with its syntax tree."""
    paths = sorted(package.rglob("*.py"))
    return {path: ast.parse(path.read_text()) for path in paths}


def place(path: Path, node: ast.AST) -> str:
    """`path:line` of a node, for the listings."""
    return f"{path.relative_to(PACKAGE.parent)}:{getattr(node, 'lineno', 0)}"


def long_lines(trees: dict[Path, ast.Module]) -> tuple[list[str], int]:
    """Lines of more than 100 characters, and all lines."""
    found, total = [], 0
    for path in trees:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            total += 1
            if len(line) > 100:
                found.append(f"{path.relative_to(PACKAGE.parent)}:{number}")
    return found, total


def _lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's code: its signature and body without the docstring."""
    body = function.body
    documented = ast.get_docstring(function) is not None
    docstring = (body[0].end_lineno or 0) - body[0].lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def long_functions(trees: dict[Path, ast.Module]) -> list[str]:
    """Functions of more than 40 lines of code."""
    return [
        place(path, node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS) and _lines_of(node) > 40
    ]


def _inside(tree: ast.Module, kinds: tuple[type, ...]) -> Iterator[ast.AST]:
    """Nodes of `kinds` that stand inside another of `kinds`, each once."""
    inner: dict[int, ast.AST] = {}
    for outer in ast.walk(tree):
        if not isinstance(outer, kinds):
            continue
        for node in ast.walk(outer):
            if node is not outer and isinstance(node, kinds):
                inner[id(node)] = node
    yield from inner.values()


def nested(trees: dict[Path, ast.Module], *kinds: type) -> list[str]:
    """Comprehensions inside comprehensions, or conditional expressions inside conditional ones."""
    return [place(path, node) for path, tree in trees.items() for node in _inside(tree, kinds)]


def annotations(trees: dict[Path, ast.Module]) -> tuple[list[str], int, list[str]]:
    """Parameters annotated with a bare `Any`, all annotated parameters, and those without
    annotation."""
    bare, total, missing = [], 0, []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, FUNCTIONS):
                continue
            for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
                if argument.arg in ("self", "cls"):
                    continue
                if argument.annotation is None:
                    missing.append(place(path, argument))
                    continue
                total += 1
                if ast.unparse(argument.annotation) == "Any":
                    bare.append(place(path, argument))
    return bare, total, missing


def circles() -> list[str]:
    """Import contracts that import-linter finds broken (rooms, floors, circles among siblings)."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; lint_imports()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return re.findall(r"^(.*) BROKEN", done.stdout, flags=re.M)


def _names_in(tree: ast.Module) -> set[str]:
    """Every name that the code of a file uses: identifiers, attributes, imports, whole strings."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.alias):
            names.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


def touched(name: str, home: str) -> list[str]:
    """Files whose code names one member: its own, the re-export, and any registry beside them."""
    mentions = [path for path, tree in files(PACKAGE).items() if name in _names_in(tree)]
    others = [str(path.relative_to(PACKAGE)) for path in mentions]
    return [home, *(path for path in others if path != home)]


def main() -> None:
    """Print every figure beside its aim; exit code 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--list", default="", help="print the places of the figures whose name holds this"
    )
    parser.add_argument("--only", default="", help="only files whose path holds this")
    options = parser.parse_args()
    trees = {path: tree for path, tree in files(PACKAGE).items() if options.only in str(path)}
    over, lines = long_lines(trees)
    bare, annotated, missing = annotations(trees)
    loose = [path.name for path in (PACKAGE / "_backend").glob("*.py") if path.stem != "__init__"]
    counted = [
        ("functions over 40 lines", 5, long_functions(trees)),
        ("nested comprehensions", 0, nested(trees, *COMPREHENSIONS)),
        ("nested conditionals", 0, nested(trees, ast.IfExp)),
        ("parameters without a type", 0, missing),
        ("broken import contracts", 0, circles()),
        ("loose files in _backend", 2, loose),
    ]
    for kind, (name, home) in MEMBERS.items():
        counted.append((f"files a new {kind} touches", 3, touched(name, home)))
    rows = [
        ("lines over 100, %", 100 * len(over) / max(lines, 1), 0.5, over),
        ("parameters typed Any, %", 100 * len(bare) / max(annotated, 1), 8, bare),
        *((name, float(len(places)), aim, places) for name, aim, places in counted),
    ]
    for name, value, aim, places in rows:
        print(f"{name:30} {value:8.2f}   aim ≤ {aim}{'' if value <= aim else '   MISSED'}")
        if options.list and options.list in name:
            print("".join(f"    {item}\n" for item in places), end="")
    sys.exit(any(value > aim for _, value, aim, _ in rows))


if __name__ == "__main__":
    main()
