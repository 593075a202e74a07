"""The grammar of recipe names: what each word means, and that every name is data."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfcompress import recipes
from tfcompress.analysis import PCADimension, SignificanceBits, SignificantLayers
from tfcompress.core import Recipe, RecipeError
from tfcompress.recipes import Word
from tfcompress.targets import DynamicRange, Float32, Int8, Packed
from tfcompress.techniques import (
    Cluster,
    FineTune,
    LowRank,
    MixedPrecision,
    Prune,
    PruneFilters,
    QuantizeAware,
    Slim,
)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("int8", Recipe([], Int8())),
        ("int8io", Recipe([], Int8(io="int8"))),
        ("qat-uint8io", Recipe([QuantizeAware()], Int8(io="uint8"))),
        ("prune87.5", Recipe([Prune(0.875)], Float32())),
        ("filters12.5-int8", Recipe([PruneFilters(0.125)], Int8())),
        ("cluster16", Recipe([Cluster(16)], Float32())),
        ("base", Recipe([], Float32())),
        ("prune80", Recipe([Prune(0.8)], Float32())),
        ("prune2of4-int8", Recipe([Prune(pattern=(2, 4))], Int8())),
        ("cluster8pc-dynamic", Recipe([Cluster(8, per_channel=True)], DynamicRange())),
        ("qat-int8", Recipe([QuantizeAware()], Int8())),
        ("filters30-int8", Recipe([PruneFilters(0.3)], Int8())),
        ("macs50-qat-int8", Recipe([PruneFilters(target_macs=0.5), QuantizeAware()], Int8())),
        (
            "filters30taylor-finetune",
            Recipe([PruneFilters(0.3, importance="taylor"), FineTune()], Float32()),
        ),
        (
            "params40taylor",
            Recipe([PruneFilters(target_params=0.4, importance="taylor")], Float32()),
        ),
        ("latency60-int8", Recipe([PruneFilters(target_latency=0.6)], Int8())),
        ("slimmacs50-finetune", Recipe([Slim(target_macs=0.5), FineTune()], Float32())),
        ("lowrank50-int8", Recipe([LowRank(target_params=0.5)], Int8())),
        ("lowrank90e-finetune", Recipe([LowRank(energy=0.9), FineTune()], Float32())),
        ("lowrank8r", Recipe([LowRank(rank=8)], Float32())),
        ("slim70-finetune", Recipe([Slim(0.7), FineTune()], Float32())),
        ("cluster16-qat-int8", Recipe([Cluster(16), QuantizeAware(preserve="clusters")], Int8())),
        ("cluster16-qatplain-int8", Recipe([Cluster(16), QuantizeAware()], Int8())),
        ("prune80-qat-int8", Recipe([Prune(0.8), QuantizeAware(preserve="sparsity")], Int8())),
        (
            "ethos8",
            Recipe([Cluster(8), QuantizeAware(preserve="clusters")], Int8(io="int8")),
        ),
        (
            "prune60-ethos",
            Recipe(
                [Prune(0.6), Cluster(16, keep_zeros=True), QuantizeAware(preserve="both")],
                Int8(io="int8"),
            ),
        ),
        ("xnor", Recipe([MixedPrecision(1)], Packed())),
        ("mixed4-int8", Recipe([MixedPrecision(4)], Int8())),
        ("twonn-mixed21", Recipe([MixedPrecision(SignificanceBits())], Packed())),
        (
            "twonn-mixed42-packedsize",
            Recipe(
                [MixedPrecision(SignificanceBits(significant=4, other=2))], Packed(prefer="size")
            ),
        ),
        (
            "pca-mixed21",
            Recipe(
                [MixedPrecision(SignificanceBits(PCADimension(), "channels", "rise"))], Packed()
            ),
        ),
        (
            "twonn-cluster-cqat",
            Recipe(
                [
                    Cluster(16, only=SignificantLayers(significant=False)),
                    QuantizeAware(preserve="clusters"),
                ],
                Packed(prefer="size"),
            ),
        ),
        (
            "prune80-cluster16-qat-int8",
            Recipe(
                [Prune(0.8), Cluster(16, keep_zeros=True), QuantizeAware(preserve="both")], Int8()
            ),
        ),
    ],
)
def test_words(name: str, recipe: Recipe) -> None:
    assert recipes.recipe(name) == recipe
    assert recipes.recipe(name).name == name


@pytest.mark.parametrize("name", recipes.READY)
def test_ready_recipes_are_data(name: str) -> None:
    recipe = recipes.recipe(name)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipes.recipe(recipe) is recipe


@given(
    sparsity=st.integers(1, 99),
    clusters=st.integers(3, 64),
    target=st.sampled_from(["", "-int8", "-float16", "-dynamic"]),
)
def test_numbers_arrive(sparsity: int, clusters: int, target: str) -> None:
    recipe = recipes.recipe(f"prune{sparsity}-cluster{clusters}{target}")
    prune, cluster = recipe.techniques
    assert isinstance(prune, Prune) and isinstance(cluster, Cluster)
    assert prune.sparsity == pytest.approx(sparsity / 100)
    assert cluster.clusters == clusters
    assert cluster.keep_zeros


@pytest.mark.parametrize(
    "name",
    [
        "",
        "prune",
        "int9",
        "mixed9",
        "twonn",
        "twonn-qat",
        "cqat",
        "twonn-mixed2",
        "prune80-int8-cluster16",
        "cluster16-prune80",
    ],
)
def test_what_is_no_recipe(name: str) -> None:
    with pytest.raises(RecipeError):
        recipes.recipe(name)


def test_near_names_are_offered() -> None:
    with pytest.raises(RecipeError, match="cluster16-int8"):
        recipes.recipe("clustr16-int8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("int8-prune80", "int8 is a target.*stands last; write prune80-int8"),
        ("prune80-int8-cluster16", "write prune80-cluster16-int8"),
        ("int8-float16", "more than one target"),
        ("cqat", "clusterN"),
    ],
)
def test_the_order_is_named_as_the_problem(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipes.recipe(name)


@pytest.mark.parametrize("word", recipes.WORDS, ids=lambda word: word.spelling)
def test_the_example_of_a_word_uses_it_and_is_a_recipe(word: Word) -> None:
    assert recipes.recipe(word.example).name == word.example
    parts = recipes._split(word.example)
    assert any(word.match(part) for part in parts)


def test_one_word_of_the_table_means_one_thing() -> None:
    parts = {part for word in recipes.WORDS for part in recipes._split(word.example)}
    for part in parts:
        assert len([word for word in recipes.WORDS if word.match(part)]) == 1, part


def test_the_readme_shows_the_table_of_words() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert recipes.words_as_markdown() in readme
