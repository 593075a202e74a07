"""Which versions of Python and TensorFlow tfcompress works with: each pair tried, none assumed.

    python -m pip wheel --no-deps -w dist .
    python benchmarks/versions.py dist/tfcompress-0.1.0-py3-none-any.whl

For every Python on the PATH (python3.10 … python3.14) and every TensorFlow, a fresh environment
gets the wheel under the constraint that the README documents, and `benchmarks/smoke.py` runs in
it. Each pair is a line of benchmarks/results/versions.jsonl; pairs that are there are not run
again. Writes docs/results/versions.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from children import append, rows_of

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
TENSORFLOWS = ("2.17", "2.18", "2.19", "2.20", "2.21")
CANDIDATE = "2.22.0rc0"
NOT_HERE = "this Python is not on this machine"
HEAD = """# Versions that were tried

Each cell is a fresh environment: the built wheel is installed under the constraint
`tensorflow==X.Y.*`, as the README says, and `benchmarks/smoke.py` carries out six recipes with
Keras 3 and tf_keras and three commands. `python benchmarks/versions.py WHEEL` printed this page.

| TensorFlow | {pythons} |
|---|{dashes}|
"""

Row = dict[str, Any]


def environment() -> dict[str, str]:
    """This process's variables without those that would let the checkout be imported."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command outside the checkout, its output kept."""
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=environment()
    )


def install(pip: Path, wheel: Path, tensorflow: str, cwd: Path) -> str:
    """Install the wheel beside that TensorFlow; "" or the line that says why it cannot be."""
    constraints = cwd / "constraints.txt"
    candidate = tensorflow == CANDIDATE
    pin = "2.21" if candidate else tensorflow
    constraints.write_text(f"tensorflow=={pin}.*\n")
    base = (pip, "-m", "pip", "install", "-q", "--no-compile")
    done = call(*base, "-c", constraints, wheel, cwd=cwd)
    if done.returncode == 0 and candidate:
        # tf_keras 2.21 and this package's own pin refuse a later TensorFlow: pushed aside here.
        done = call(*base, "--no-deps", f"tensorflow=={tensorflow}", cwd=cwd)
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
    return (lines or done.stderr.strip().splitlines() or ["pip failed"])[0].strip()


def tried(python: str, tensorflow: str, wheel: Path) -> Row:
    """One pair: a fresh environment, the wheel, the smoke suite."""
    row: Row = {"python": python, "tensorflow": tensorflow}
    found = shutil.which(f"python{python}")
    if not found or call(found, "--version", cwd=ROOT).returncode:
        return {**row, "result": "not tried", "why": NOT_HERE}
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        call(found, "-m", "venv", "env", cwd=cwd)
        inside = cwd / "env" / "bin" / "python"
        why = install(inside, wheel, tensorflow, cwd)
        if why:
            return {**row, "result": "not installable", "why": why}
        smoke = shutil.copy(ROOT / "benchmarks" / "smoke.py", cwd)
        done = call(inside, smoke, cwd=cwd)
    if done.returncode:
        return {**row, "result": "failed", "why": done.stderr.strip().splitlines()[-1][:300]}
    facts = json.loads(done.stdout.strip().splitlines()[-1])
    bad = {name: said for name, said in facts["steps"].items() if said != "ok"}
    return {**row, "result": "failed" if bad else "ok", "failures": bad, **facts, "python": python}


def cell(row: Row | None) -> str:
    """What the table says of one pair."""
    if row is None:
        return "not tried"
    if row["result"] in ("ok", "failed") and "steps" in row:
        good = sum(said == "ok" for said in row["steps"].values())
        return f"{good} of {len(row['steps'])} steps"
    return str(row["result"])


def reason(text: str) -> str:
    """A reason fit for a line: without the list of all versions that pip prints."""
    return re.sub(r"\(from versions: [^)]*\)", "", text).replace("ERROR: ", "").strip()


def reasons(rows: list[Row]) -> list[str]:
    """A line for every pair that is not "ok"."""
    lines = []
    for row in rows:
        name = f"Python {row['python']}, TensorFlow {row['tensorflow']}"
        if row.get("why"):
            lines.append(f"- {name}: {row['result']}: {reason(row['why'])}")
        for step, said in row.get("failures", {}).items():
            lines.append(f"- {name}: {step}: {said}")
    return lines


def resolved(rows: list[Row]) -> list[str]:
    """Which packages each environment got."""
    lines = []
    for row in rows:
        if "versions" in row:
            packages = ", ".join(f"{name} {v}" for name, v in row["versions"].items())
            lines.append(f"- Python {row['python']}: {packages}")
    return lines


def page(rows: list[Row]) -> str:
    """The results page."""
    by_pair = {(row["python"], row["tensorflow"]): row for row in rows}
    head = HEAD.format(pythons=" | ".join(PYTHONS), dashes="---|" * len(PYTHONS))
    lines = [head.replace("||", "|").rstrip("\n")]
    for tensorflow in (*TENSORFLOWS, CANDIDATE):
        cells = [cell(by_pair.get((python, tensorflow))) for python in PYTHONS]
        lines.append(f"| {tensorflow} | {' | '.join(cells)} |")
    ordered = sorted(rows, key=lambda row: (row["tensorflow"], row["python"]))
    lines += ["", "## What did not work, and why", "", *(reasons(ordered) or ["Nothing."])]
    lines += ["", "## Which packages were beside it", "", *resolved(ordered), ""]
    return "\n".join(lines)


def main() -> None:
    """Try what is not there yet and write the page after each pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--pythons", nargs="+", default=PYTHONS)
    parser.add_argument("--tensorflows", nargs="+", default=(*TENSORFLOWS, CANDIDATE))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/versions.jsonl")
    parser.add_argument("--results", type=Path, default=ROOT / "docs/results/versions.md")
    args = parser.parse_args()
    for tensorflow in args.tensorflows:
        for python in args.pythons:
            done = {(row["python"], row["tensorflow"]) for row in rows_of(args.out)}
            if (python, tensorflow) not in done:
                row = tried(python, tensorflow, args.wheel.resolve())
                append(args.out, row)
                print(python, tensorflow, cell(row), flush=True)
            args.results.write_text(page(rows_of(args.out)))


if __name__ == "__main__":
    main()
