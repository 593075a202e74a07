"""Progress: what runs, how far it is, and how long it will take, wherever it is shown."""

import importlib
import io
import sys
import types
from collections import Counter

import numpy as np
import pytest

from tfcompress._backend import progress
from tfcompress._backend.bridge._progress import epoch_reporter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A clock that moves only where a test moves it."""
    now = types.SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(progress, "perf_counter", lambda: now.seconds)
    return now


def test_a_plain_line_now_and_then_where_stderr_is_no_terminal(
    clock: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.reporter(None, total=4, title="prune80-int8") as step:
        step("prune80: train")
        assert stream.getvalue() == ""  # quick work says nothing
        clock.seconds = 11
        progress.detail("epoch 2/3, loss 0.31, about 5 s left")
        clock.seconds = 12
        progress.detail("epoch 3/3, loss 0.30")
        clock.seconds = 30
        step("int8: convert")
    assert stream.getvalue().splitlines() == [
        "prune80-int8, 11 s: prune80: train, epoch 2/3, loss 0.31, about 5 s left [0/4]",
        "prune80-int8, 30 s: int8: convert [1/4]",
    ]


def test_true_tells_every_step(
    clock: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.reporter(True, total=2, title="int8") as step:
        step("int8: convert")
        step("int8: parity")
    assert len(stream.getvalue().splitlines()) == 2


def test_a_users_function_hears_steps_and_now_and_then_details(
    clock: types.SimpleNamespace,
) -> None:
    heard = []
    with progress.reporter(lambda *words: heard.append(words), total=2, title="x") as step:
        step("train")
        progress.detail("epoch 1/9")
        clock.seconds = 10
        progress.detail("epoch 5/9")
    assert heard == [("train", 0, 2), ("train, epoch 5/9", 0, 2), ("done", 2, 2)]


def test_false_is_silent_and_leaves_the_outer_reporter_open() -> None:
    heard = []
    with progress.reporter(lambda *words: heard.append(words), total=1, title="study") as step:
        step("cell")
        with progress.reporter(False, total=1, title="inner"):
            assert progress.is_open()
    assert not progress.is_open()


@pytest.mark.parametrize("width", [60, 40, 120])
def test_nothing_is_cut_on_a_narrow_terminal(width: int) -> None:
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    title = "prune80-cluster16-qat-int8"
    text = "cluster16: train, epoch 12/40, loss 0.0312, about 35 min left"
    bar = progress._rich_bar(title, console)
    task = bar.add_task(text, total=11, completed=4)
    console.print(bar.make_tasks_table(bar.tasks))
    assert task == 0
    lines = stream.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    letters = "".join("".join(lines).split())
    assert Counter("".join((title + text).split())) <= Counter(letters)
    assert "…" not in letters and "4/11" in letters


def test_a_line_in_a_notebook_without_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    handle = types.SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))
    kernel = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: kernel)
    display = types.SimpleNamespace(display=lambda data, raw, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.reporter(None, total=2, title="int8") as step:
        step("convert")
        step("parity")
    assert shown[1].endswith("1/2 parity") and shown[1].count("━") == 10
    assert shown[-1] == ""


def test_training_tells_epoch_loss_and_time_left(
    keras_flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    keras = importlib.import_module(keras_flavour)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    heard = []
    x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
    assert epoch_reporter(keras_flavour) is None
    with progress.reporter(lambda *words: heard.append(words[0]), total=1, title="x") as step:
        step("train")
        model.fit(
            x, y, epochs=2, batch_size=4, verbose=0, callbacks=[epoch_reporter(keras_flavour)]
        )
    assert any("train, epoch 1/2, loss " in text and " left" in text for text in heard)
    assert heard[-2].startswith("train, epoch 2/2, loss ") and "left" not in heard[-2]
