"""`significance`: layers ranked and drawn; a name means what it means in a recipe."""

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_significance_ranks_layers_and_draws_them(run: Run, saved: Path, tmp_path: Path) -> None:
    words = ("significance", saved, "--data digits --images 300 --threshold 2")
    code, out, err = run(*words, "--json --plot", tmp_path / "id.png")
    assert code == 0, err
    facts = json.loads(out)
    assert set(facts["scores"]) == {"conv1", "conv2", "dense1", "dense2"} == set(facts["bits"])
    assert facts["bits"]["conv1"] == facts["bits"]["dense2"] == 32
    assert (tmp_path / "id.png").read_bytes()[:4] == b"\x89PNG"
    code, out, _ = run(*words, "--by pca --view channels")
    assert code == 0
    assert "conv2" in out
    code, _, err = run("significance", saved)
    assert code == 1
    assert "--data" in err


def test_pca_means_what_it_means_in_a_recipes_name(run: Run, saved: Path) -> None:
    from tfcompress import recipes
    from tfcompress.analysis import SignificanceBits
    from tfcompress.techniques import MixedPrecision

    words = ("significance", saved, "--data digits --images 120 --by pca --json")
    code, out, err = run(*words)
    assert code == 0, err
    technique = recipes.recipe("pca-mixed21").techniques[0]
    assert isinstance(technique, MixedPrecision)
    bits = technique.bits
    assert isinstance(bits, SignificanceBits)
    assert json.loads(out)["by"].endswith(f"{bits.view}, {bits.rule}")
    assert (bits.view, bits.rule) == ("channels", "rise")
