"""`sensitivity`: the curves, the ratios that they suggest, and the recipe of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_sensitivity_suggests_a_recipe(run: Run, saved: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "thin.json"
    words = ("sensitivity", saved, "--data digits --images 100 --max-drop 0.05 --recipe", recipe)
    code, out, err = run(*words, "--json --plot", tmp_path / "curves.png")
    assert code == 0, err
    facts = json.loads(out)
    assert set(facts["curves"]) == {"conv1", "conv2", "dense1"} >= set(facts["suggested"])
    assert facts["suggested"] and facts["n"] == 100
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads(recipe.read_text())["techniques"][0]["ratio"] == facts["suggested"]
    code, out, err = run(*words)
    assert (code, "already there" in err, out) == (1, True, "")  # known before any work


def test_a_sensitivity_without_anything_to_spare_says_so(
    run: Run, saved: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "thin.json"
    words = ("sensitivity", saved, "--data digits --images 50 --max-drop -0.5 --recipe", recipe)
    code, _, err = run(*words)
    assert code == 1 and "max_drop" in err
    assert not recipe.exists()


def test_no_recipe_is_written_where_nothing_is_suggested(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfcompress.analysis.suggest_ratios", lambda curves, max_drop: {})
    recipe = tmp_path / "thin.json"
    code, out, err = run("sensitivity", saved, "--data digits --images 50 --recipe", recipe)
    assert code == 1 and "--max-drop" in err and "conv2" in out
    assert not recipe.exists()
