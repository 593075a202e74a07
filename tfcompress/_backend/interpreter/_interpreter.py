"""Opening a `.tflite` with whichever interpreter is there (LiteRT, tflite_runtime, TensorFlow's): real numbers in, real numbers out."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._runtimes import RUNTIMES, choose, load_runtime
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo, tensor_info
from tfcompress._backend.quiet import quiet
from tfcompress.core._errors import DataError, InterpreterError


STATEFUL = (
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "SVDF",
)
"""Operators that keep a state from one call to the next: it is reset before every run."""


class Interpreter:
    """An open `.tflite`. `inputs`/`outputs` (TensorInfo) are in the order that `run` and `predict` take and give.

    That is the file's own order, but outputs whose signature calls them `output_0`, `output_1`, … go by their number
    (converters shuffle them), and names given to `open_interpreter` go first. `load_ms` is how long reading the file and allocating took.
    """

    def __init__(
        self,
        raw: Any,
        runtime: str,
        what: str,
        input_names: Sequence[str] | None,
        output_names: Sequence[str] | None,
    ):
        self.raw, self.runtime, self.what = raw, runtime, what
        self.version = version(RUNTIMES[runtime][1])
        self.load_ms = 0.0
        signature = next(iter(raw._get_full_signature_list().values()), {})
        self.inputs = _ordered(
            _named(raw.get_input_details(), signature.get("inputs", {})), input_names
        )
        self.outputs = _ordered(
            _named(raw.get_output_details(), signature.get("outputs", {})), output_names
        )
        self._keeps_state = any(op.kind in STATEFUL for op in self.ops())
        self._shapes = [tuple(n or 1 for n in info.shape) for info in self.inputs]

    @property
    def batch(self) -> int | None:
        """How many samples the file takes at once; None if any number."""
        shape = self.inputs[0].shape if self.inputs else ()
        return shape[0] if shape else 1

    def tensors(self) -> list[TensorInfo]:
        """All tensors of the main graph, with the shapes that they have now."""
        return [
            tensor_info(detail)
            for detail in self.raw.get_tensor_details()
            if detail["name"] or len(detail["shape"])
        ]

    def value(self, index: int) -> np.ndarray:
        """What is stored in the tensor of that index: a constant, an input or an output."""
        return self.raw.get_tensor(index)

    def ops(self) -> list[OpInfo]:
        """All operations of the main graph in order, then one `DELEGATE` for each part that a delegate took over."""
        return [
            OpInfo(
                int(op["index"]),
                str(op["op_name"]),
                tuple(map(int, op["inputs"])),
                tuple(map(int, op["outputs"])),
            )
            for op in self.raw._get_ops_details()
        ]

    def output_steps(self) -> list[float]:
        """How far two neighbouring values of each output are apart; 0 where it is not of integers.

        Of a real output that is dequantized at the end, the step of the integers before it.
        """
        known = {info.index: info for info in self.tensors()}
        sources = {
            op.outputs[0]: op.inputs[0]
            for op in self.ops()
            if op.kind in ("DEQUANTIZE", "QUANTIZE")
        }
        steps = []
        for output in self.outputs:
            inner = known.get(sources.get(output.index, output.index), output)
            steps.append(output.scale or inner.scale)
        return steps

    def resize(self, shapes: Sequence[Sequence[int]]) -> None:
        """Set the shapes of all inputs where the file leaves dimensions open; nothing happens if they are so already."""
        wanted = [tuple(shape) for shape in shapes]
        if wanted == self._shapes:
            return
        for info, shape in zip(self.inputs, wanted):
            self.raw.resize_tensor_input(info.index, shape)
        self._guarded("allocate", self.raw.allocate_tensors)
        self._shapes = wanted

    def set_inputs(self, inputs: Sequence[Any] | Mapping[str, Any]) -> None:
        """Write one batch into the inputs (a list in `inputs`' order, or name → array)."""
        for info, values in zip(self.inputs, self._listed(inputs)):
            self.raw.set_tensor(info.index, np.ascontiguousarray(info.store(values)))

    def invoke(self) -> None:
        """Run once on what is set; InterpreterError says what the interpreter says."""
        self._guarded("run", self.raw.invoke)

    def run(self, inputs: Sequence[Any] | Mapping[str, Any]) -> list[np.ndarray]:
        """Outputs of one batch of exactly the file's size (any, if it is dynamic), as real numbers."""
        arrays = self._listed(inputs)
        for info, values in zip(self.inputs, arrays):
            _fit(info, values, self.what)
        self.resize([values.shape for values in arrays])
        if self._keeps_state:
            self.raw.reset_all_variables()
        self.set_inputs(arrays)
        self.invoke()
        return [info.real(self.raw.get_tensor(info.index)) for info in self.outputs]

    def predict(
        self, inputs: Sequence[Any] | Mapping[str, Any], batch_size: int = 64
    ) -> list[np.ndarray]:
        """Outputs of any number of samples, as real numbers, in batches of the file's size (`batch_size` if it takes any).

        The last batch is filled up with its last sample. Raises DataError when the samples do not fit the file.
        """
        arrays = self._listed(inputs)
        count = len(arrays[0])
        if count == 0 or any(len(values) != count for values in arrays):
            raise DataError(
                f"{self.what}: needs the same number of samples (≥ 1) for every input; {[len(v) for v in arrays]} came."
            )
        batch = min(self.batch or batch_size, max(count, self.batch or 1))
        parts: list[list[np.ndarray]] = []
        for start in range(0, count, batch):
            chunk = [values[start : start + batch] for values in arrays]
            short = batch - len(chunk[0])
            if short:
                chunk = [
                    np.concatenate([values, np.repeat(values[-1:], short, axis=0)])
                    for values in chunk
                ]
            outputs = self.run(chunk)
            if count > batch and any(out.shape[:1] != (batch,) for out in outputs):
                raise InterpreterError(
                    f"{self.what}: an output is not one per sample; call run() with one batch at a time."
                )
            parts.append(
                [out[: batch - short] if out.shape[:1] == (batch,) else out for out in outputs]
            )
        columns = [list(column) for column in zip(*parts)]
        return [np.concatenate(column) if len(column) > 1 else column[0] for column in columns]

    def _listed(self, inputs: Sequence[Any] | Mapping[str, Any]) -> list[np.ndarray]:
        if isinstance(inputs, Mapping):
            missing = [info.name for info in self.inputs if info.name not in inputs]
            if missing or len(inputs) != len(self.inputs):
                raise DataError(
                    f"{self.what} has the inputs {[info.name for info in self.inputs]}; {list(inputs)} came."
                )
            return [np.asarray(inputs[info.name]) for info in self.inputs]
        if len(inputs) != len(self.inputs):
            raise DataError(
                f"{self.what} has {len(self.inputs)} inputs {[info.name for info in self.inputs]}; {len(inputs)} came."
            )
        return [np.asarray(values) for values in inputs]

    def _guarded(self, doing: str, action: Any) -> None:
        try:
            action()
        except (RuntimeError, ValueError) as error:
            raise InterpreterError(
                f"{self.what} does not {doing} in {self.runtime} {self.version}: {_reason(error, '')}"
            ) from error


def open_interpreter(
    data: bytes | str | os.PathLike,
    *,
    runtime: str = "auto",
    threads: int = 1,
    delegates: bool = True,
    batch: int | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> Interpreter:
    """Open a `.tflite`, given as bytes or path, with its tensors allocated.

    `runtime` is "litert", "tflite_runtime", "tensorflow", or "auto" (the first of these that works here);
    `delegates=False` leaves XNNPACK out; `batch` resizes a file that takes any number of samples;
    `input_names`/`output_names` put inputs and outputs in that order (a Keras model's), where the file knows the names.
    Raises InterpreterError for a missing runtime (with how to install it), a file that is none, or one that does not load.
    """
    data = bytes(data) if isinstance(data, (bytearray, memoryview)) else data
    what = "The model" if isinstance(data, bytes) else str(data)
    check_file(data)
    name = choose(runtime)
    maker, resolvers = load_runtime(name)
    options: dict[str, Any] = {"num_threads": threads}
    if not delegates:
        options["experimental_op_resolver_type"] = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    source = {"model_content": data} if isinstance(data, bytes) else {"model_path": str(data)}
    try:
        with quiet() as noise, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            raw = maker(**source, **options)
            raw.allocate_tensors()
            load_ms = (time.perf_counter() - start) * 1e3
    except SystemError as error:
        raise InterpreterError(
            f"{name} does not work with NumPy {np.__version__}: {RUNTIMES[name][2]}."
        ) from error
    except (RuntimeError, ValueError) as error:
        came = f"{name} {version(RUNTIMES[name][1])}"
        raise InterpreterError(
            f"{what} does not load in {came}: {_reason(error, noise.text)}"
        ) from error
    opened = Interpreter(raw, name, what, input_names, output_names)
    opened.load_ms = load_ms
    if batch is not None and opened.batch is None:
        opened.resize([(batch, *(n or 1 for n in info.shape[1:])) for info in opened.inputs])
    return opened


def check_file(data: bytes | str | os.PathLike) -> None:
    """Raise InterpreterError unless `data` starts as a `.tflite` does: at least 8 bytes, the identifier TFL3 from the fifth on."""
    if isinstance(data, bytes):
        head, size, what = data[:8], len(data), "The bytes given"
    else:
        what = str(data)
        try:
            with open(data, "rb") as file:
                head, size = file.read(8), Path(data).stat().st_size
        except OSError as error:
            raise InterpreterError(f"Cannot read {what}: {error.strerror}.") from error
    if head[4:8] != b"TFL3":
        hint = {
            b"PK\x03\x04": " (a .keras archive: convert it first)",
            b"\x89HDF": " (an .h5 file: convert it first)",
        }.get(head[:4], "")
        raise InterpreterError(
            f"{what} is not a .tflite file{hint}: {size:,} bytes, no identifier TFL3 at the fifth byte."
        )


def _named(details: list[dict], signature: Mapping[str, int]) -> list[TensorInfo]:
    """The inputs or outputs under the signature's names.

    Those that a converter numbered go by their number; where the tensors themselves have the
    names, a user gave them, and they are in the order wanted.
    """
    names = {index: name for name, index in signature.items()}
    infos = [tensor_info(detail, names.get(detail["index"])) for detail in details]
    numbers = [re.fullmatch(r"output_(\d+)", info.name) for info in infos]
    given = all(info.name == detail["name"] for info, detail in zip(infos, details))
    if not signature or given or not all(numbers):
        return infos
    places = [int(number[1]) for number in numbers if number]
    return [infos[place] for place in np.argsort(places)]


def _ordered(infos: list[TensorInfo], names: Sequence[str] | None) -> tuple[TensorInfo, ...]:
    known = {info.name: info for info in infos}
    if names is None or set(names) != set(known):
        return tuple(infos)
    return tuple(known[name] for name in names)


def _fit(info: TensorInfo, values: np.ndarray, what: str) -> None:
    fits = values.ndim == len(info.shape) and all(
        wanted in (None, came) for wanted, came in zip(info.shape, values.shape)
    )
    if not fits:
        raise DataError(
            f"{what}: input {info.name!r} takes {list(info.shape)}; {list(values.shape)} came."
        )


def _reason(error: Exception, noise: str) -> str:
    said = " ".join(str(error).split())
    errors = [
        line
        for line in noise.splitlines()
        if line.startswith("ERROR") and line[7:].strip() not in said
    ]
    return " ".join([said or type(error).__name__, *errors])
