"""Damaged and hostile files of every format that the library reads: one clear error, or read.

`python benchmarks/hostile.py --mutations 10000 --out hostile.jsonl` mutates files (bytes,
cuts, swapped parts, words of a canary's class), reads each in a child process, and counts: `read`
(it still means something), `refused` (a tfcompress error of one paragraph), and what must be 0:
`traceback` (another exception), `crash` (the process died), `executed` (the canary module was
imported), `slow` (over thirty seconds). It goes on where the file ends.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from children import carry_out, drive, rows_of

CHUNK = 400
SLOW_SECONDS = 30.0
CANARY = "hostile_canary"
WORDS = [
    f"{CANARY}:x",
    CANARY,
    "os:system",
    "null",
    "-1",
    "1e999",
    '{"class": 5}',
    "[[[[",
    "\\u0000",
]
SHARES = {"tflite": 30, "recipe": 25, "artifact": 15, "npz": 12, "toml": 15, "keras": 2, "h5": 1}
"""Of 100 mutations; models take longest to read."""


def small_model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [keras.Input((6, 6, 1)), layers.Conv2D(3, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential([*stack, layers.Dense(3)], name="small")
    kernels = [0.1 * np.sign(weight) for weight in model.get_weights()]
    model.set_weights(kernels)  # binary, so that the packed file is packed
    return model


def originals(folder: Path) -> dict[str, bytes]:
    """One whole file of each format, by format."""
    import tf_keras

    import tfcompress as tfc

    warnings.simplefilter("ignore")
    model = small_model()
    samples = np.random.default_rng(0).random((100, 6, 6, 1)).astype("float32")
    model.save(folder / "model.keras")
    tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)]).save(folder / "model.h5")
    artifact = tfc.convert(model, "packedsize", samples=samples)
    artifact.save(folder / "net")
    with io.BytesIO() as buffer:
        np.savez(buffer, x=samples, y=np.arange(100) % 3)
        arrays = buffer.getvalue()
    study = Path(__file__).resolve().parents[1] / "examples" / "studies" / "digits.toml"
    recipe = tfc.recipe("prune80-cluster16-qat-int8").to_json()
    return {
        "tflite": artifact.data,
        "recipe": recipe.encode(),
        "artifact": (folder / "net.json").read_bytes(),
        "npz": arrays,
        "toml": study.read_bytes(),
        "keras": (folder / "model.keras").read_bytes(),
        "h5": (folder / "model.h5").read_bytes(),
    }


def readers(folder: Path) -> dict[str, Callable[[bytes], object]]:
    """How the library reads each format."""
    import tfcompress as tfc
    from tfcompress import zoo
    from tfcompress._study._spec import read_spec

    def as_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
        def stored(data: bytes) -> object:
            (folder / name).write_bytes(data)
            return read(folder / name)

        return stored

    return {
        "tflite": lambda data: [str(layer) for layer in tfc.packed_layers(data)],
        "recipe": lambda data: tfc.Recipe.from_json(data.decode("utf-8", "replace")),
        "artifact": as_file("net.json", lambda path: tfc.Artifact.load(path.with_suffix(""))),
        "npz": as_file("data.npz", zoo.load_data),
        "toml": as_file("study.toml", read_spec),
        "keras": as_file("model.keras", tfc.load_model),
        "h5": as_file("model.h5", tfc.load_model),
    }


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with some bytes changed, cut short, with a part moved, or with a word put in."""
    raw = bytearray(data)
    kind, place = int(rng.integers(6)), int(rng.integers(len(raw)))
    if kind == 0:
        for _ in range(int(rng.integers(1, 9))):
            raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
    elif kind == 1:
        raw[place : place + 4] = bytes([int(rng.choice([0, 1, 127, 255]))]) * 4
    elif kind == 2:
        del raw[place : place + int(rng.integers(1, max(2, len(raw) // 3)))]
    elif kind == 3:
        other, length = int(rng.integers(len(raw))), int(rng.integers(1, 40))
        raw[place : place + length] = raw[other : other + length]
    elif kind == 4:
        raw[place:place] = str(rng.choice(WORDS)).encode()
    else:
        quoted = [i for i, byte in enumerate(raw) if byte == 34] or [0, len(raw)]
        start = int(rng.integers(len(quoted)))
        end = quoted[min(start + 1, len(quoted) - 1)]
        raw[quoted[start] + 1 : end] = str(rng.choice(WORDS)).encode()
    return bytes(raw)


def run_one(number: int, files: dict[str, bytes], read: dict[str, Any]) -> dict[str, Any]:
    """One mutation: what reading it gave."""
    from tfcompress.core import TfcompressError

    rng = np.random.default_rng([7, number])
    shares = np.array(list(SHARES.values()), float)
    form = str(rng.choice(list(SHARES), p=shares / shares.sum()))
    row: dict[str, Any] = {"case": number, "format": form, "result": "read"}
    start = time.monotonic()
    try:
        read[form](mutated(files[form], rng))
    except TfcompressError as error:
        is_short = len(str(error).strip().splitlines()) <= 3
        row |= {"result": "refused" if is_short else "traceback", "error": str(error)[:300]}
    except Exception:
        row |= {"result": "traceback", "error": traceback.format_exc()[-1200:]}
    if CANARY in sys.modules:
        row["result"] = "executed"
        del sys.modules[CANARY]
    if time.monotonic() - start > SLOW_SECONDS:
        row["result"] = "slow"
    return row


def work(out: Path, first: int, last: int) -> None:
    """Mutations first … last − 1, in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{CANARY}.py").write_text("x = print\n")
        sys.path.insert(0, str(folder))
        files, read = originals(folder), readers(folder)
        for form, data in files.items():
            read[form](data)  # what is whole is read
        carry_out(out, range(first, last), lambda number: run_one(number, files, read))


def summary(rows: list[dict[str, Any]]) -> str:
    """Counts by format, and everything that must not happen."""
    counts = Counter((row.get("format", "?"), row["result"]) for row in rows)
    results = ["read", "refused", "traceback", "crash", "executed", "slow"]
    lines = [f"| format | {' | '.join(results)} |", "|---" * (len(results) + 1) + "|"]
    for form in sorted({form for form, _ in counts}):
        cells = [f"{counts[form, result]:,}" for result in results]
        lines.append(f"| {form} | {' | '.join(cells)} |")
    for row in rows:
        if row["result"] not in ("read", "refused"):
            last = row.get("error", "").strip().splitlines()[-1:] or [""]
            lines.append(
                f"{row['case']} {row.get('format', '?')}: {row['result']}: {last[0][:200]}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("hostile.jsonl"))
    parser.add_argument("--work", type=int, nargs=2)
    options = parser.parse_args()
    if options.work:
        work(options.out, *options.work)
    else:
        drive(__file__, options.out, 0, options.mutations, CHUNK)
        print(summary(rows_of(options.out)))


if __name__ == "__main__":
    main()
