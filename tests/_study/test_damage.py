"""A study that was interrupted, killed or edited: what is whole is kept, the rest made anew."""

import itertools
import json
import os
import shutil
import signal
import tempfile
import time

import pytest
from mutations import json_mutations, mutations
from stand_in import Model, run

from tfcompress._study._scratch import NOTE, scratch, temporary_files_in
from tfcompress.core import ArtifactError, DataError

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* is at chance level:tfcompress.core.ResultWarning"
)  # what stands in for a model knows half of the answers


def _build(seed):
    return Model(2.0 * seed)


@pytest.mark.parametrize("damage", ["cut", "other bytes", "no note", "half a note", "gone"])
def test_a_damaged_shared_model_is_made_anew(engine, tmp_path, damage):
    run(tmp_path, model=_build, seeds=[1])
    (base,) = tmp_path.glob("shared/base-seed1*.keras")
    note = base.with_suffix(".json")
    if damage == "gone":
        base.unlink()
    elif damage == "no note":
        note.unlink()
    elif damage == "half a note":
        note.write_text(note.read_text()[:20])
    else:
        base.write_text("2" if damage == "cut" else "7.0")
    report = run(tmp_path, model=_build, seeds=[1], recipes=("dynamic",))
    assert "error" not in report.rows[0]
    assert b"dynamic2.0" in next(tmp_path.glob("dynamic-seed1*.tflite")).read_bytes()


@pytest.fixture
def interruptible():
    """Python's own handler of Ctrl-C, which a shell's background job does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("n_jobs", [1])
def test_an_interrupt_that_the_running_code_swallows_stops_the_study(
    engine, tmp_path, monkeypatch, n_jobs, interruptible
):
    import tfcompress._compress

    compress, handler = tfcompress._compress.compress, signal.getsignal(signal.SIGINT)

    def swallowing(model, wanted, **rest):
        if len(engine) == 1:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)  # the signal ends it
            except KeyboardInterrupt as error:  # as a converter's callback does
                engine.append(("interrupted", 0))
                raise RuntimeError("calibration failed") from error
        return compress(model, wanted, **rest)

    monkeypatch.setattr(tfcompress._compress, "compress", swallowing)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, n_jobs=n_jobs)
    assert engine == [("float32", 0), ("interrupted", 0)]
    assert signal.getsignal(signal.SIGINT) is handler
    assert "calibration failed" not in (tmp_path / "report.html").read_text()
    run(tmp_path)
    assert engine[2:] == [("int8", 0), ("float32", 1), ("int8", 1)]


def test_temporary_files_go_where_the_next_run_clears_them(engine, tmp_path, monkeypatch):
    import tfcompress._compress

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    compress, places = tfcompress._compress.compress, []

    def messy(model, wanted, **rest):
        places.append(tempfile.mkstemp()[1])
        assert os.environ["TMPDIR"] == os.path.dirname(places[-1])
        return compress(model, wanted, **rest)

    monkeypatch.setattr(tfcompress._compress, "compress", messy)
    run(tmp_path / "out")
    assert len(places) == 4 and {os.path.dirname(os.path.dirname(one)) for one in places} == {
        str(tmp_path / "temporary")
    }
    assert not list((tmp_path / "temporary").iterdir())
    assert not (tmp_path / "out" / NOTE).exists()
    assert tempfile.gettempdir() == str(tmp_path / "temporary")


def test_what_a_killed_study_left_in_the_temporary_folder_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out, mine = tmp_path / "out", tmp_path / "mine"
    out.mkdir()
    context = scratch(out)
    left = context.__enter__()
    with temporary_files_in(left):
        tempfile.mkdtemp()
    kept = tmp_path / "kept"
    shutil.copytree(left, kept)
    note = (out / NOTE).read_text()
    context.__exit__(None, None, None)
    shutil.move(kept, left)  # as after a kill
    (out / NOTE).write_text(note)
    with scratch(out) as folder:
        assert folder != left and not left.exists()
    mine.mkdir()
    for edited in (str(mine), "tfc-study-nothing", "\x00", "é" * 5000):
        (out / NOTE).write_text(edited)
        with scratch(out):
            assert mine.exists()


def test_an_edited_folder_is_made_anew_or_refused_in_one_line(engine, tmp_path):
    whole = run(tmp_path, seeds=1, recipes=("int8",)).to_csv()
    files = [next(tmp_path.glob("*.row.json")), tmp_path / "profiles.json", tmp_path / "study.json"]
    for file in files:
        text = file.read_text()
        for damaged in itertools.chain(mutations(text, 12), json_mutations(text, 12)):
            file.write_text(damaged)
            try:
                report = run(tmp_path, seeds=1, recipes=("int8",))
            except (ArtifactError, DataError) as error:
                assert "\n" not in str(error) and file.name == "study.json", damaged
                file.write_text(text)
            else:
                assert report.to_csv().splitlines()[0] == whole.splitlines()[0], damaged


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(
            ("accuracy", "x"),
            ("accuracy", None),
            ("size_bytes", "9"),
            ("size_bytes", -9),
            ("accuracy", float("nan")),
            ("correct", "12"),
        ),
        *(("skipped", {}), ("checks", [{"stage": "a"}]), ("seed", 7), ("recipe", "float32")),
        *(("layers", [1]), ("made", {})),
    ],
)
def test_a_row_with_a_wrong_value_is_measured_again(engine, tmp_path, column, value):
    whole = run(tmp_path, seeds=1, recipes=("int8",))
    (file,) = tmp_path.glob("*.row.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), column: value}))
    report = run(tmp_path, seeds=1, recipes=("int8",))
    assert len(engine) == 2 and report.rows[0][column] == whole.rows[0][column]
