"""What a reader runs: the README's two commands, the notebooks, the examples."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_readme_has_the_two_commands_and_ci_runs_the_second():
    commands = re.findall(r"```bash\n(.+?)\n```", (ROOT / "README.md").read_text(), re.S)
    assert commands[0].endswith("tfcompress demo")
    assert "pytest" in commands[1]
    script = "sed -n '/<!-- test command -->/,/```$/p' README.md | grep -v -e '^<!--' -e '^```'"
    found = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found == commands[1]
    assert script.split("|")[0].strip() in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.stem
)
def test_links_and_files_that_documents_name_exist(path):
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith(("http", "mailto")):
            assert (path.parent / link).exists(), link
    for named in re.findall(r"(?:examples|benchmarks|docs|tests)/[\w/]+\.(?:py|toml)", text):
        assert (ROOT / named).exists(), named


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_notebook_runs(path, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    assert not [
        cell
        for cell in notebook.cells
        if any(out.output_type == "error" for out in cell.get("outputs", []))
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem
)
def test_example_says_what_it_does_and_how_it_is_called(path):
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said and "python examples/" + path.name in said
    if "argparse" in path.read_text():
        done = subprocess.run(
            [sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
