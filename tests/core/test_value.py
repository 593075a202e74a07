"""Values, recipes and artifacts as data: equality, hashing, JSON both ways, atomic saving."""

import errno
import hashlib
import importlib
import json
import os
import re
import sys
from dataclasses import dataclass, replace
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
    assert [file.name for file in files] == ["net.tflite", "net.json", "net.md"]
    back = Artifact.load(tmp_path / "out" / "net")
    assert (back.data, back.recipe, back.skipped, back.checks, back.about) == (
        artifact.data,
        artifact.recipe,
        artifact.skipped,
        artifact.checks,
        artifact.about,
    )
    assert json.loads((tmp_path / "out" / "net.json").read_text())["size_bytes"] == 400


def test_the_model_card_says_what_was_done_measured_and_left_alone(artifact, tmp_path):
    measured = {"metric": "accuracy", "before": 0.9, "after": 0.885, "examples": 1000}
    about = {"seed": 1, "measured": measured, "warnings": ["trained too short"]}
    replace(artifact, about=about).save(tmp_path / "net")
    card = (tmp_path / "net.md").read_text()
    assert card.startswith("# net\n") and "## Warnings\n\n- trained too short" in card
    assert f"`{Halve(0.5)!r}`" in card and "400 bytes on disk" in card
    assert "accuracy 0.8850, the float32 file's 0.9000, on 1,000 test examples" in card
    assert hashlib.sha256(artifact.data).hexdigest() in card
    assert f"- {artifact.checks[0]}" in card and f"- {artifact.skipped[0]}" in card
    assert 'Interpreter("net.tflite")' in card and "net.keras" not in card
    block = re.findall(r"```python\n(.+?)\n```", card, re.S)[0]
    compile(block, "card", "exec")


def test_a_card_without_labels_says_that_nothing_was_measured(artifact, tmp_path):
    artifact.save(tmp_path / "net")
    card = (tmp_path / "net.md").read_text()
    assert "no accuracy: nothing was measured" in card and "## Warnings" not in card
    assert [file.name for file in artifact.save(tmp_path / "other", card=False)] == [
        "other.tflite",
        "other.json",
    ]


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


# --- files from elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["elsewhere:Thing", "elsewhere:Mine", "unittest.__main__:x"])
def test_reading_a_recipe_imports_no_module(tmp_path, monkeypatch, name):
    """A module on the path runs when it is imported; `unittest.__main__` even ends the process."""
    (tmp_path / "elsewhere.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from tfcompress.core import Target\nclass Mine(Target): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = Recipe([], Raw()).to_dict()
    for data in ({**recipe, "class": name}, {**recipe, "target": {"class": name}}):
        with pytest.raises(RecipeError, match=r"no class .* is known; .* Import the package"):
            Recipe.from_json(json.dumps(data))
    saved = Artifact(b"TFL3", Recipe([], Raw())).to_dict()
    (tmp_path / "net.json").write_text(json.dumps({**saved, "recipe": {**recipe, "class": name}}))
    (tmp_path / "net.tflite").write_bytes(b"TFL3")
    with pytest.raises(ArtifactError, match="no class"):
        Artifact.load(tmp_path / "net")
    assert not (tmp_path / "ran").exists() and "elsewhere" not in sys.modules


def test_an_entry_point_names_a_class_of_a_package(tmp_path, monkeypatch):
    text = (
        "from dataclasses import dataclass\nfrom tfcompress.core import Target\n"
        "@dataclass(frozen=True, eq=False)\nclass Mine(Target):\n    level: int = 0\n"
        "    def convert(self, model, samples=None): return b''\n"
    )
    (tmp_path / "their_package.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their_package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tfcompress.values]\nmine = their_package:Mine\n")
    importlib.invalidate_caches()
    data = {"class": "their_package:Mine", "level": 3}
    recipe = Recipe.from_dict({"class": "tfcompress.core:Recipe", "techniques": [], "target": data})
    assert recipe.target.to_dict() == data
    sys.modules.pop("their_package")


def recipe_json():
    from tfcompress.recipes import recipe

    return recipe("filters20-prune80-cluster16-qat-int8").to_json()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"sparsity": 0.8', '"sparsity": "0.8"', r"\$\.techniques\[1\]\.sparsity: expected float"),
        ('"ratio": 0.2', '"ratio": {"a": "b"}', r"\$\.techniques\[0\]\.ratio: expected"),
        ('"preserve": "both"', '"preserve": ["both"]', r"preserve: expected str"),
        ("[", "7, [", "Not a recipe"),
        ('"tfcompress.targets:Int8"', "5", r"\$\.target: expected an object with a 'class'"),
        (
            '"tfcompress.targets:Int8"',
            '"tfcompress.targets:_int8"',
            r"\$\.target: .*_int8. is not a",
        ),
        ('"tfcompress.targets:Int8"', '"tfcompress.core:Rule"', r"\$\.target: .* is not a"),
        ('"sparsity": 0.8', '"sparsity": 8', r"\$\.techniques\[1\]: .*sparsity"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_one_line_with_its_place(old, new, says):
    text = recipe_json()
    assert old in text
    with pytest.raises(RecipeError, match=says) as caught:
        Recipe.from_json(text.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [33, 900, 100_000])
def test_deep_nesting_is_refused(depth):
    data = {"class": "tfcompress.techniques:Prune", "only": "?"}
    text = json.dumps(data).replace('"?"', "[" * depth + "]" * depth)
    with pytest.raises(RecipeError, match="nested"):
        Recipe.from_json(
            '{"class": "tfcompress.core:Recipe", "target": {"class": "tfcompress.targets:Int8"}, '
            f'"techniques": [{text}]}}'
        )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"checks": [{"stage": 1}]}, r"Expected `str`, got `int` - at `\$\.checks\[0\]\.stage`"),
        ({"size_bytes": "400"}, r"at `\$\.size_bytes`"),
        ({"about": {"seed": [1]}}, r"at `\$\.about\.seed`"),
        ({"recipe": []}, r"at `\$\.recipe`"),
        ({"recipe": {"class": 5}}, r"\$: expected an object with a 'class'"),
        ({"size_bytes": 399}, "is not the file .* 400 bytes, expected 399"),
        ({"sha256": "0" * 64}, "is not the file .* SHA-256 000000000000"),
    ],
)
def test_an_edited_artifact_is_refused_with_the_place(artifact, tmp_path, change, says):
    artifact.save(tmp_path / "net")
    saved = json.loads((tmp_path / "net.json").read_text())
    (tmp_path / "net.json").write_text(json.dumps({**saved, **change}))
    with pytest.raises(ArtifactError, match=says) as caught:
        Artifact.load(tmp_path / "net")
    assert "\n" not in str(caught.value)


def test_an_artifact_of_before_the_hash_is_read(artifact, tmp_path):
    artifact.save(tmp_path / "net")
    saved = json.loads((tmp_path / "net.json").read_text())
    del saved["sha256"]
    (tmp_path / "net.json").write_text(json.dumps(saved))
    assert Artifact.load(tmp_path / "net").data == artifact.data


def test_a_file_with_other_bytes_is_not_the_artifacts(artifact, tmp_path):
    artifact.save(tmp_path / "net")
    (tmp_path / "net.tflite").write_bytes(b"TFL4" * 100)
    with pytest.raises(ArtifactError, match="Save the artifact again"):
        Artifact.load(tmp_path / "net")
