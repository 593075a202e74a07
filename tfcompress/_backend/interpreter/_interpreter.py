"""Opening a `.tflite` with whichever interpreter is there: real numbers in, real numbers out.

That is LiteRT, tflite_runtime, or TensorFlow's own.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from tfcompress._backend.interpreter._ends import in_order, require_fit, under_signature
from tfcompress._backend.interpreter._file import DECODE, Source, check_file
from tfcompress._backend.interpreter._runtimes import RUNTIMES, choose, load_runtime
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo, tensor_info
from tfcompress._backend.quiet import quiet
from tfcompress.core._errors import DataError, InterpreterError
from tfcompress.core._types import Array, ArrayLike

__all__ = ["Interpreter", "check_file", "open_interpreter"]

STATEFUL = (
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "SVDF",
)
"""Operators that keep a state from one call to the next: it is reset before every run."""
CASTS = ("DEQUANTIZE", "QUANTIZE")

Inputs = Sequence[ArrayLike] | Mapping[str, ArrayLike]
"""A list in the order of an interpreter's `inputs`, or name → array."""


class Interpreter:
    """An open `.tflite`; `inputs` and `outputs` are in the order that `run` takes and gives.

    That is the file's own order, but outputs that a converter calls `output_0`, `output_1`, … go
    by their number (converters shuffle them), and names given to `open_interpreter` go first.
    `load_ms` is how long reading the file and allocating took.
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
        inputs = under_signature(raw.get_input_details(), signature.get("inputs", {}))
        outputs = under_signature(raw.get_output_details(), signature.get("outputs", {}))
        self.inputs = in_order(inputs, input_names)
        self.outputs = in_order(outputs, output_names)
        self._keeps_state = any(op.kind in STATEFUL for op in self.ops())
        self._shapes = [_closed(info.shape) for info in self.inputs]

    @property
    def batch(self) -> int | None:
        """How many samples the file takes at once; None if any number."""
        shape = self.inputs[0].shape if self.inputs else ()
        return shape[0] if shape else 1

    def tensors(self) -> list[TensorInfo]:
        """All tensors of the main graph, with the shapes that they have now."""
        details = self.raw.get_tensor_details()
        return [tensor_info(item) for item in details if item["name"] or len(item["shape"])]

    def value(self, index: int) -> Array:
        """What is stored in the tensor of that index: a constant, an input or an output.

        Any other is there after a run where the file was opened with `keep_tensors`.
        """
        return self.raw.get_tensor(index)

    def ops(self) -> list[OpInfo]:
        """All operations of the main graph in order, then a `DELEGATE` for each delegated part."""
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
        sources = {op.outputs[0]: op.inputs[0] for op in self.ops() if op.kind in CASTS}
        steps = []
        for output in self.outputs:
            inner = known.get(sources.get(output.index, output.index), output)
            steps.append(output.scale or inner.scale)
        return steps

    def resize(self, shapes: Sequence[Sequence[int]]) -> None:
        """Set the shapes of all inputs, where they are others, in a file with open dimensions."""
        wanted = [tuple(shape) for shape in shapes]
        if wanted == self._shapes:
            return
        for info, shape in zip(self.inputs, wanted):
            self.raw.resize_tensor_input(info.index, shape)
        self._guarded("allocate", self.raw.allocate_tensors)
        self._shapes = wanted

    def set_inputs(self, inputs: Inputs) -> None:
        """Write one batch into the inputs."""
        for info, values in zip(self.inputs, self._listed(inputs)):
            self.raw.set_tensor(info.index, np.ascontiguousarray(info.store(values)))

    def invoke(self) -> None:
        """Run once on what is set; InterpreterError says what the interpreter says."""
        self._guarded("run", self.raw.invoke)

    def run(self, inputs: Inputs) -> list[Array]:
        """Outputs of one batch of exactly the file's size (any, if it is open), as real numbers."""
        arrays = self._listed(inputs)
        for info, values in zip(self.inputs, arrays):
            require_fit(info, values, self.what)
        self.resize([values.shape for values in arrays])
        if self._keeps_state:
            self.raw.reset_all_variables()
        self.set_inputs(arrays)
        self.invoke()
        return [info.real(self.raw.get_tensor(info.index)) for info in self.outputs]

    def predict(self, inputs: Inputs, batch_size: int = 64) -> list[Array]:
        """Outputs of any number of samples, as real numbers, in batches of the file's size.

        Args:
            inputs: arrays [n, ...].
            batch_size: where the file takes any number at once.

        The last batch is filled up with its last sample. Raises DataError when the samples do not
        fit the file.
        """
        arrays = self._listed(inputs)
        counts = [len(values) for values in arrays]
        count = counts[0]
        if count == 0 or len(set(counts)) > 1:
            raise DataError(
                f"{self.what}: needs the same number of samples (≥ 1) for every input;"
                f" {counts} came."
            )
        batch = min(self.batch or batch_size, max(count, self.batch or 1))
        parts = [
            self._predict_batch(arrays, start, batch, is_only=count <= batch)
            for start in range(0, count, batch)
        ]
        columns = [list(column) for column in zip(*parts)]
        return [np.concatenate(column) if len(column) > 1 else column[0] for column in columns]

    def _predict_batch(
        self, arrays: list[Array], start: int, batch: int, *, is_only: bool
    ) -> list[Array]:
        """Outputs of the samples from `start` on, at most `batch`."""
        chunk = [values[start : start + batch] for values in arrays]
        missing = batch - len(chunk[0])
        if missing:
            chunk = [
                np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
                for values in chunk
            ]
        outputs = self.run(chunk)
        per_sample = [output.shape[:1] == (batch,) for output in outputs]
        if not is_only and not all(per_sample):
            raise InterpreterError(
                f"{self.what}: an output is not one per sample; call run() with one batch at a"
                " time."
            )
        kept = batch - missing
        return [output[:kept] if cut else output for output, cut in zip(outputs, per_sample)]

    def _listed(self, inputs: Inputs) -> list[Array]:
        names = [info.name for info in self.inputs]
        if isinstance(inputs, Mapping):
            if set(inputs) != set(names):
                raise DataError(f"{self.what} has the inputs {names}; {list(inputs)} came.")
            return [np.asarray(inputs[name]) for name in names]
        if len(inputs) != len(names):
            raise DataError(f"{self.what} has {len(names)} inputs {names}; {len(inputs)} came.")
        return [np.asarray(values) for values in inputs]

    def _guarded(self, doing: str, action: Callable[[], object]) -> None:
        try:
            action()
        except (RuntimeError, ValueError) as error:
            raise InterpreterError(
                f"{self.what} does not {doing} in {self.runtime} {self.version}:"
                f" {_reason(error, '')}"
            ) from error


def open_interpreter(
    data: Source,
    *,
    runtime: str = "auto",
    threads: int = 1,
    delegates: bool = True,
    batch: int | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    arena_bytes: int | None = None,
    keep_tensors: bool = False,
) -> Interpreter:
    """Open a `.tflite` with its tensors allocated.

    Args:
        data: the file's bytes or path.
        runtime: "litert", "tflite_runtime", "tensorflow", "micro", or "auto", the first of the
            first three that works here.
        threads: how many it may use.
        delegates: False leaves XNNPACK out.
        batch: resizes a file that takes any number of samples.
        input_names, output_names: put inputs and outputs in that order (a Keras model's), where
            the file knows the names.
        arena_bytes: of "micro": the memory that the file gets.
        keep_tensors: every tensor of the main graph can be read by `value` after a run; without
            XNNPACK, which keeps none of its own, and with more memory.

    Raises InterpreterError for a missing runtime (with how to install it), a file that is none, or
    one that does not load.
    """
    data = bytes(data) if isinstance(data, (bytearray, memoryview)) else data
    what = "The model" if isinstance(data, bytes) else str(data)
    check_file(data)
    name = choose(runtime)
    options: dict[str, object] = {"num_threads": threads}
    if arena_bytes is not None:
        options["arena_bytes"] = arena_bytes
    if keep_tensors:
        options["experimental_preserve_all_tensors"] = True
    raw, load_ms = _load(data, name, what, options, delegates and not keep_tensors)
    opened = Interpreter(raw, name, what, input_names, output_names)
    opened.load_ms = load_ms
    if batch is not None and opened.batch is None:
        opened.resize([(batch, *_closed(info.shape[1:])) for info in opened.inputs])
    return opened


def _load(
    data: bytes | str | os.PathLike[str],
    name: str,
    what: str,
    options: dict[str, object],
    delegates: bool,
) -> tuple[Any, float]:
    """The runtime's own interpreter, allocated, and how many ms that took."""
    interpreter, resolvers = load_runtime(name)
    if not delegates:
        options["experimental_op_resolver_type"] = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    source = {"model_content": data} if isinstance(data, bytes) else {"model_path": str(data)}
    noise = quiet()
    try:
        with noise, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            raw = interpreter(**source, **options)
            raw.allocate_tensors()
            load_ms = (time.perf_counter() - start) * 1e3
    except SystemError as error:
        raise InterpreterError(
            f"{name} does not work with NumPy {np.__version__}: {RUNTIMES[name][2]}."
        ) from error
    except (RuntimeError, ValueError) as error:
        raise InterpreterError(
            f"{what} does not load in {name} {version(RUNTIMES[name][1])}:"
            f" {_reason(error, noise.text)}"
        ) from error
    return raw, load_ms


def _closed(shape: Sequence[int | None]) -> tuple[int, ...]:
    """`shape` with 1 for the open dimensions."""
    return tuple(size or 1 for size in shape)


def _reason(error: Exception, noise: str) -> str:
    """What the interpreter says, with the lines of its log that say more."""
    message = " ".join(str(error).split())
    more = [
        line
        for line in noise.splitlines()
        if line.startswith("ERROR") and line[7:].strip() not in message
    ]
    if DECODE.decode() in message + noise:
        more.append(
            "Its weights are packed for TensorFlow Lite for Microcontrollers, which alone decodes"
            " them: runtime='micro' runs the file; for this host pack with Packed()."
        )
    return " ".join([message or type(error).__name__, *more])
