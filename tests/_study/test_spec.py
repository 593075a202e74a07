"""Study files: what may stand in them, what is wrong in them, and what they come to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from mutations import mutations

from tfcompress._study._from_file import Trained, _taught_once, load, network, study_file, trainer
from tfcompress._study._results import results
from tfcompress._study._spec import read_spec, recipes_of
from tfcompress.core import DataError, RecipeError
from tfcompress.recipes import recipe
from tfcompress.report import Report
from tfcompress.techniques import PruneFilters

FILES = sorted((Path(__file__).resolve().parents[2] / "examples" / "studies").glob("*.toml"))
GOOD = """
seeds = 2
[data]
name = "digits"
train = 300
test = 100
[train]
epochs = 2
[fit]
epochs = 1
[recipes]
names = ["float32", "int8"]
grid = ["prune{sparsity}-cluster{clusters}-int8"]
sparsity = [0.2, 0.75]
clusters = [4, 16]
[recipes.own.mine]
target = { class = "Int8" }
techniques = [{ class = "PruneFilters", ratio = { "conv1" = 0.5 } }]
[models.net]
zoo = "quantnet"
options = { dropout = 0.2 }
[full]
seeds = 9
data = { train = 1000 }
"""


@pytest.fixture
def write(tmp_path):
    def to(text):
        (tmp_path / "study.toml").write_text(text)
        return tmp_path / "study.toml"

    return to


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_of_the_examples_are_well_written(path):
    spec = read_spec(path)
    for name in spec["models"]:
        made = [one.name for one in recipes_of(spec, name)]
        assert "float32" in made and len(made) == len(set(made))
        assert set(spec["models"][name].get("printed", {})) <= set(made)
        network(spec["models"][name]["zoo"])
    if path.stem != "digits":
        assert read_spec(path, full=True)["data"].get("train", 0) > spec["data"]["train"]


def test_a_grid_is_every_combination_and_shares_are_percent(write):
    made = recipes_of(read_spec(write(GOOD)), "net")
    assert [one.name for one in made] == [
        *(
            "float32",
            "int8",
            "prune20-cluster4-int8",
            "prune20-cluster16-int8",
            "prune75-cluster4-int8",
            "prune75-cluster16-int8",
            "mine",
        )
    ]
    assert made[2] == recipe("prune20-cluster4-int8")
    assert made[-1].techniques == (PruneFilters({"conv1": 0.5}),)


def test_full_lies_over_the_rest(write):
    small, full = read_spec(write(GOOD)), read_spec(write(GOOD), full=True)
    assert (small["seeds"], small["data"]["train"]) == (2, 300)
    assert (full["seeds"], full["data"]) == (9, {"name": "digits", "train": 1000, "test": 100})
    with pytest.raises(RecipeError, match=r"no \[full\] table"):
        read_spec(write(GOOD.split("[full]")[0]), full=True)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"float32", "int8"', '"float32", "intt8"', "Unknown word 'intt8'"),
        (
            "sparsity = [0.2, 0.75]",
            "",
            r"grid 'prune\{sparsity\}.* needs a list for each .*\(sparsity\); there are: clusters",
        ),
        ("[fit]\nepochs", "[fit]\nepoch", r"\[fit\] has no option 'epoch'; did you mean epochs"),
        ("[fit]", '[fit]\ndecay = "linear"', r"\[fit\] decay = 'linear': expected \"cosine\""),
        ("seeds = 2", 'significance = "mle"', 'expected "twonn" or "pca"'),
        ("seeds = 2", "seedz = 2", "the study has no option 'seedz'; did you mean seeds"),
        ('zoo = "quantnet"', "", "needs one of zoo"),
        ('zoo = "quantnet"', 'zoo = "quantnet"\nfile = "net.keras"', "needs one of zoo"),
        ('name = "digits"', "", "no data for net"),
        ("[models.net]", "[models.net", "is no TOML"),
        ('target = { class = "Int8" }', "", "'mine' has no target"),
        ('class = "PruneFilters"', 'class = "PruneFiltrs"', "PruneFiltrs"),
        ("[data]", "[data]\nclases = [1]", "did you mean classes"),
        ('[models.net]\nzoo = "quantnet"\noptions = { dropout = 0.2 }', "", "has no model"),
        ('names = ["float32", "int8"]', 'names = ["float32", "int8"]\nsparsity = 3', "TOML|list"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(write, old, new, says):
    assert old in GOOD
    with pytest.raises(RecipeError, match=says):
        read_spec(write(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        (
            "quantnet",
            "quantnett",
            RecipeError,
            "No network 'quantnett' in the zoo; there are: .*quantnet",
        ),
        ('"digits"', '"no.npz"', DataError, "no.npz"),
        (
            "[data]",
            'columns = ["colour"]\n[data]',
            RecipeError,
            "columns = .'colour'.*expected some of .*weights",
        ),
        (
            "options = {",
            'train = { distill = { teacher = "big" } }\noptions = {',
            RecipeError,
            "no zoo model 'big' stands before it",
        ),
    ],
)
def test_what_is_wrong_in_models_and_data_is_said_before_anything_runs(
    write, tmp_path, old, new, error, says
):
    with pytest.raises(error, match=says):
        study_file(write(GOOD.replace(old, new, 1)), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"No study file .*nothing.toml"):
        read_spec(tmp_path / "nothing.toml")


def test_data_beside_the_file_cut_to_size(tmp_path):
    x = np.random.default_rng(0).random((400, 4, 4, 1)).astype("float32")
    np.savez(
        tmp_path / "own.npz",
        x_train=x[:300],
        y_train=np.arange(300) % 3,
        x_test=x[300:],
        y_test=np.arange(100) % 3,
    )
    data = load({"name": "own.npz"}, tmp_path, 100, 50)
    assert [
        len(part) for part in (data.x_train, data.y_train, data.x_val, data.x_test, data.y_test)
    ] == [100, 100, 10, 50, 50]
    assert np.array_equal(data.x_test, x[300:350])


def test_a_builder_that_was_written_down_again_is_the_same(tmp_path):
    from tfcompress._study._fingerprint import fingerprint

    one, two = (
        Trained(
            "quantnet", {"dropout": 0.2}, load({"name": "digits"}, tmp_path, 50, 50), {"epochs": 2}
        )
        for _ in range(2)
    )
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(
        Trained("quantnet", {"dropout": 0.3}, one.data, {"epochs": 2})
    )


def test_a_teacher_is_trained_once_for_all_its_students():
    @dataclass(frozen=True, eq=False)
    class Teacher:
        width: float
        calls: list = field(compare=False)  # no part of what it is

        def __call__(self, seed):
            self.calls.append((self.width, seed))
            return object()

    made: list[tuple[float, int]] = []

    def taught(width, seed):
        return _taught_once(cast(Trained, Teacher(width, made)), seed)

    first = taught(0.31, 0)
    assert taught(0.31, 0) is first and made == [(0.31, 0)]
    assert taught(0.31, 1) is not first and taught(0.32, 0) is not first
    assert made == [(0.31, 0), (0.31, 1), (0.32, 0)]


def test_a_rate_that_falls(tmp_path):
    data = load({"name": "digits"}, tmp_path, 100, 50)
    rate = trainer(
        data, {"epochs": 3, "batch_size": 32, "decay": "cosine"}, {"learning_rate": 0.01}, None
    ).optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 6, 12)] == pytest.approx([0.01, 0.005, 0.0])
    assert float(
        trainer(data, {"epochs": 3}, {"learning_rate": 0.01}, None).optimizer.learning_rate
    ) == pytest.approx(0.01)


def test_results_hold_what_was_printed_beside_what_was_measured():
    def row(name, seed, correct, size):
        latency = [{"threads": n, "latency_ms_p50": 1.0 / n} for n in (1, 2)]
        share = correct.count("1") / len(correct)
        return {
            **{
                "recipe": name,
                "seed": seed,
                "accuracy": share,
                "correct": correct,
                "size_bytes": size,
                "gzip_bytes": size // 2,
            },
            **{"profile": {"latency": latency}, "made": {"seconds": 2.0}},
        }

    rows = [
        row("float32", 0, "1110", 4000),
        row("float32", 1, "1111", 4000),
        row("int8", 0, "1100", 1000),
        row("int8", 1, "1110", 1000),
    ]
    rows.append({"recipe": "xnor", "seed": 0, "error": "TrainingError: no"})
    report = Report(
        rows,
        "t",
        {
            "metric": "accuracy",
            "base": "float32",
            "created": "2026-11-21 12:00",
            "test_examples": 4,
        },
    )
    spec = {
        "title": "Report 9",
        "notes": "It differs.",
        "data": {"name": "digits", "train": 1200},
        "models": {
            "net": {
                "zoo": "quantnet",
                "printed": {"float32": {"accuracy": 90.0, "size_bytes": 4400, "latency_ms": [7.5]}},
            }
        },
    }
    spec["models"]["net"]["printed"]["int8"] = {"accuracy": 88.5, "size_bytes": 1100}
    text = results(spec, {"net": report}, "tfcompress study x.toml")
    sizes = "`quantnet`; 1,200 training images of digits, 4 test images"
    for words in (
        *(
            "# Report 9",
            "```bash\ntfcompress study x.toml\n```",
            "It differs.",
            sizes,
        ),
        "| float32 | 87.50 ± 17.68 |  | 4,000 | 2,000 | 90.00 |  | 4,400 |",
        "1,000, 4.00× | 500, 4.00× | 88.50 | −1.50 | 1,100, 4.00× |",
        *(
            "| int8 | 62.50 ± 17.68 | −25.00 [",
            "| xnor | failed |",
            "| float32 | 1.000 (7.5) | 0.500 |",
            "xnor, seed 0: TrainingError: no",
        ),
    ):
        assert words in text, words
    rows = [
        {**row, "weights": 100 * (1 + (row["recipe"] == "float32")), "latency_ms_p50": 0.5}
        for row in rows
        if "error" not in row
    ]
    text = results(
        {**spec, "columns": ["weights", "latency_ms_p50", "images_per_second"]},
        {"net": Report(rows, "t", report.about)},
        "x",
    )
    assert (
        "| weights | latency ms | images/s, one by one |" in text
        and "| 200 | 0.500 | 2,000 |" in text
    )
    assert "| 100, 50% | 0.500, 100% | 2,000, 100% |" in text
    spec["models"]["net"]["printed"]["int4"] = {"accuracy": 1.0}
    with pytest.raises(RecipeError, match="printed 'int4'"):
        results(spec, {"net": report}, "x")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("seeds = 2", 'seeds = "two"', "seeds"),
        ("train = 300", "train = -300", "data.train"),
        ("epochs = 2", "epochs = 1.5", "train.epochs"),
        ('["float32", "int8"]', '"int8"', "recipes.names"),
        ("sparsity = [0.2, 0.75]", "sparsity = [[], {}]", "Unknown word"),
        ("options = { dropout = 0.2 }", "options = 3", "models"),
    ],
)
def test_a_value_of_another_type_is_one_line_with_its_place(write, old, new, place):
    assert old in GOOD
    with pytest.raises(RecipeError, match=place) as caught:
        read_spec(write(GOOD.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_a_damaged_study_file_is_read_or_refused_in_one_line(write):
    refused = 0
    for damaged in mutations(GOOD, 400):
        try:
            read_spec(write(damaged), full="[full]" in damaged)
        except RecipeError as error:
            refused += 1
            assert "\n" not in str(error), damaged
    assert refused > 150
