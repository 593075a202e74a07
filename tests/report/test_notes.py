"""Why an int8 file is slower: the report names the processor's instructions."""

from typing import Any

import pytest

from tfcompress.report import Report


def report(int8_ms: float, machine: dict[str, Any], name: str = "prune50-int8") -> Report:
    rows = [
        {"recipe": "float32", "seed": 0, "size_bytes": 4000, "latency_ms_p50": 1.0},
        {"recipe": name, "seed": 0, "size_bytes": 1000, "latency_ms_p50": int8_ms},
    ]
    return Report(rows, about={"machine": machine})


def test_a_slower_int8_is_explained_by_the_processor_without_dot_products() -> None:
    machine = {"cpu": "Xeon E5", "integer_instructions": ["sse4_1", "avx2"]}
    (note,) = report(1.43, machine).notes()
    assert note.startswith("prune50-int8 (1.43×) is slower than float32 on this processor.")
    assert "Xeon E5 has the integer instructions sse4_1, avx2: no VNNI" in note


def test_the_explanation_stands_below_every_table() -> None:
    slower = report(1.43, {"cpu": "Xeon", "integer_instructions": ["avx2"]})
    assert slower.notes()[0] in slower.to_markdown() and "1.43×" in slower._repr_html_()


def test_with_dot_products_the_note_points_at_the_operations() -> None:
    machine = {"cpu": "Xeon", "integer_instructions": ["avx2", "avx512_vnni"]}
    (note,) = report(1.43, machine).notes()
    assert "Xeon has avx512_vnni, which int8 kernels use" in note


@pytest.mark.parametrize("name", ["int8", "qat-uint8io", "net_int8", "models/a-int8"])
def test_the_name_says_which_files_compute_with_integers(name: str) -> None:
    assert report(2.0, {}, name).notes()


@pytest.mark.parametrize(("name", "ms"), [("int8", 0.5), ("int8", 1.02), ("dynamic", 2.0)])
def test_nothing_is_said_of_a_faster_or_an_equal_file_or_another_target(
    name: str, ms: float
) -> None:
    assert report(ms, {}, name).notes() == []


def test_the_environment_of_a_profile_stands_in_for_the_reports() -> None:
    plain = report(2.0, {})
    profile = {"environment": {"cpu": "A53", "integer_instructions": ["asimd"]}}
    rows = [{**row, "profile": profile} for row in plain.rows]
    (note,) = Report(rows).notes()
    assert "A53 has the integer instructions asimd" in note
