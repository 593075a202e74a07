"""Damaged recipes and artifacts: read, or refused in one line; nothing else."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path

import pytest

from tfcompress.core import Artifact, ArtifactError, Check, Recipe, RecipeError, Skipped
from tfcompress.recipes import recipe

_spec = importlib.util.spec_from_file_location(
    "mutations", Path(__file__).with_name("mutations.py")
)
assert _spec and _spec.loader
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
mutations, json_mutations = _module.mutations, _module.json_mutations

NAMES = (
    "filters20taylor-finetune-prune80-cluster16-qat-int8",
    "twonn-mixed21",
    "lowrank50-prune2of4-dynamic",
    "slim30-finetune-packedsize",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_recipe_is_read_or_refused_in_one_line(name: str) -> None:
    text, refused = recipe(name).to_json(), 0
    for damaged in itertools.chain(mutations(text, 250), json_mutations(text, 250)):
        try:
            read = Recipe.from_json(damaged)
        except RecipeError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500, damaged
        else:
            assert Recipe.from_json(read.to_json()) == read, damaged
    assert refused > 200


def test_a_damaged_artifact_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    whole = Artifact(
        b"TFL3" * 100,
        recipe("prune80-cluster16-int8"),
        None,
        (Skipped("a", "Dense", "prune", "too small"),),
        (Check("prune80", "zeros", 0.8, 0.8),),
        {
            "seed": 1,
            "seconds": {"convert": 0.5},
            "versions": {"keras": "3"},
            "flavour": "keras",
            "warnings": ["a"],
        },
    )
    whole.save(tmp_path / "net")
    file, refused = tmp_path / "net.json", 0
    text = file.read_text()
    for damaged in itertools.chain(mutations(text, 300), json_mutations(text, 300)):
        file.write_text(damaged)
        try:
            read = Artifact.load(tmp_path / "net")
        except ArtifactError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600, damaged
        else:
            assert read.data == whole.data and str(read), damaged
            assert json.loads(json.dumps(read.to_dict()))["size_bytes"] == 400, damaged
    assert refused > 300
