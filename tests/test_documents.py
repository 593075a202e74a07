"""What a reader runs: the README's two commands, the notebooks, the examples."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


FINE_TUNING = (ROOT / "docs" / "fine_tuning.md").read_text()


@pytest.mark.parametrize(
    ("words", "table"),
    re.findall(r"`python benchmarks/defaults\.py([^`]*)`[^`|]*?\n\n(\|.*?)\n\n", FINE_TUNING, re.S),
)
def test_tables_of_fine_tuning_are_what_the_command_prints(words, table):
    """All of it is in the results that were kept: nothing is trained."""
    done = subprocess.run(
        [sys.executable, "benchmarks/defaults.py", *words.split(), "--kept"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert printed == table.splitlines()


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FEWER_STEPS = {
    "01_first_compression": {"epochs=12": "epochs=2", "epochs=3,": "epochs=1,"},
    "02_pruning_and_clustering": {
        "epochs=15": "epochs=3",
        "epochs=6,": "epochs=1,",
        '"cluster16-int8", "prune80-cluster16-int8", ': "",
    },
    "03_quantization_aware": {
        "epochs=15": "epochs=3",
        "epochs=6,": "epochs=1,",
        '"prune60-int8", "prune60-qatplain-int8", ': "",
        '"prune60-cluster16-qat-int8",': "",
    },
    "04_which_layers_matter": {
        "epochs=15": "epochs=3",
        "epochs=8": "epochs=1",
        "seeds=2": "seeds=1",
        "(1, 2, 4)": "(1, 4)",
        '"xnor", "mixed2"': '"mixed2"',
    },
    "05_distillation_and_structured_pruning": {
        "epochs=12": "epochs=1",
        "epochs=40": "epochs=2",
        "epochs=4": "epochs=1",
        "(0.125, 0.25, 0.5, 0.75)": "(0.25, 0.75)",
        "(0.25, 0.5, 0.75)": "(0.5,)",
    },
    "06_profile": {"epochs=2": "epochs=1"},
    "07_study": {
        "epochs=10": "epochs=2",
        "epochs=2)": "epochs=1)",
        "seeds=3": "seeds=2",
        '"prune60-int8", ': "",
    },
}


@pytest.fixture(scope="module")
def kernel():
    """The manager of one kernel for all notebooks, so that TensorFlow is loaded once."""
    import nbformat
    from jupyter_core.utils import run_sync
    from nbclient import NotebookClient

    empty = NotebookClient(nbformat.v4.new_notebook(), kernel_name="python3")
    manager: Any = empty.create_kernel_manager()
    yield manager
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)


def run_notebook(notebook, folder, kernel):
    """Run every cell in `folder`, in a kernel that knows no name of the notebooks before."""
    import nbformat
    from nbclient import NotebookClient

    fresh = f"%reset -f\nimport os; os.chdir({str(folder)!r}); del os"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(fresh))
    NotebookClient(notebook, km=kernel, timeout=600).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert not [out for out in outputs if out.output_type == "error"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_with_fewer_steps(path, tmp_path, kernel):
    """Every cell runs; work is cut by replacements, each of which has to be there."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for whole, fewer in FEWER_STEPS[path.stem].items():
        assert any(whole in cell.source for cell in cells), whole
        for cell in cells:
            cell.source = cell.source.replace(whole, fewer)
    run_notebook(notebook, tmp_path, kernel)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, kernel):
    import nbformat

    run_notebook(nbformat.read(path, as_version=4), tmp_path, kernel)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("*.py")), ids=lambda path: path.stem
)
def test_example_says_what_it_does_and_how_it_is_called(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring and f"python {path.relative_to(ROOT)}" in docstring
    if "argparse" in path.read_text():
        done = subprocess.run(
            [sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
