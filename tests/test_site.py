"""The documentation site builds without a warning, and holds what it should."""

import ast
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import tfcompress

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. `--strict` makes a link, an anchor or a name without a target an error."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        words,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_every_document_and_notebook_has_a_page_in_the_navigation(site: Path) -> None:
    """The front page links all sections, and every section all of its pages."""
    links = set()
    for page in site.rglob("*.html"):
        for tag in re.findall(r'<a [^>]*class="md-nav__link[^>]*>', page.read_text()):
            target = re.findall(r'href="([^"#:]+)"', tag)
            links.update(os.path.normpath(page.parent / name) for name in target)
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in PAGES]
    pages += [Path("tutorials") / f"{notebook.stem}.html" for notebook in NOTEBOOKS]
    for page in pages:
        there = page.with_name("index.html") if page.name == "README.html" else page
        assert os.path.normpath(site / there) in links, page


def test_the_reference_has_every_public_name(site: Path) -> None:
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    names = {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
    for name, home in tfcompress._HOME.items():
        assert {f"tfcompress.{name}", f"tfcompress.{home}.{name}"} & names, name
    for folder in ("techniques", "training", "targets", "analysis", "zoo"):
        module = getattr(tfcompress, folder)
        public = {n for n in module.__all__ if callable(getattr(module, n))}
        assert {f"tfcompress.{folder}.{name}" for name in public} <= names


def test_a_page_asks_no_other_server_for_anything(site: Path) -> None:
    """No font, script, style or picture from elsewhere: a reader's visit is nobody's business."""
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|link)[^>]*?(?:src|href)="(https?:[^"]+)', text)
        assert [url for url in loaded if "colab" not in url] == [], page


def test_formulas_are_mathml(site: Path) -> None:
    text = (site / "prune.html").read_text()
    assert text.count("<math") >= 2 and "$$" not in text and 'class="arithmatex"' not in text


def test_a_page_shows_the_notebooks_pictures(site: Path) -> None:
    pictures = list((site / "tutorials").rglob("*.png"))
    assert len(pictures) >= len(NOTEBOOKS)
    assert "<img" in (site / "tutorials" / "01_first_compression.html").read_text()


BLOCKS = [
    pytest.param(path, number, block, id=f"{path.stem}-{number}")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES)
    for number, block in enumerate(re.findall(r"```python\n(.+?)\n```", path.read_text(), re.S))
]


@pytest.mark.parametrize("path, number, block", BLOCKS)
def test_a_block_of_python_is_python_and_names_what_exists(
    path: Path, number: int, block: str
) -> None:
    """Every import resolves and every `tfc.name` is a public name."""
    tree = ast.parse(block)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfcompress"):
            exec(compile(ast.Module([node], []), str(path), "exec"), {})
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "tfc":
            assert hasattr(tfcompress, node.attr), f"{path}: tfc.{node.attr}"


RUN = ("int8_accuracy", "log_training")


@pytest.mark.filterwarnings("ignore::UserWarning")  # the tiny network's accuracy is no concern here
@pytest.mark.parametrize("page", RUN)
def test_a_pages_blocks_run_one_after_the_other(
    page: str, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x, y = tiny("keras")
    names = {
        **{"tfc": tfcompress, "model": model, "x_train": x[:200], "y_train": y[:200]},
        **{"x_val": x[200:], "y_val": y[200:]},
    }
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / f"{page}.md").read_text()
    for block in re.findall(r"```python\n(.+?)\n```", text, re.S):
        exec(compile(block, page, "exec"), names)
