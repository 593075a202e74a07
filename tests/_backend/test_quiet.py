"""Silence: nothing from Python, C or a log handler gets out, and all of it is kept."""

import ctypes
import logging
import os
import subprocess
import sys
import threading

import pytest

from tfcompress._backend.quiet import quiet

_C = ctypes.CDLL(None)


def test_python_c_and_descriptors_are_silent_and_kept(capfd):
    print("before")
    with quiet() as noise:
        print("python")
        _C.printf(b"from C\n")
        os.write(2, b"raw descriptor\n")
        print("to stderr", file=sys.stderr)
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert err == ""
    assert all(word in noise.text for word in ("python", "from C", "raw descriptor", "to stderr"))


def test_buffered_c_output_does_not_surface_later():
    # A C library buffers a stdout that is a file or pipe; what it printed inside must not come out
    # when the process ends.
    code = (
        "import ctypes; from tfcompress._backend.quiet import quiet\n"
        "with quiet():\n    ctypes.CDLL(None).printf(b'leak')\nprint('end')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "end\n"


def test_inner_block_holds_its_own_part(capfd):
    with quiet() as outer:
        print("one")
        with quiet() as inner:
            print("two")
        print("three")
    assert inner.text == "two\n"
    assert outer.text == "one\ntwo\nthree\n"
    assert capfd.readouterr() == ("", "")


def test_restored_after_an_error(capfd):
    streams = sys.stdout, sys.stderr
    with pytest.raises(ValueError, match="boom"), quiet() as noise:
        print("said")
        raise ValueError("boom")
    assert (sys.stdout, sys.stderr) == streams
    assert noise.text == "said\n"
    os.write(1, b"visible")
    assert capfd.readouterr().out == "visible"


def test_log_handler_with_its_own_stream_is_silenced_and_put_back(capsys):
    logger = logging.getLogger("tensorflow")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    try:
        stream = handler.stream
        with quiet() as noise:
            logger.error("converter says")
        assert "converter says" in noise.text
        assert handler.stream is stream
    finally:
        logger.removeHandler(handler)
    assert "converter says" not in capsys.readouterr().err


def test_a_stream_kept_from_inside_works_afterwards(capsys):
    with quiet() as noise:
        handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("made inside")
    logger.propagate = False
    logger.addHandler(handler)
    logger.error("later")
    assert capsys.readouterr().err == "later\n"
    assert noise.text == ""


def test_overlapping_threads_restore_only_when_the_last_leaves(capfd):
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with quiet():
            entered.set()
            leave.wait(10)

    with quiet():
        thread = threading.Thread(target=hold)
        thread.start()
        assert entered.wait(10)
    os.write(1, b"still silent")
    leave.set()
    thread.join()
    os.write(1, b"back")
    assert capfd.readouterr().out == "back"


def test_closed_descriptor_stays_closed():
    code = (
        "import os; from tfcompress._backend.quiet import quiet\n"
        "os.close(2)\nwith quiet() as noise: os.write(2, b'x')\n"
        "assert noise.text == 'x'\ntry: os.fstat(2)\nexcept OSError: print('closed')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "closed\n"
