"""The notebooks are stored with what came out, small, and by one command."""

import base64
import io
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_what_came_out(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and not [o for o in outputs if o.get("name") == "stderr"]
    assert not [output for output in outputs if output.output_type == "error"]


def test_notebooks_are_small() -> None:
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 2_000_000


def make() -> dict:
    """What notebooks/make.py defines."""
    names: dict = {"__name__": "make", "__file__": str(ROOT / "notebooks" / "make.py")}
    exec(compile((ROOT / "notebooks" / "make.py").read_text(), "make.py", "exec"), names)
    return names


def test_a_badge_stands_below_the_title_once_there_is_a_repository() -> None:
    names = make()
    mark = names["badge"]("someone/tfcompress", "01_first.ipynb")
    assert "github/someone/tfcompress/blob/main/notebooks/01_first.ipynb" in mark
    once = names["with_badge"]("# Title\n\nWords.", mark)
    assert once.splitlines() == ["# Title", "", mark, "", "Words."]
    assert names["with_badge"](once, mark) == once
    assert names["with_badge"](once, "").splitlines() == ["# Title", "", "Words."]


def test_a_picture_keeps_its_size_and_loses_bytes() -> None:
    from PIL import Image

    image = Image.effect_noise((60, 40), 90).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "png")
    given = base64.b64encode(buffer.getvalue()).decode()
    png = base64.b64decode(make()["smaller"](given))
    assert Image.open(io.BytesIO(png)).size == (60, 40) and len(png) < len(buffer.getvalue())
