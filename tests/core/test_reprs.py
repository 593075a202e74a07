"""What a notebook shows, and how a check says its promise."""

import pytest

from tfcompress.core import Artifact, Check, Latency, OpTime, Profile, Recipe, Significance, Skipped
from tfcompress.targets import Float32, Int8
from tfcompress.techniques import Prune

HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check("int8", "relative error", 0.0123, 0.5), "int8: relative error 0.0123 (at most 0.5)"),
        (
            Check("qat", "quantized layers", 7, 4, relation="at least"),
            "qat: quantized layers 7 (at least 4)",
        ),
        (Check("int8", "kernels in int8", 7, 8, relation="of"), "int8: kernels in int8 7 of 8"),
        (
            Check("cluster16", "different values", 16, 16, "conv"),
            "cluster16: different values 16 (at most 16) in conv",
        ),
    ],
)
def test_a_check_says_which_way_its_bound_counts(check: Check, words: str) -> None:
    assert str(check) == words


def test_a_recipe_shows_its_steps() -> None:
    html = Recipe([Prune(0.8)], Int8())._repr_html_()
    assert "prune80-int8" in html and "Prune(" in html and "Int8(" in html


def test_an_artifact_shows_sizes_checks_and_what_was_left_alone() -> None:
    artifact = Artifact(
        b"12345678",
        Recipe([], Float32()),
        skipped=(Skipped(HOSTILE, "Dense", "Prune", "too small"),),
        checks=(Check("float32", "relative error", 0.001, 0.01),),
    )
    html = artifact._repr_html_()
    assert "8 bytes" in html and "relative error 0.001 (at most 0.01)" in html
    assert "&lt;script&gt;" in html and "<script>" not in html
    assert "(at most 0.01)" in str(artifact) and "bound" not in str(artifact)


def test_a_profile_shows_its_numbers_and_operations() -> None:
    latency = Latency(2, 100, 3, 1.5, 1.6, 1.7, 1.55, 0.1, 1.4, 2.0, 0.0, 0.01)
    ops = tuple(OpTime(number, HOSTILE, "", number, float(number)) for number in range(11))
    profile = Profile(
        "net", 4096, 2048, "", "litert", latency=(latency,), ops=ops, notes=("a note",)
    )
    html = profile._repr_html_()
    for words in ("4,096 bytes", "p50 1.500 ms", "2 threads", "a note", "&lt;script&gt;"):
        assert words in html, words
    assert "<script>" not in html
    assert "and 3 more operations" in str(profile)


def test_a_significance_shows_layers_with_score_and_rank() -> None:
    html = Significance({"conv": 1.5, "dense": 20.25}, "twonn", "dimensions")._repr_html_()
    assert "Significance by twonn" in html and "score, dimensions" in html
    assert "<td>20.25</td><td>1</td>" in html and "<td>1.5</td><td>2</td>" in html
