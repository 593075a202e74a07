"""What is served: the files that a study's report names, as they were measured."""

import pytest

from tfcompress import serve
from tfcompress.core import ArtifactError, DataError


def test_files_of_a_study(folder):
    catalogue = serve.of_folder(folder)
    names = {file.name: file for file in catalogue.files.values()}
    assert list(names) == ["float32", "int8", "uint8io", "dynamic"]
    assert names["int8"].size_bytes == (folder / "int8-seed0.tflite").stat().st_size
    assert catalogue.folder == folder / "browser"
    assert catalogue.of("../../etc/passwd") is None


def test_a_file_that_changed_since_it_was_measured_is_not_served(folder):
    file = folder / "int8-seed0.tflite"
    file.write_bytes(file.read_bytes() + b"\0")
    names = [file.name for file in serve.of_folder(folder).files.values()]
    assert names == ["float32", "uint8io", "dynamic"]


def test_a_row_cannot_name_a_file_outside_its_folder(folder, tmp_path):
    (tmp_path / "secret.tflite").write_bytes((folder / "int8-seed0.tflite").read_bytes())
    text = (folder / "report.json").read_text()
    (folder / "int8-seed0.tflite").unlink()
    (folder / "report.json").write_text(text.replace("int8-seed0.tflite", "../secret.tflite"))
    assert "int8" not in [file.name for file in serve.of_folder(folder).files.values()]


def test_a_folder_without_a_report_says_how_to_get_one(tmp_path):
    with pytest.raises(ArtifactError, match=r"no report\.json.*its command, given again"):
        serve.of_folder(tmp_path)


def test_a_damaged_report_is_named(folder):
    (folder / "report.json").write_text('{"title": "x", "about": {}, "rows": [{"seed": 0}]}')
    with pytest.raises(ArtifactError, match=r"report\.json is not a report.*recipe"):
        serve.of_folder(folder)


def test_files_are_measured_first(folder, tmp_path, digits):
    paths = [folder / "float32-seed0.tflite", folder / "int8-seed0.tflite"]
    evaluate = (digits[2], digits[3])
    catalogue = serve.of_files(paths, tmp_path / "kept", evaluate=evaluate)
    report = catalogue.report()
    assert {"accuracy", "latency_ms_p50"} <= set(report.columns())
    assert [row["made"]["sha256"] for row in report.rows] == list(catalogue.by_hash())
    with pytest.raises(DataError, match="Nothing to serve"):
        serve.of_files([], tmp_path)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3 no")
    with pytest.raises(ArtifactError, match="None of the files runs here"):
        serve.of_files([broken], tmp_path)
