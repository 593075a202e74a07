"""What is said of a child process that ends badly."""

import signal
import sys
from typing import Any

import pytest

from tfcompress._backend import isolate
from tfcompress._backend.isolate import environment, in_child, obituary
from tfcompress.core import InterpreterError


def child(monkeypatch: pytest.MonkeyPatch, code: str) -> Any:
    monkeypatch.setattr(isolate, "command", lambda module, out: [sys.executable, "-c", code, out])


def ask() -> Any:
    return in_child(
        "a_module", "look", {"path": "/tmp/x"}, what="net.tflite", runtime="litert 2.3", timeout=20
    )


def test_the_result_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    child(
        monkeypatch,
        'import sys; open(sys.argv[1], \'w\').write(\'{"doing": "a"}\\n{"result": [1, 2]}\\n\')',
    )
    assert ask() == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGKILL])
def test_every_signal_has_its_name(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    code = (
        "import sys, os; open(sys.argv[1], 'w').write('{\"doing\": \"loading\"}\\n'); "
        f"os.kill(os.getpid(), {int(number)})"
    )
    child(monkeypatch, code)
    with pytest.raises(
        InterpreterError,
        match=rf"^net.tflite crashes litert 2.3: {number.name} "
        rf"\(signal {int(number)}\) while loading",
    ):
        ask()


def test_what_it_printed_last_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    child(
        monkeypatch,
        "import sys, os; print('INFO: hello'); "
        "os.write(2, b'malloc(): invalid next size\\n'); os.abort()",
    )
    with pytest.raises(
        InterpreterError, match=r"while starting. It said: malloc\(\): invalid next size"
    ):
        ask()


def test_half_a_line_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "import sys; open(sys.argv[1], 'w').write('{\"result\": [1, ')")
    with pytest.raises(InterpreterError, match="ended with status 0"):
        ask()


def test_an_error_gets_the_files_name(monkeypatch: pytest.MonkeyPatch) -> None:
    child(
        monkeypatch, "import sys; open(sys.argv[1], 'w').write('{\"error\": \"/tmp/x is bad\"}\\n')"
    )
    with pytest.raises(InterpreterError, match=r"^net.tflite is bad$"):
        ask()


def test_the_child_finds_this_package_and_our_environment_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    import os

    before = dict(os.environ)
    made = environment()
    assert made["PYTHONPATH"].endswith("/elsewhere") and made["PYTHONPATH"] != "/elsewhere"
    assert dict(os.environ) == before


def test_an_exit_status_is_told_apart_from_a_signal() -> None:
    assert "ended with status 3" in obituary(3, what="a", runtime="b", doing="c", noise="")
