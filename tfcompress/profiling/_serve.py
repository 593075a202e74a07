"""The child that predicts: `python -m tfcompress.profiling._serve`.

Messages of `_wire` come on stdin, answers go to stdout.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress.core import TfcompressError
from tfcompress.profiling._wire import answers, receive, send


def main() -> None:
    """Open the file that the first message names, describe it, then answer every batch."""
    pipe = answers()
    opened: Interpreter | None = None
    while (message := receive(sys.stdin.buffer)) is not None:
        head, arrays = message
        try:
            if opened is None:
                opened = open_interpreter(**head)
                _describe(pipe, opened)
            else:
                send(pipe, {}, opened.predict(arrays, **head))
        except TfcompressError as error:
            send(pipe, {"error": str(error), "kind": type(error).__name__})


def _describe(pipe: BinaryIO, opened: Interpreter) -> None:
    """Tell the file's inputs, outputs and batch."""
    inputs = [info.to_dict() for info in opened.inputs]
    outputs = [info.to_dict() for info in opened.outputs]
    send(pipe, {"inputs": inputs, "outputs": outputs, "batch": opened.batch})


if __name__ == "__main__":
    main()
