"""LiteRT.js, the runtime of visitors' browsers: where its files are, and how they get here.

It is not part of this package. `npm install @litertjs/core` puts it into `node_modules`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcompress.core import ArtifactError, InterpreterError

PACKAGE = "@litertjs/core"
VERSION = "2.5.3"
SCRIPTS = {
    "core.js": Path("core/dist/index.js"),
    "wasm-utils.js": Path("wasm-utils/dist/index.js"),
}
WASM = Path("core/wasm")
TYPES = ("float32", "int32", "uint8")
HOW = (
    f"`npm install {PACKAGE}@{VERSION}` here, --litert-js FOLDER, or `tfcompress serve --install` "
    "gets it."
)


@dataclass(frozen=True)
class LiteRtJs:
    """The runtime: its version, and address below /litert/ → file."""

    version: str
    files: dict[str, Path]


def refusal(inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> str:
    """Why the runtime does not take a file of these ends (name, shape, dtype); "" where it does."""
    if len(inputs) != 1:
        return f"it has {len(inputs)} inputs; files with one input run in browsers."
    for word, ends in (("input", inputs), ("output", outputs)):
        for end in ends:
            if end["dtype"] not in TYPES:
                return (
                    f"its {word} is {end['dtype']}, which LiteRT.js does not take: convert it with "
                    "float ends (int8) or uint8 ends (uint8io)."
                )
    return ""


def find(folder: Path | None = None) -> LiteRtJs | None:
    """The runtime in `folder`, or in a `node_modules` from here upwards or in the cache.

    Returns None where nothing is asked for and nothing is there.

    Raises:
        ArtifactError: `folder` is given and does not hold it.
    """
    if folder is not None:
        runtime = _read(folder) or _read(folder / "node_modules" / "@litertjs")
        if runtime is None:
            raise ArtifactError(
                f"{folder} does not hold LiteRT.js: expected {SCRIPTS['core.js']} in it, as in "
                f"node_modules/@litertjs. {HOW}"
            )
        return runtime
    for place in _places():
        runtime = _read(place)
        if runtime is not None:
            return runtime
    return None


def install() -> LiteRtJs:
    """Fetch the runtime with npm into the user's cache.

    Raises:
        InterpreterError: there is no npm, or it fails; its last line is in the message.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InterpreterError(
            "Fetching LiteRT.js needs npm, which is not here: install Node.js, or copy "
            "node_modules/@litertjs from elsewhere and pass --litert-js."
        )
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(cache), "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    runtime = find(cache) if done.returncode == 0 else None
    if runtime is None:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise InterpreterError(
            f"npm could not install {PACKAGE}@{VERSION}: {said[-1] if said else 'no word of why'}"
        )
    return runtime


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tfcompress" / "litert-js"


def _places() -> Iterator[Path]:
    here = Path.cwd()
    for folder in (here, *here.parents, _cache()):
        yield folder / "node_modules" / "@litertjs"


def _read(folder: Path) -> LiteRtJs | None:
    """The runtime in a folder like node_modules/@litertjs; None where a part is missing."""
    files = {name: folder / place for name, place in SCRIPTS.items()}
    try:
        version = json.loads((folder / "core" / "package.json").read_text())["version"]
        wasm = [file for file in (folder / WASM).iterdir() if file.suffix in (".js", ".wasm")]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not wasm or not all(file.is_file() for file in files.values()):
        return None
    files |= {f"wasm/{file.name}": file for file in wasm}
    return LiteRtJs(str(version), files)
