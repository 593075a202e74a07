"""An interpreter in a child process: predictions come back, crashes do not."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, cast

import numpy as np

from tfcompress import core
from tfcompress._backend.isolate import command, environment, obituary
from tfcompress.core import DataError, InterpreterError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.profiling._wire import receive, send

CHUNK_BYTES = 1 << 24

Inputs = Sequence[ArrayLike] | Mapping[str, ArrayLike]
"""One array an input, in the file's order or by name."""


class Remote:
    """Context manager: a `.tflite` open in a child process.

    `inputs` and `outputs` are its TensorInfos as dicts, `batch` how many samples it takes at once.

    Args:
        path: of the file.
        what: names it in messages.
        runtime: names the interpreter in messages.
        timeout: seconds that any answer may take.
        options: what `open_interpreter` takes.

    Raises:
        InterpreterError: the file does not load or run, crashes, or gives no answer in time.
    """

    def __init__(
        self, path: str, *, what: str, runtime: str, timeout: float, options: Mapping[str, Any]
    ) -> None:
        self.path, self.what, self.runtime = path, what, runtime
        self.timeout, self.options = timeout, options
        self.inputs: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.batch: int | None = None

    def __enter__(self) -> Remote:
        self._noise = tempfile.TemporaryFile(prefix="tfc-noise-")
        self._process = subprocess.Popen(
            command("tfcompress.profiling._serve"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env=environment(),
        )
        try:
            opened, _ = self._ask({"data": self.path, **self.options}, [], "loading it")
        except BaseException:
            self.__exit__()
            raise
        self.inputs, self.outputs, self.batch = opened["inputs"], opened["outputs"], opened["batch"]
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._noise.close()

    def predict(self, inputs: Inputs, batch_size: int) -> list[Array]:
        """Real-valued outputs [n, ...] for inputs [n, ...], sent in chunks of some megabytes."""
        arrays = self._listed(inputs)
        count = len(arrays[0])
        batch = self.batch or batch_size
        row_bytes = sum(values.nbytes for values in arrays) // max(count, 1)
        rows = max(CHUNK_BYTES // max(row_bytes, 1) // batch, 1) * batch
        parts: list[list[Array]] = []
        for start in range(0, count, rows):
            chunk = [values[start : start + rows] for values in arrays]
            _, outputs = self._ask({"batch_size": batch_size}, chunk, "running it")
            parts.append(outputs)
        return [np.concatenate(column) for column in zip(*parts)]

    def _listed(self, inputs: Inputs) -> list[Array]:
        """The inputs as arrays of numbers in the file's order, as many samples of each."""
        names = [item["name"] for item in self.inputs]
        if isinstance(inputs, Mapping):
            if set(inputs) != set(names):
                raise DataError(f"{self.what} has the inputs {names}; {list(inputs)} came.")
            inputs = [inputs[name] for name in names]
        if len(inputs) != len(names):
            raise DataError(f"{self.what} has the inputs {names}; {len(inputs)} came.")
        arrays = [np.asarray(values) for values in inputs]
        lengths = {len(values) if values.ndim else 0 for values in arrays}
        if len(lengths) != 1 or not min(lengths):
            raise DataError(
                f"{self.what}: needs the same number of samples (≥ 1) for every input; "
                f"{sorted(lengths)} came."
            )
        for name, values in zip(names, arrays):
            if values.dtype.kind not in "fiub":
                raise DataError(f"{self.what}: input {name!r} takes numbers; {values.dtype} came.")
        return arrays

    def _ask(
        self, head: Mapping[str, Any], arrays: Sequence[Array], doing: str
    ) -> tuple[dict[str, Any], list[Array]]:
        """One message and its answer; `doing` says in messages what the child does meanwhile."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self.timeout, give_up)
        timer.start()
        try:
            send(cast(BinaryIO, self._process.stdin), head, arrays)
            answer = receive(cast(BinaryIO, self._process.stdout))
        except BrokenPipeError:
            answer = None
        finally:
            timer.cancel()
        if late.is_set():
            raise InterpreterError(
                f"{self.what}: {self.runtime} gave no answer for {self.timeout:g} s ({doing}); "
                "pass a larger timeout=."
            )
        if answer is None:
            raise InterpreterError(self._obituary(doing))
        error = answer[0].get("error")
        if error is not None:
            raise getattr(core, answer[0]["kind"])(error.replace(self.path, self.what))
        return answer

    def _obituary(self, doing: str) -> str:
        """Why the child is gone."""
        status = self._process.wait()
        self._noise.seek(0)
        noise = self._noise.read().decode(errors="replace")
        return obituary(status, what=self.what, runtime=self.runtime, doing=doing, noise=noise)
