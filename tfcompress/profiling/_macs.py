"""Multiply-accumulates and weights of a `.tflite`, from what any interpreter tells of its tensors and operations."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tfcompress._backend.interpreter._interpreter import Interpreter
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo
from tfcompress.core import OpTime

LSTM_MATRICES = range(1, 9)


def count_ops(opened: Interpreter) -> list[OpTime]:
    """Every operation of the file's main graph with its multiply-accumulates for one sample, delegates left out."""
    tensors = {info.index: info for info in opened.tensors()}
    return [
        OpTime(
            op.index,
            op.kind,
            tensors[op.outputs[0]].name if op.outputs and op.outputs[0] in tensors else "",
            op_macs(op, tensors),
        )
        for op in file_ops(opened)
    ]


def file_ops(opened: Interpreter) -> list[OpInfo]:
    """The file's own operations, without those that a delegate added."""
    return [op for op in opened.ops() if op.kind != "DELEGATE"]


def op_macs(op: OpInfo, tensors: dict[int, TensorInfo]) -> int:
    """Multiply-accumulates of one operation; 0 for those that do not multiply matrices.

    CONV_2D, CONV_3D: outputs · filter / out channels (filter [O, kh, kw, I/groups]; 3-D [kd, kh, kw, I, O]);
    DEPTHWISE_CONV_2D: outputs · kh · kw (filter [1, kh, kw, O]); FULLY_CONNECTED: outputs · inputs (filter [O, I]);
    TRANSPOSE_CONV: inputs · O · kh · kw (filter [O, kh, kw, I]); BATCH_MATMUL: outputs · inner size;
    the fused LSTM: time steps · batch · all elements of its matrices. A dynamic batch counts as 1.
    """
    shapes = [_shape(tensors, index) for index in op.inputs]
    output = _shape(tensors, op.outputs[0]) if op.outputs else ()
    size = math.prod(output)
    match op.kind:
        case "CONV_2D":
            return size * math.prod(shapes[1][1:])
        case "CONV_3D":
            return size * math.prod(shapes[1][:-1])
        case "DEPTHWISE_CONV_2D":
            return size * math.prod(shapes[1][1:3])
        case "FULLY_CONNECTED":
            return size * shapes[1][-1]
        case "TRANSPOSE_CONV":
            return math.prod(shapes[2]) * math.prod(shapes[1][:3])
        case "BATCH_MATMUL":
            # x is [..., m, k] or, transposed, [..., k, m], and the output is [..., m, n]: either way k = (m · k) / m.
            return size * (
                math.prod(shapes[0][-2:]) // max(output[-2] if len(output) > 1 else 1, 1)
            )
        case "UNIDIRECTIONAL_SEQUENCE_LSTM":
            return math.prod(shapes[0][:2]) * sum(
                math.prod(shapes[i]) for i in LSTM_MATRICES if i < len(shapes) and shapes[i]
            )
    return 0


def count_weights(opened: Interpreter) -> int:
    """Numbers that the graph computes with: elements of every real-valued constant tensor that meets data.

    A tensor counts where it is used with something that depends on the inputs, so weights that are decoded in the graph
    (DEQUANTIZE, DENSIFY, look-up tables) count once, as what they decode to; shapes, axes and code books do not count.
    """
    tensors = {info.index: info for info in opened.tensors()}
    ops = file_ops(opened)
    live = {info.index for info in opened.inputs}
    for op in ops:  # operations are stored in an order in which they can run
        if live.intersection(op.inputs):
            live.update(op.outputs)
    met = {
        index
        for op in ops
        if live.intersection(op.inputs)
        for index in op.inputs
        if index >= 0 and index not in live
    }
    return sum(math.prod(_shape(tensors, index)) for index in met if _is_real(tensors.get(index)))


def matched(
    kernels: Iterable[tuple[str, int | None, float]], ops: list[OpTime]
) -> tuple[list[OpTime], bool]:
    """Timed kernels (name, index in the file or None, µs) put to the file's operations; False if some could not be.

    A delegate's kernels run in the file's order, so the n-th convolution it ran is the n-th convolution it took over;
    kernels that stand for no single operation (layout, clamps) get index -1. A 1×1 convolution may run as a matrix product.
    """
    kernels = list(kernels)
    by_index = {op.index: op for op in ops}
    own = {index for _, index, _ in kernels if index is not None}
    waiting = {
        family: [op for op in ops if op.index not in own and _family(op.kind) == family]
        for family in set(_FAMILIES.values())
    }
    ran = [_kernel_family(name) for name, index, _ in kernels if index is None]
    whole = {family: len(left) == ran.count(family) for family, left in waiting.items()}
    if not all(whole[one] for one in _ALIKE):
        both = [op for op in ops if op in waiting[_ALIKE[0]] or op in waiting[_ALIKE[1]]]
        whole |= dict.fromkeys(_ALIKE, len(both) == sum(map(ran.count, _ALIKE)))
        waiting |= dict.fromkeys(
            _ALIKE, both
        )  # one list: whichever kernel comes next takes the next operation
    found = []
    for name, index, time_us in kernels:
        family = _kernel_family(name)
        if index is not None and index in by_index:
            op = by_index[index]
        elif index is None and family and whole[family]:
            op = waiting[family].pop(0)
        else:
            op = OpTime(-1, name.split(" (")[0], "", 0)
        found.append(OpTime(op.index, op.kind, op.name, op.macs, time_us, name))
    return found, all(whole.values())


_FAMILIES = {
    "CONV_2D": "Convolution",
    "DEPTHWISE_CONV_2D": "Convolution",
    "TRANSPOSE_CONV": "Deconvolution",
    "FULLY_CONNECTED": "Fully Connected",
    "BATCH_MATMUL": "Batch Matrix Multiply",
}

_ALIKE = ("Convolution", "Fully Connected")


def _family(kind: str) -> str | None:
    return _FAMILIES.get(kind)


def _kernel_family(kernel: str) -> str | None:
    return next((family for family in set(_FAMILIES.values()) if kernel.startswith(family)), None)


def _shape(tensors: dict[int, TensorInfo], index: int) -> tuple[int, ...]:
    return tuple(n or 1 for n in tensors[index].shape) if index in tensors else ()


def _is_real(info: TensorInfo | None) -> bool:
    return info is not None and (
        info.dtype.kind == "f" or (info.dtype.kind in "iu" and info.scale != 0.0)
    )
