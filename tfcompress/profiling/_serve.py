"""The child that predicts: `python -m tfcompress.profiling._serve`, messages of `_wire` on stdin, answers on stdout."""

from __future__ import annotations

import os
import sys

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.core import TfcompressError
from tfcompress.profiling._wire import receive, send


def main() -> None:
    """Open the file that the first message names, describe it, then answer every batch with its outputs."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C++ prints must not get between the answers
    questions = sys.stdin.buffer
    opened = None
    while (message := receive(questions)) is not None:
        head, arrays = message
        try:
            if opened is None:
                opened = open_interpreter(**head)
                sides = {"inputs": opened.inputs, "outputs": opened.outputs}
                said = {side: [info.to_dict() for info in infos] for side, infos in sides.items()}
                send(answers, said | {"batch": opened.batch})
            else:
                send(answers, {}, opened.predict(arrays, **head))
        except TfcompressError as error:
            send(answers, {"error": str(error), "kind": type(error).__name__})


if __name__ == "__main__":
    main()
