"""The face: every public name exists, is documented, and every folder says what is public."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfcompress

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("analysis", "core", "devices", "profiling", "report", "targets", "techniques")
FOLDERS += ("training", "zoo")


@pytest.mark.parametrize("name", tfcompress.__all__)
def test_every_name_of_the_face_resolves(name):
    assert getattr(tfcompress, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="compres"):
        tfcompress.compres  # noqa: B018


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_public_object_has_a_docstring(folder):
    module = importlib.import_module(f"tfcompress.{folder}")
    assert module.__all__
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), (
                f"{folder}.{name} has no docstring of its own"
            )
            if inspect.isclass(thing):
                for part, member in vars(thing).items():
                    if not part.startswith("_") and inspect.isfunction(member):
                        assert inspect.getdoc(getattr(thing, part)), (
                            f"{folder}.{name}.{part} has no docstring"
                        )


def test_the_face_is_spelled_out_for_editors():
    """What `if TYPE_CHECKING` imports is what the face hands out, from where it does."""
    tree = ast.parse(Path(tfcompress.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    spelled = {(node.module, alias.asname) for node in imports for alias in node.names}
    homes = {(f"tfcompress.{home}", name) for name, home in tfcompress._HOME.items()}
    assert spelled == homes | {("tfcompress", name) for name in tfcompress._FOLDERS}
    assert (Path(tfcompress.__file__).parent / "py.typed").exists()


def pyright(*arguments, cwd):
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr


def test_types_of_the_face_are_known():
    words = pyright("--verifytypes", "tfcompress", "--ignoreexternal", cwd=ROOT)
    score = re.search(r"Type completeness score: ([\d.]+)%", words)
    assert score is not None and float(score[1]) >= 95, words[-2000:]


def test_the_readmes_first_python_block_type_checks(tmp_path):
    found = re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.S)
    assert found is not None
    given = "from typing import Any\n\nmodel: Any\nx_train: Any\ny_train: Any\n"
    given += "x_val: Any\ny_val: Any\nx_test: Any\ny_test: Any\n"
    (tmp_path / "block.py").write_text(f"{given}{found[1]}")
    words = pyright("block.py", cwd=tmp_path)
    assert "0 errors" in words, words
