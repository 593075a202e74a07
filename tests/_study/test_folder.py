"""The folder of a study: one process at a time, one study for ever."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tfcompress._study._folder import HOLDER, LOCK, NAME, check_owner, locked, parts
from tfcompress.core import ArtifactError, DataError
from tfcompress.training import Fit

HOLD = """
import sys, time
from pathlib import Path
from tfcompress._study._folder import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
X, Y = np.zeros((6, 2), "float32"), np.zeros(6, int)


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_told_who_is_there_and_takes_over_from_a_dead_one(holder, tmp_path):
    with (
        pytest.raises(ArtifactError, match=f"in use by process {holder.pid} on .* since"),
        locked(tmp_path),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / HOLDER).read_text().startswith(f"process {holder.pid} ")
    with locked(tmp_path):
        assert (tmp_path / HOLDER).read_text().startswith(f"process {os.getpid()} ")
    with locked(tmp_path):  # and again after it was given back
        pass


def test_what_a_killed_process_left_half_written_goes(tmp_path):
    (tmp_path / "shared").mkdir()
    left = [
        tmp_path / ".tfc-abc.json",
        tmp_path / "shared" / ".tfc-abc.keras",
        tmp_path / "shared" / ".12-.tfc-abc.keras",
    ]
    for file in (*left, tmp_path / "int8-seed0.tflite"):
        file.write_text("x")
    with locked(tmp_path):
        assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == [
            HOLDER,
            LOCK,
            "int8-seed0.tflite",
        ]


def test_one_process_cannot_hold_a_folder_twice(tmp_path):
    with locked(tmp_path), pytest.raises(ArtifactError, match="in use"), locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ArtifactError, match="file/study cannot be written to"),
        locked(tmp_path / "file" / "study"),
    ):
        pass


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"fit": Fit(X + 1, Y)}, DataError, "The training data changed between runs"),
        ({"fit": Fit(X, Y, validation_data=(X, Y))}, DataError, "The training data changed"),
        (
            {"samples": X + 1, "evaluate": (X, Y + 1)},
            DataError,
            "The samples and the test data changed",
        ),
        ({"fit": Fit(X, Y, epochs=2)}, ArtifactError, "'first'.: its trainer differs"),
        (
            {"fit": Fit(X + 1, Y, epochs=2), "model_key": "b"},
            ArtifactError,
            "its model and trainer and training data differ from",
        ),
    ],
)
def test_what_differs_is_named(tmp_path, change, error, says):
    given = {"model_key": "a", "fit": Fit(X, Y), "samples": X, "evaluate": (X, Y)}
    check_owner(tmp_path, parts(**{**given, **change}), "no cell of it was finished")
    check_owner(tmp_path, parts(**given), "first")
    (tmp_path / "int8-seed0.row.json").write_text("{}")
    check_owner(tmp_path, parts(**given), "second")
    with pytest.raises(error, match=says):
        check_owner(tmp_path, parts(**{**given, **change}), "second")
    assert json.loads((tmp_path / NAME).read_text())["title"] == "first"


def test_a_damaged_note_is_named(tmp_path):
    (tmp_path / NAME).write_text("{")
    with pytest.raises(ArtifactError, match="is not a study's"):
        check_owner(tmp_path, {"model": "a"}, "x")
