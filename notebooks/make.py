"""Run the notebooks and store them with what came out, so that they can be read without running.

    python notebooks/make.py
        (all of them, or those named: python notebooks/make.py 01 03)

Each runs from top to bottom in an empty folder. Pictures are reduced to 64 colours, progress and
warnings on stderr are left out, and so is all that would differ from one run to the next without
meaning anything (execution times, widget state). Where setup.cfg names the repository (`url =
https://github.com/OWNER/NAME`), each gets a badge that opens it in Colab.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import io
import os
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLOURS = 64
COLAB = "https://colab.research.google.com"
GITHUB = "https://github.com/"


def repository() -> str:
    """OWNER/NAME of the repository on GitHub as setup.cfg states it; "" where it states none."""
    config = configparser.ConfigParser()
    config.read(HERE.parent / "setup.cfg")
    url = config.get("metadata", "url", fallback="")
    return url.removeprefix(GITHUB).strip("/") if url.startswith(GITHUB) else ""


def badge(owner_and_name: str, file: str) -> str:
    """The Markdown of a badge that opens the notebook in Colab."""
    target = f"{COLAB}/github/{owner_and_name}/blob/main/notebooks/{file}"
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({target})"


def with_badge(text: str, mark: str) -> str:
    """A notebook's first cell with this badge, or none, below its title."""
    lines = [line for line in text.splitlines() if not line.startswith("[![Open in Colab]")]
    title, *rest = lines
    while rest and not rest[0]:
        rest = rest[1:]
    return "\n".join([title, "", *([mark, ""] if mark else []), *rest])


def smaller(png: str) -> str:
    """A base64 PNG with few colours: a sixth of the bytes for a plot."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def kept(output: dict[str, Any]) -> bool:
    """Whether an output is worth storing: not stderr, and not what TensorFlow logs."""
    logged = "".join(output.get("text", "")).startswith("WARNING:")
    return output.get("name") != "stderr" and not logged


def tidy(notebook: Any, mark: str) -> None:
    """Make the executed notebook small and the same for the same results."""
    notebook.metadata = {
        key: notebook.metadata[key] for key in ("kernelspec",) if key in notebook.metadata
    }
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.cells[0].source = with_badge(notebook.cells[0].source, mark)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if kept(output)]
        for output in cell.outputs:
            pictures = output.get("data", {})
            if "image/png" in pictures:
                pictures["image/png"] = smaller(pictures["image/png"])
            output.pop("metadata", None)
            if output.output_type in ("display_data", "execute_result"):
                output["metadata"] = {}


def run(path: Path, mark: str) -> int:
    """Run one notebook and write it back with its outputs; its bytes."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=place).execute()
    tidy(notebook, mark)
    nbformat.write(notebook, path)
    return path.stat().st_size


def main() -> None:
    """Run all notebooks, or those whose names begin as said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="how their file names begin; all without")
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    owner_and_name = repository()
    for path in sorted(HERE.glob("*.ipynb")):
        if args.names and not path.name.startswith(tuple(args.names)):
            continue
        mark = badge(owner_and_name, path.name) if owner_and_name else ""
        print(f"{path.name}: {run(path, mark):,} bytes", flush=True)


if __name__ == "__main__":
    main()
