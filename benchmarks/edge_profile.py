"""Profiles and scores `.tflite` files where there is no TensorFlow: two fresh virtual environments,
one table.

    python benchmarks/edge_profile.py out/*.tflite --data test.npz --threads 1,2

(a) ai-edge-litert + NumPy, (b) tflite-runtime 2.14 + NumPy 1 on Python 3.11; tfcompress itself goes
in without its dependencies. A file that an interpreter cannot run is a row that says why.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = {
    "litert": ["ai-edge-litert", "numpy"],
    "tflite_runtime": ["tflite-runtime==2.14.0", "numpy<2"],
}
BARE = """
import importlib.util, json, platform
from importlib.metadata import distributions
absent = ("tensorflow", "keras", "tf_keras", "rich", "typer", "scipy")
there = [name for name in absent if importlib.util.find_spec(name)]
assert not there, there
versions = {"python": platform.python_version()}
for distribution in distributions():
    versions[distribution.metadata["Name"]] = distribution.version
print(json.dumps(versions))
"""


def main() -> int:
    """Make the environments, measure in each, print the table as Markdown (and write the rows as
    JSON with --out)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument(
        "--python",
        default="python3.11",
        help="interpreter that makes the environments; tflite-runtime 2.14 has none after 3.11",
    )
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--data", type=Path, help=".npz with x and y (or x_test and y_test)")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument(
        "--folder", type=Path, help="keep the environments here (default: a temporary folder)"
    )
    parser.add_argument("--out", type=Path, help="also write everything measured as JSON")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="tfc-edge-") as temporary:
        for runtime, packages in ENVIRONMENTS.items():
            python = environment(
                options.python, (options.folder or Path(temporary)).resolve() / runtime, packages
            )
            versions = json.loads(run(python, "-c", BARE))
            names = [package.split("=")[0].split("<")[0] for package in packages]
            print(
                f"{runtime}: Python {versions['python']}, "
                + ", ".join(f"{n} {versions[n]}" for n in names)
                + ", no TensorFlow",
                file=sys.stderr,
            )
            rows += measure(python, runtime, options)
    print(table(rows, options.metric if options.data else None))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def environment(python: str, folder: Path, packages: list[str]) -> str:
    """The Python of a virtual environment with `packages` and tfcompress alone."""
    made = folder / "bin" / "python"
    if not made.exists():
        run(python, "-m", "venv", str(folder))
    run(str(made), "-m", "pip", "install", "--quiet", *packages)
    run(str(made), "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(ROOT))
    return str(made)


def measure(python: str, runtime: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all files in one environment."""
    files = [str(file.resolve()) for file in options.files]
    arguments = [
        *files,
        "--runtime",
        runtime,
        "--threads",
        options.threads,
        "--keep-going",
        "--json",
    ]
    if options.data:
        arguments += ["--data", str(options.data.resolve()), "--metric", options.metric]
    return json.loads(run(python, "-m", "tfcompress.profiling", *arguments))


def run(*command: str) -> str:
    """What the command printed; its complaint ends this program if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir()
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … failed:\n{done.stderr}")
    return done.stdout


def table(rows: list[dict[str, Any]], metric: str | None) -> str:
    """One Markdown line a file and runtime."""
    threads = sorted({item["threads"] for row in rows for item in row["profile"]["latency"]})
    head = [
        "file",
        "runtime",
        "bytes",
        "MACs",
        *[f"p50 / p90 ms, {n} thr" for n in threads],
        "load ms",
        "first ms",
        "peak MiB",
        "slowest operation",
    ]
    head += [metric] if metric else []
    lines = ["| " + " | ".join(head) + " | note |", "|" + "---|" * (len(head) + 1)]
    for row in rows:
        found = row["profile"]
        times = {item["threads"]: item for item in found["latency"]}
        cells = [
            found["name"],
            found["runtime"],
            f"{found['size_bytes']:,}",
            number(found["macs"], ","),
        ]
        for n in threads:
            item = times.get(n)
            cells.append(
                f"{item['latency_ms_p50']:.3f} / {item['latency_ms_p90']:.3f}" if item else "–"
            )
        peak = found["peak_memory_bytes"]
        cells += [
            number(found["init_ms"], ".2f"),
            number(found["first_ms"], ".3f"),
            number(peak / 2**20 if peak is not None else None, ".2f"),
        ]
        cells.append(slowest(found["ops"]))
        cells += [number(row.get("score"), ".4f")] if metric else []
        notes = [*found["notes"], *([row["error"]] if row.get("error") else [])]
        lines.append("| " + " | ".join(cells) + " | " + "; ".join(notes).replace("|", "/") + " |")
    return "\n".join(lines)


def slowest(ops: list[dict[str, Any]]) -> str:
    """The operation with the longest time, or, without times, the most multiply-accumulates."""
    if not ops:
        return "–"
    op = max(ops, key=lambda item: (item["time_us_p50"] or 0.0, item["macs"]))
    return (
        f"{op['kind']} {op['time_us_p50']:.0f} µs"
        if op["time_us_p50"] is not None
        else f"{op['kind']} {op['macs']:,} MACs"
    )


def number(value: float | None, form: str) -> str:
    """`value` in that format, or a dash."""
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    raise SystemExit(main())
