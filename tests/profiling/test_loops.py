"""Loops and branches of a `.tflite`: their bodies' multiply-accumulates and weights, by hand."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo
from tfcompress.profiling import profile
from tfcompress.profiling._graphs import Graph, read_graphs
from tfcompress.profiling._macs import count_ops, count_weights, graph_macs
from tfcompress.targets import Float32

STEPS, FEATURES, UNITS = 20, 8, 16
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
DENSE = UNITS * 3


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> ModuleType:
    return pytest.importorskip(request.param)


def recurrent(keras: ModuleType, name: str) -> bytes:
    """The float32 `.tflite` of one recurrent layer with non-zero biases before a Dense(3)."""
    inputs = keras.layers.Input((STEPS, FEATURES))
    biases = keras.initializers.RandomUniform(seed=1)
    layer = getattr(keras.layers, name)(UNITS, bias_initializer=biases)
    dense = keras.layers.Dense(3, bias_initializer=biases)
    model = keras.Model(inputs, dense(layer(inputs)))
    samples = np.zeros((4, STEPS, FEATURES), np.float32)
    return Float32().convert(model, samples)


@pytest.mark.parametrize("name", sorted(GATES))
def test_a_recurrent_layer_costs_its_matrices_at_every_step(
    keras: ModuleType, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(recurrent(keras, name))
    measured = profile(file, runs=3, ops=False)
    one_step = GATES[name] * UNITS * (FEATURES + UNITS)
    assert measured.macs == STEPS * one_step + DENSE
    assert not any("loop" in note for note in measured.notes)


@pytest.mark.parametrize("name", sorted(GATES))
def test_the_weights_of_a_loop_are_those_of_the_layer(
    keras: ModuleType, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(recurrent(keras, name))
    biases = {"SimpleRNN": UNITS, "LSTM": 4 * UNITS, "GRU": 2 * 3 * UNITS}[name]
    kernels = GATES[name] * UNITS * (FEATURES + UNITS)
    one_minus_z = int(name == "GRU")  # h = z · h' + (1 − z) · candidate has a 1
    opened, graphs = open_interpreter(file), read_graphs(file.read_bytes())
    expected = kernels + biases + one_minus_z + DENSE + 3
    assert count_weights(opened, graphs) == expected


def test_times_of_operations_inside_a_loop_belong_to_the_loop(
    keras: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(recurrent(keras, "LSTM"))
    ops = profile(file, runs=3).ops
    loop = [op for op in ops if op.kind == "WHILE"]
    assert len(loop) == 1 and loop[0].time_us_p50 is not None
    assert loop[0].macs == STEPS * 4 * UNITS * (FEATURES + UNITS)
    dense = [op for op in ops if op.kind == "FULLY_CONNECTED"]
    assert [op.macs for op in dense] == [DENSE]


def scalar_graph(ops: list[OpInfo], outputs: tuple[int, ...], numbers: dict[int, int]) -> Graph:
    """A graph with input 0 and tensors [1, 4] for a FULLY_CONNECTED by kernel 9 of [4, 4]."""
    shapes = dict.fromkeys(range(9), (1, 4)) | {9: (4, 4)}
    tensors = {
        index: TensorInfo(index, "", shape, np.dtype("f4"), np.array([]), np.array([]))
        for index, shape in shapes.items()
    }
    return Graph(tuple(ops), tensors, (0, 1), outputs, numbers, {})


def while_of(limit: int | None, start: int = 0, step: int = 1) -> tuple[Graph, ...]:
    """Main, condition and body of `for (i = start; i < limit; i += step) x = W · x`."""
    main = scalar_graph([OpInfo(0, "WHILE", (2, 3), (4, 5))], (5,), {2: start})
    main = Graph(main.ops, main.tensors, (3,), (5,), main.numbers, {0: (1, 2)})
    bound = {} if limit is None else {3: limit}
    condition = scalar_graph([OpInfo(0, "LESS", (0, 3), (4,))], (4,), bound)
    body_ops = [OpInfo(0, "ADD", (0, 3), (4,)), OpInfo(1, "FULLY_CONNECTED", (1, 9), (5,))]
    return main, condition, scalar_graph(body_ops, (4, 5), {3: step})


@pytest.mark.parametrize(
    ("limit", "start", "step", "rounds"), [(7, 0, 1, 7), (7, 3, 1, 4), (7, 0, 2, 4), (0, 5, 1, 0)]
)
def test_rounds_come_from_the_counter(limit: int, start: int, step: int, rounds: int) -> None:
    graphs = while_of(limit, start, step)
    assert graph_macs(graphs[0], graphs) == (rounds * 16, 0)


def test_a_loop_without_a_stated_number_of_rounds_is_counted_once_and_told() -> None:
    graphs = while_of(None)
    assert graph_macs(graphs[0], graphs) == (16, 1)


def test_a_branch_counts_as_its_dearer_side() -> None:
    one = scalar_graph([OpInfo(0, "FULLY_CONNECTED", (1, 9), (2,))], (2,), {})
    two = scalar_graph([*one.ops, OpInfo(1, "FULLY_CONNECTED", (2, 9), (3,))], (3,), {})
    main = scalar_graph([OpInfo(0, "IF", (0, 1), (4,))], (4,), {})
    main = Graph(main.ops, main.tensors, (0, 1), (4,), {}, {0: (1, 2)})
    assert graph_macs(main, (main, one, two)) == (32, 0)


def test_a_file_without_loops_counts_as_before(files: Any) -> None:
    opened = open_interpreter(files.fixed)
    assert count_ops(opened, read_graphs(files.fixed.read_bytes())) == count_ops(opened)
