"""Values, recipes and artifacts as data: equality, hashing, JSON both ways, atomic saving."""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcompress.core import (
    Artifact,
    ArtifactError,
    Check,
    Recipe,
    RecipeError,
    Skipped,
    Stage,
    Target,
    Technique,
    Training,
    write_all,
)


@dataclass(frozen=True, eq=False)
class Halve(Technique):
    """A technique for these tests: any options."""

    options: Any = None
    stage = Stage.SPARSITY
    training = Training.NEVER

    def apply(self, model):
        return model


@dataclass(frozen=True, eq=False)
class Share(Halve):
    """A technique of a later stage."""

    stage = Stage.SHARING


@dataclass(frozen=True, eq=False)
class Raw(Target):
    """A target for these tests."""

    level: int = 0

    def convert(self, model, samples=None):
        return b"TFL3"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4).filter(lambda key: key != "class"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_json_round_trip_keeps_value_and_hash(options):
    recipe = Recipe([Halve(options)], Raw())
    back = Recipe.from_json(recipe.to_json())
    assert back == recipe
    assert hash(back) == hash(recipe)
    assert back.to_json() == recipe.to_json()


def test_equality_is_by_class_and_fields():
    assert Halve([1, 2]) == Halve((1, 2))
    assert Halve({"b": 1, "a": 2}) == Halve({"a": 2, "b": 1})
    assert Halve(1) != Share(1)
    assert Recipe([], Raw(), name="x") == Recipe([], Raw(), name="y")


def test_field_that_json_cannot_hold_is_named():
    with pytest.raises(RecipeError, match=r"Halve\.options is a function"):
        Halve(lambda layer: True).to_json()


def test_recipe_in_the_wrong_order_names_the_right_one():
    with pytest.raises(RecipeError, match=r"Share → Halve.*write Halve → Share"):
        Recipe([Share(), Halve()], Raw())


@pytest.mark.parametrize(
    ("techniques", "target"),
    [([Halve], Raw()), ([Halve()], Raw), ([Halve()], "int8"), (["prune"], Raw())],
)
def test_recipe_refuses_what_is_no_member(techniques, target):
    with pytest.raises(RecipeError):
        Recipe(techniques, target)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"techniques": []}', '{"class": "os:system"}', '{"class": "no.such:Thing"}'],
)
def test_what_is_not_a_recipe_is_refused(text):
    with pytest.raises(RecipeError):
        Recipe.from_json(text)


def test_unknown_option_names_the_known_ones():
    data = {**Recipe([Halve()], Raw()).to_dict(), "speed": 1}
    with pytest.raises(RecipeError, match="techniques, target, name"):
        Recipe.from_dict(data)


@pytest.fixture
def artifact():
    return Artifact(
        b"TFL3" * 100,
        Recipe([Halve(0.5)], Raw(2)),
        None,
        (Skipped("a", "Dense", "halve", "too small"),),
        (Check("halve", "zeros", 0.5, 0.5),),
        {"seed": 1},
    )


def test_artifact_round_trip(artifact, tmp_path):
    files = artifact.save(tmp_path / "out" / "net")
    assert [file.name for file in files] == ["net.tflite", "net.json"]
    back = Artifact.load(tmp_path / "out" / "net")
    assert (back.data, back.recipe, back.skipped, back.checks, back.about) == (
        artifact.data,
        artifact.recipe,
        artifact.skipped,
        artifact.checks,
        artifact.about,
    )
    assert json.loads((tmp_path / "out" / "net.json").read_text())["size_bytes"] == 400


def test_nothing_is_overwritten_unasked(artifact, tmp_path):
    (tmp_path / "net.json").write_text("mine")
    with pytest.raises(ArtifactError, match="overwrite=True"):
        artifact.save(tmp_path / "net")
    assert (tmp_path / "net.json").read_text() == "mine"
    assert not (tmp_path / "net.tflite").exists()
    artifact.save(tmp_path / "net", overwrite=True)
    assert Artifact.load(tmp_path / "net").data == artifact.data


def test_disk_full_leaves_nothing_behind(artifact, tmp_path, monkeypatch):
    real, written = os.fsync, []

    def full_at_the_second_file(handle):
        written.append(handle)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    monkeypatch.setattr(os, "fsync", full_at_the_second_file)
    with pytest.raises(ArtifactError, match="No space left on device"):
        artifact.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_really_full_disk_is_a_clear_error():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")

    def fill(path):
        with open("/dev/full", "wb") as device:
            device.write(b"x" * 10_000)

    with pytest.raises(ArtifactError, match="No space left"):
        write_all({Path("never.bin").absolute(): fill})
    assert not Path("never.bin").exists()


def test_folder_that_cannot_be_written_is_a_clear_error(artifact, tmp_path):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(ArtifactError, match="Could not write"):
        artifact.save(tmp_path / "file" / "net")


def test_what_is_no_artifact_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="No artifact"):
        Artifact.load(tmp_path / "nothing")
    (tmp_path / "net.tflite").write_bytes(b"")
    (tmp_path / "net.json").write_text("{}")
    with pytest.raises(ArtifactError, match="not written by"):
        Artifact.load(tmp_path / "net")
