"""Multiply-accumulates and weights of a `.tflite`, loops and branches included."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tfcompress._backend.interpreter._interpreter import Interpreter
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo
from tfcompress.core import OpTime
from tfcompress.profiling._graphs import Graph, is_unchanged, rounds

LSTM_MATRICES = range(1, 9)
LSTM_PROJECTION = 16

Shapes = Sequence[tuple[int, ...]]


def count_ops(opened: Interpreter, graphs: Sequence[Graph] = ()) -> list[OpTime]:
    """Every operation of the main graph with its multiply-accumulates for one sample.

    Args:
        opened: the file; operations that a delegate added are left out.
        graphs: what `read_graphs` gives; a loop then counts what its body does in all its rounds.
    """
    main = main_graph(opened, graphs)
    counted: list[OpTime] = []
    for op in main.ops:
        output = main.tensors.get(op.outputs[0]) if op.outputs else None
        macs, _ = _macs_of(op, main, graphs)
        counted.append(OpTime(op.index, op.kind, output.name if output else "", macs))
    return counted


def main_graph(opened: Interpreter, graphs: Sequence[Graph] = ()) -> Graph:
    """The main graph with the shapes that the interpreter gave its tensors."""
    return Graph(
        tuple(op for op in opened.ops() if op.kind != "DELEGATE"),
        {info.index: info for info in opened.tensors()},
        tuple(info.index for info in opened.inputs),
        tuple(info.index for info in opened.outputs),
        graphs[0].numbers if graphs else {},
        graphs[0].called if graphs else {},
    )


def graph_macs(graph: Graph, graphs: Sequence[Graph]) -> tuple[int, int]:
    """Multiply-accumulates of one run, and how many loops have an unknown number of rounds."""
    counted = [_macs_of(op, graph, graphs) for op in graph.ops]
    return sum(macs for macs, _ in counted), sum(unknown for _, unknown in counted)


def op_macs(op: OpInfo, tensors: Mapping[int, TensorInfo]) -> int:
    """Multiply-accumulates of one operation; 0 for those that do not multiply matrices.

    `FORMULAS` has one formula a kind, over the shapes of inputs and output; a dynamic size counts
    as 1.
    """
    if op.kind not in FORMULAS:
        return 0
    graph = Graph((), tensors, (), (), {}, {})
    output = graph.shape(op.outputs[0]) if op.outputs else ()
    return FORMULAS[op.kind]([graph.shape(index) for index in op.inputs], output)


def count_weights(opened: Interpreter, graphs: Sequence[Graph] = ()) -> int:
    """Numbers that the graphs compute with: elements of every real constant that meets data.

    A tensor counts where it is used with something that depends on the inputs, so weights that are
    decoded in the graph (DEQUANTIZE, DENSIFY, look-up tables) count once, as what they decode to;
    shapes, axes, code books and the first state of a loop do not count.
    """
    main = main_graph(opened, graphs)
    return _weights_of(main, set(main.inputs), graphs)


def _macs_of(op: OpInfo, graph: Graph, graphs: Sequence[Graph]) -> tuple[int, int]:
    """Multiply-accumulates of one operation of `graph`, and loops in it of unknown length."""
    if op.index not in graph.called:
        return op_macs(op, graph.tensors), 0
    first, second = (graphs[place] for place in graph.called[op.index])
    if op.kind == "IF":
        return max(graph_macs(first, graphs), graph_macs(second, graphs))
    body_macs, unknown = graph_macs(second, graphs)
    times = rounds(graph, op, first, second)
    if times is None:
        return body_macs, unknown + 1
    return times * body_macs, unknown


def _weights_of(graph: Graph, live: set[int], graphs: Sequence[Graph]) -> int:
    """Real constants of `graph` and of what it runs; `live` are the inputs that depend on data."""
    for op in graph.ops:  # operations are stored in an order in which they can run
        if live.intersection(op.inputs):
            live.update(op.outputs)
    used: set[int] = set()
    inside = 0
    for op in graph.ops:
        if not live.intersection(op.inputs):
            continue
        constants = set(op.inputs) - live
        if op.index in graph.called:
            constants = constants.intersection(_handed_on(op, graph, graphs))
            inside += _weights_inside(op, graph, live, graphs)
        used |= constants
    sizes = [math.prod(graph.shape(index)) for index in used if _is_real(graph.tensors.get(index))]
    return sum(sizes) + inside


def _handed_on(op: OpInfo, graph: Graph, graphs: Sequence[Graph]) -> set[int]:
    """Inputs of a loop that every round gets as they are; of a branch, all but its choice."""
    if op.kind == "IF":
        return set(op.inputs[1:])
    body = graphs[graph.called[op.index][1]]
    return {index for place, index in enumerate(op.inputs) if is_unchanged(body, place)}


def _weights_inside(op: OpInfo, graph: Graph, live: set[int], graphs: Sequence[Graph]) -> int:
    """Weights stored in the graphs that a loop or a branch runs."""
    if op.kind == "IF":
        sides = [graphs[place] for place in graph.called[op.index]]
        return sum(
            _weights_of(side, _live_inputs(op.inputs[1:], side, live), graphs) for side in sides
        )
    body = graphs[graph.called[op.index][1]]
    inside = _live_inputs(op.inputs, body, live)
    inside |= {index for place, index in enumerate(body.inputs) if not is_unchanged(body, place)}
    return _weights_of(body, inside, graphs)


def _live_inputs(given: Sequence[int], graph: Graph, live: set[int]) -> set[int]:
    """Inputs of a called graph for which something that depends on data is given."""
    return {inner for inner, outer in zip(graph.inputs, given) if outer in live}


def _is_real(info: TensorInfo | None) -> bool:
    if info is None:
        return False
    return info.dtype.kind == "f" or (info.dtype.kind in "iu" and info.scale != 0.0)


def _convolution(shapes: Shapes, output: tuple[int, ...]) -> int:
    """outputs · kh · kw · I / groups; filter [O, kh, kw, I / groups]."""
    return math.prod(output) * math.prod(shapes[1][1:])


def _convolution_3d(shapes: Shapes, output: tuple[int, ...]) -> int:
    """outputs · kd · kh · kw · I; filter [kd, kh, kw, I, O]."""
    return math.prod(output) * math.prod(shapes[1][:-1])


def _depthwise(shapes: Shapes, output: tuple[int, ...]) -> int:
    """outputs · kh · kw; filter [1, kh, kw, O]."""
    return math.prod(output) * math.prod(shapes[1][1:3])


def _fully_connected(shapes: Shapes, output: tuple[int, ...]) -> int:
    """outputs · I; filter [O, I]."""
    return math.prod(output) * shapes[1][-1]


def _transposed(shapes: Shapes, output: tuple[int, ...]) -> int:
    """inputs · O · kh · kw; filter [O, kh, kw, I], the input third."""
    return math.prod(shapes[2]) * math.prod(shapes[1][:3])


def _transposed_3d(shapes: Shapes, output: tuple[int, ...]) -> int:
    """inputs · kd · kh · kw · O; filter [kd, kh, kw, O, I], the input third."""
    return math.prod(shapes[2]) * math.prod(shapes[1][:4])


def _matrix_product(shapes: Shapes, output: tuple[int, ...]) -> int:
    """outputs · k, with k = (m · k) / m: x is [..., m, k] or, transposed, [..., k, m]."""
    rows = output[-2] if len(output) > 1 else 1
    return math.prod(output) * (math.prod(shapes[0][-2:]) // max(rows, 1))


def _lstm(shapes: Shapes, output: tuple[int, ...]) -> int:
    """steps · batch · all elements of the gates' eight matrices and of the projection."""
    places = [place for place in (*LSTM_MATRICES, LSTM_PROJECTION) if place < len(shapes)]
    matrices = [math.prod(shapes[place]) for place in places if len(shapes[place]) == 2]
    return math.prod(shapes[0][:2]) * sum(matrices)


def _rnn(shapes: Shapes, output: tuple[int, ...]) -> int:
    """steps · batch · (units · I + units²); kernels [units, I] and [units, units]."""
    return math.prod(shapes[0][:2]) * (math.prod(shapes[1]) + math.prod(shapes[2]))


FORMULAS: dict[str, Callable[[Shapes, tuple[int, ...]], int]] = {
    "CONV_2D": _convolution,
    "CONV_3D": _convolution_3d,
    "CONV_3D_TRANSPOSE": _transposed_3d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transposed,
    "BATCH_MATMUL": _matrix_product,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _rnn,
}
