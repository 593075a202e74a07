"""The child that predicts: `python -m tfcompress.profiling._serve`.

Messages of `_wire` come on stdin, answers go to stdout.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from tfcompress._backend.interpreter._interpreter import Interpreter, open_interpreter
from tfcompress.core import TfcompressError
from tfcompress.profiling._wire import receive, send


def main() -> None:
    """Open the file that the first message names, describe it, then answer every batch."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C++ prints must not get between the answers
    opened: Interpreter | None = None
    while (message := receive(sys.stdin.buffer)) is not None:
        head, arrays = message
        try:
            if opened is None:
                opened = open_interpreter(**head)
                _describe(answers, opened)
            else:
                send(answers, {}, opened.predict(arrays, **head))
        except TfcompressError as error:
            send(answers, {"error": str(error), "kind": type(error).__name__})


def _describe(answers: BinaryIO, opened: Interpreter) -> None:
    """Tell the file's inputs, outputs and batch."""
    inputs = [info.to_dict() for info in opened.inputs]
    outputs = [info.to_dict() for info in opened.outputs]
    send(answers, {"inputs": inputs, "outputs": outputs, "batch": opened.batch})


if __name__ == "__main__":
    main()
