"""What a release is made of says one thing: the package, the conda recipe, the workflows."""

import configparser
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"matplotlib-base": "matplotlib"}


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text())


def requirements(text: str) -> set[str]:
    """Requirements without spaces and markers, one a line."""
    lines = (line.split(";")[0].replace(" ", "") for line in text.splitlines())
    return {line for line in lines if line}


def test_the_conda_recipe_asks_for_what_the_package_does(
    config: configparser.ConfigParser, recipe: dict[str, Any]
) -> None:
    run = [line for line in recipe["requirements"]["run"] if not line.startswith("python ")]
    named = {str(CONDA_NAMES.get(line, line)).replace(" ", "") for line in run}
    assert named == requirements(config["options"]["install_requires"])
    python = next(line for line in recipe["requirements"]["run"] if line.startswith("python "))
    filled = python.replace("${{ python_min }}", recipe["context"]["python_min"])
    assert filled == f"python {config['options']['python_requires']}"


def test_every_place_has_the_packages_version(
    config: configparser.ConfigParser, recipe: dict[str, Any]
) -> None:
    version = config["metadata"]["version"]
    assert recipe["context"]["version"] == version
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    entry = config["options.entry_points"]["console_scripts"].strip()
    assert entry in recipe["build"]["python"]["entry_points"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.stem)
def test_workflows_and_forms_are_yaml_and_have_few_rights(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content
    if "workflows" in path.parts:
        assert content["permissions"] == {"contents": "read"}
        for job in content["jobs"].values():
            for step in job["steps"]:
                assert "run" in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


def test_a_release_has_a_bill_of_materials_and_attestations() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    for wanted in ("twine check", "cyclonedx-py environment", "attest-sbom", "attest-build"):
        assert wanted in text, wanted


@pytest.mark.slow
def test_the_bill_of_materials_names_the_package_and_its_licences(tmp_path: Path) -> None:
    """The workflow's command, here for this environment."""
    out = tmp_path / "sbom.json"
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), "environment"]
    done = subprocess.run(
        [*command, sys.executable, "--of", "JSON", "-o", str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-1000:]
    parts = yaml.safe_load(out.read_text())["components"]
    by_name = {part["name"]: part for part in parts}
    assert {"tfcompress", "tensorflow", "numpy"} <= set(by_name)
    assert by_name["numpy"]["licenses"]
