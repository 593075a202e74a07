"""What the pages and addresses of the application show and do, without a word of HTTP."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._parity import compare
from tfcompress._backend.litert_js import LiteRtJs, refusal
from tfcompress.core import DataError, InterpreterError, ParityError
from tfcompress.core._schema import FormatError, checked
from tfcompress.core._types import Array
from tfcompress.profiling._metrics import NATIVE
from tfcompress.report import Report
from tfcompress.serve._catalogue import Catalogue, Served
from tfcompress.serve._host import Answer, Pictures, Runner
from tfcompress.serve._load import Loads, with_loads
from tfcompress.serve._samples import Samples, noise
from tfcompress.serve._store import Measurement, Store, Timing, check_timing, with_measurements


class Site:
    """The application's state: files, samples, the host's interpreters, what visitors measured.

    Args:
        catalogue: the files and their report.
        samples: the inputs that visitors run; None: noise of the first file's shape.
        litert_js: the browsers' runtime, if it is here.
        high: what white is where there are no samples.
        join: the address that others can open; "" where only this machine can.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        samples: Samples | None = None,
        litert_js: LiteRtJs | None = None,
        *,
        high: float = 1.0,
        join: str = "",
    ) -> None:
        self.catalogue, self.litert_js, self.join = catalogue, litert_js, join
        self.store, self.loads = Store(catalogue.folder), Loads(catalogue.folder)
        self.runners = {key: Runner(file) for key, file in catalogue.files.items()}
        self.pictures = Pictures()
        self._ends: dict[str, dict[str, Any]] = {}
        self._expected: dict[str, list[Array]] = {}
        self._lock = threading.RLock()
        self.samples = samples or self._noise(high)

    def close(self) -> None:
        """End all child processes."""
        for runner in self.runners.values():
            runner.close()
        self.pictures.close()

    def report(self) -> Report:
        """The report as it is now, with what visitors measured and what files did under load."""
        report = with_measurements(self.catalogue.report(), self.store.all())
        return with_loads(report, self.loads)

    def described(self) -> list[dict[str, Any]]:
        """Every file for the pages: key, name, size, ends, and why it cannot be run, if so."""
        return [self._described(file) for file in self.catalogue.files.values()]

    def predict(self, file: Served, x: Array) -> Answer:
        """The host's outputs of `file` for x [n, ...]."""
        refused = self._described(file)["refused"]
        if refused:
            raise DataError(f"{file.name}: {refused}")
        return self.runners[file.key].predict([x])

    def expected(self, file: Served) -> list[Array]:
        """The host's outputs of `file` on the samples, computed once."""
        with self._lock:
            if file.key not in self._expected:
                self._expected[file.key] = self.predict(file, self.samples.x).outputs
            return self._expected[file.key]

    def add(self, file: Served, body: dict[str, Any]) -> Measurement:
        """Keep what a visitor measured of `file`.

        Args:
            file: what was measured.
            body: {"timing": fields of Timing, "outputs": one array [n, ...] an output of the file
                on the samples, as nested lists}.

        Raises:
            FormatError: a field is missing or out of range, or the outputs have another shape.
            InterpreterError: the host cannot run the file itself.
        """
        timing = check_timing(body.get("timing"))
        expected = self.expected(file)
        outputs = _outputs(body.get("outputs"), expected)
        measurement = self._compared(file, timing, expected, outputs)
        self.store.add(measurement)
        return measurement

    def _compared(
        self, file: Served, timing: Timing, expected: list[Array], outputs: list[Array]
    ) -> Measurement:
        try:
            parity = compare(expected, outputs, what=file.name)
        except ParityError as error:
            raise FormatError(str(error)) from error
        agreement = None
        if parity.decisions:
            agreement = parity.decisions.same / parity.decisions.count
        return Measurement(
            sha256=file.sha256,
            timing=timing,
            relative_error=parity.error,
            agreement=agreement,
            score=self._score(outputs),
            samples=len(self.samples.x),
            posted=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _score(self, outputs: list[Array]) -> float | None:
        """The report's metric on the samples; None without labels, or for what Keras computes."""
        metric = NATIVE.get(self.catalogue.report().metric)
        if metric is None or self.samples.y is None or len(outputs) != 1:
            return None
        try:
            return float(metric(self.samples.y, outputs[0]))
        except DataError:
            return None

    def _described(self, file: Served) -> dict[str, Any]:
        with self._lock:
            if file.key not in self._ends:
                self._ends[file.key] = self._opened(file)
        facts = {"key": file.key, "name": file.name, "size_bytes": file.size_bytes}
        return {**facts, **self._ends[file.key]}

    def _opened(self, file: Served) -> dict[str, Any]:
        try:
            inputs, outputs = self.runners[file.key].ends()
        except InterpreterError as error:
            return {"inputs": [], "outputs": [], "refused": str(error), "browser_refused": ""}
        return {
            "inputs": inputs,
            "outputs": outputs,
            "refused": self._refused(inputs),
            "browser_refused": refusal(inputs, outputs),
        }

    def _refused(self, inputs: list[dict[str, Any]]) -> str:
        """Why the samples do not fit a file; "" where they do."""
        if len(inputs) != 1:
            return f"it has {len(inputs)} inputs; files with one input run here."
        if not self.samples.fits(inputs[0]["shape"]):
            return (
                f"its input is {inputs[0]['shape']}, the samples are "
                f"{list(self.samples.x.shape)}; give --data that fits."
            )
        return ""

    def _noise(self, high: float) -> Samples:
        """Noise for the first file that has one input."""
        for runner in self.runners.values():
            try:
                inputs, _ = runner.ends()
            except InterpreterError:
                continue
            if len(inputs) == 1:
                return noise(inputs[0]["shape"], high)
        raise DataError("None of the files has exactly one input; such files cannot be served.")


def _outputs(posted: object, expected: list[Array]) -> list[Array]:
    """Posted outputs as arrays of the expected shapes; FormatError where they are not."""
    lists = checked(posted, list[list[Any]])
    if len(lists) != len(expected):
        raise FormatError(f"Expected {len(expected)} outputs, got {len(lists)} - at `$.outputs`")
    arrays: list[Array] = []
    for number, (values, wanted) in enumerate(zip(lists, expected)):
        try:
            array = np.asarray(values, "float64")
        except (ValueError, TypeError) as error:
            raise FormatError(f"Expected numbers - at `$.outputs[{number}]`") from error
        if array.shape != wanted.shape or not np.isfinite(array).all():
            raise FormatError(
                f"Expected finite numbers of shape {list(wanted.shape)}, got "
                f"{list(array.shape)} - at `$.outputs[{number}]`"
            )
        arrays.append(array)
    return arrays
