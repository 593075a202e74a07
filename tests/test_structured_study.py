"""The study and the benchmark of structured pruning: rows resumed, tables written; no training
here."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(**changed):
    row = {
        "seed": 0,
        "budget": 0.7,
        "method": "l1",
        "trainer": "plain",
        "epochs": 1,
        "images": 100,
        "rate": 0.001,
        "shift": 0,
        "steps": 1,
    }
    return {
        **row,
        "accuracy_before": 0.2,
        "accuracy": 0.8,
        "params": 50,
        "macs": 600,
        "macs_share": 0.6,
        "seconds": 1,
        **changed,
    }


def test_study_table_is_mean_and_deviation_over_seeds():
    study = load(ROOT / "examples" / "studies" / "resnet8_structured.py")
    text = study.table([line(), line(seed=1, accuracy=0.9), line(method="slim", budget=0.5)])
    rows = [row for row in text.splitlines() if row.startswith("| 60")]
    assert (
        rows[0]
        == "| 60.0 % | l1 | plain | 100 × 1 | 0.001 | 2 | 50 | 600 | 20.00 ± 0.00 | 85.00 ± 7.07 |"
    )
    assert rows[1].startswith("| 60.0 % | slim") and rows[1].endswith(
        "| 1 | 50 | 600 | 20.00 | 80.00 |"
    )


def test_every_cell_of_the_study_is_asked_for_once():
    study = load(ROOT / "examples" / "studies" / "resnet8_structured.py")
    cells = list(study.cells(3))
    assert len(cells) == len(set(cells)) == 3 * 2 * (3 + 2) * 2
    assert [cell[0] for cell in cells] == sorted(cell[0] for cell in cells)


@pytest.mark.parametrize("name", ["resnet8_structured", "structured"])
def test_results_in_the_repository_are_those_of_the_table(name):
    """What docs/results says is what all the lines beside it say."""
    script = (
        ROOT / ("examples/studies" if name == "resnet8_structured" else "benchmarks") / f"{name}.py"
    )
    results, page = (
        ROOT / "benchmarks" / "results" / f"{name}.jsonl",
        ROOT / "docs" / "results" / f"{name}.md",
    )
    if not page.exists():
        pytest.skip("not measured yet")
    lines, table = (
        [json.loads(text) for text in results.read_text().splitlines()],
        load(script).table,
    )
    assert page.read_text() == table(lines)
    assert page.read_text() != table(lines[:-1])
