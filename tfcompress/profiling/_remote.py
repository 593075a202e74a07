"""An interpreter in a child process: predictions come back, crashes do not."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfcompress import core
from tfcompress.core import DataError, InterpreterError
from tfcompress.profiling._isolate import command, environment, obituary
from tfcompress.profiling._wire import receive, send

CHUNK_BYTES = 1 << 24


class Remote:
    """Context manager: the `.tflite` at `path`, open in a child process. `inputs`, `outputs`: its TensorInfos as dicts.

    Raises InterpreterError when the file does not load or run, crashes, or gives no answer for `timeout` seconds.
    """

    def __init__(
        self, path: str, *, what: str, runtime: str, timeout: float, options: dict[str, Any]
    ):
        self.path, self.what, self.runtime, self.timeout, self.options = (
            path,
            what,
            runtime,
            timeout,
            options,
        )
        self.inputs: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.batch: int | None = None

    def __enter__(self) -> Remote:
        self._noise = tempfile.TemporaryFile(prefix="tfc-noise-")
        self._process = subprocess.Popen(
            command("_serve"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env=environment(),
        )
        try:
            said, _ = self._ask({"data": self.path, **self.options}, [], "loading it")
        except BaseException:
            self.__exit__()
            raise
        self.inputs, self.outputs, self.batch = said["inputs"], said["outputs"], said["batch"]
        return self

    def __exit__(self, *raised: Any) -> None:
        self._process.kill()
        self._process.communicate()
        self._noise.close()

    def predict(
        self, inputs: Sequence[Any] | Mapping[str, Any], batch_size: int
    ) -> list[np.ndarray]:
        """Real-valued outputs [n, ...] for inputs [n, ...], a list in the order of `inputs` or by name."""
        arrays = self._listed(inputs)
        count = len(arrays[0])
        batch = self.batch or batch_size
        row_bytes = sum(values.nbytes for values in arrays) // max(count, 1)
        rows = max(CHUNK_BYTES // max(row_bytes, 1) // batch, 1) * batch
        parts = [
            self._ask(
                {"batch_size": batch_size},
                [values[start : start + rows] for values in arrays],
                "running it",
            )[1]
            for start in range(0, count, rows)
        ]
        return [np.concatenate(column) for column in zip(*parts)]

    def _listed(self, inputs: Sequence[Any] | Mapping[str, Any]) -> list[np.ndarray]:
        names = [item["name"] for item in self.inputs]
        if isinstance(inputs, Mapping) and set(inputs) == set(names):
            inputs = [inputs[name] for name in names]
        if isinstance(inputs, Mapping) or len(inputs) != len(names):
            raise DataError(
                f"{self.what} has the inputs {names}; {list(inputs) if isinstance(inputs, Mapping) else len(inputs)} came."
            )
        arrays = [np.asarray(values) for values in inputs]
        lengths = {len(values) if values.ndim else 0 for values in arrays}
        if len(lengths) != 1 or not min(lengths):
            raise DataError(
                f"{self.what}: needs the same number of samples (≥ 1) for every input; {sorted(lengths)} came."
            )
        for item, values in zip(self.inputs, arrays):
            if values.dtype.kind not in "fiub":
                raise DataError(
                    f"{self.what}: input {item['name']!r} takes numbers; {values.dtype} came."
                )
        return arrays

    def _ask(
        self, head: dict[str, Any], arrays: list[np.ndarray], doing: str
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self.timeout, give_up)
        timer.start()
        try:
            send(self._process.stdin, head, arrays)  # type: ignore[arg-type]
            answer = receive(self._process.stdout)  # type: ignore[arg-type]
        except BrokenPipeError:
            answer = None
        finally:
            timer.cancel()
        if late.is_set():
            raise InterpreterError(
                f"{self.what}: {self.runtime} gave no answer for {self.timeout:g} s ({doing}); pass a larger timeout=."
            )
        if answer is None:
            status = self._process.wait()
            self._noise.seek(0)
            noise = self._noise.read().decode(errors="replace")
            raise InterpreterError(
                obituary(status, what=self.what, runtime=self.runtime, doing=doing, noise=noise)
            )
        if "error" in answer[0]:
            raise getattr(core, answer[0]["kind"])(answer[0]["error"].replace(self.path, self.what))
        return answer
