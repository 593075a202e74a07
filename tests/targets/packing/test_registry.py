"""An encoding is one class and one line in the registry: it is chosen, written, read and named."""

from collections.abc import Callable, Hashable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.tflite._builder import Builder
from tfcompress.core._types import Array
from tfcompress.targets import packing
from tfcompress.targets.packing import ENCODINGS, Costs, Encoding, pack, packed_layers
from tfcompress.targets.packing._apply import apply
from tfcompress.targets.packing._layer import CONSTANT, OP, TENSOR, Layer
from tfcompress.targets.packing._stored import StoredWeights
from tfcompress.targets.packing._weight_file import Operator, WeightFile

OneLayer = Callable[..., tuple[bytes, Array]]

OFFSET, STEP = np.float32(5 / 32), np.float32(1 / 4)


def _add(operator: Operator, inputs: list[Array], file: WeightFile) -> Array:
    return inputs[0] + inputs[1]


class Shifted(Encoding):
    """w = 5/32 + u/4, u in INT8 → DEQUANTIZE → ADD, which no other encoding unpacks by."""

    name = "shifted"
    costs = Costs(1.0, 1.0, 1.0, 1.0)
    unpack = {"ADD": _add}

    def fits(self, layer: Layer, runtime: str) -> bool:
        codes = (layer.weights - OFFSET) / STEP
        return bool((codes == np.rint(codes)).all() and np.abs(codes).max() <= 127)

    def size(self, layer: Layer, shared: set[Hashable]) -> int:
        return 2 * (CONSTANT + TENSOR + OP) + layer.weights.size

    def write(self, builder: Builder, layer: Layer, runtime: str) -> None:
        codes = ((layer.weights - OFFSET) / STEP).astype(np.int8)
        stored = builder.tensor(codes.shape, "INT8", data=codes, scale=STEP)
        weight = builder.tensor(codes.shape)
        offset = builder.constant(np.array([OFFSET]))
        builder.op("ADD", [builder.dequantize(stored), offset], weight)
        apply(builder, layer, weight)

    def recognizes(self, stored: StoredWeights) -> bool:
        return stored.operators == ("ADD", "DEQUANTIZE")


@pytest.fixture
def shifted() -> Iterator[Shifted]:
    """The toy in the registry, for one test."""
    encoding = Shifted()
    ENCODINGS.insert(0, encoding)
    yield encoding
    ENCODINGS.remove(encoding)


def shifted_weights() -> Array:
    """float32 [40, 256] on 201 shifted levels, which are no grid through zero of 8 bits."""
    codes = np.random.RandomState(0).randint(-100, 101, (40, 256))
    return (codes * STEP + OFFSET).astype(np.float32)


def test_an_encoding_of_ones_own(one_layer: OneLayer, shifted: Shifted) -> None:
    weights = shifted_weights()
    source, x = one_layer("FULLY_CONNECTED", weights)
    packed = pack(source, prefer="size")
    (layer,) = packed_layers(packed)
    assert layer.encoding == shifted.name and 8 <= layer.bits < 8.1
    np.testing.assert_array_equal(layer.weights(), weights)
    expected = open_interpreter(source, runtime="litert").run([x])[0]
    for delegates in (True, False):
        opened = open_interpreter(packed, runtime="litert", delegates=delegates)
        np.testing.assert_allclose(opened.run([x])[0], expected, rtol=1e-4, atol=1e-3)


def test_without_it_nothing_else_has_these_levels(one_layer: OneLayer) -> None:
    source, _ = one_layer("FULLY_CONNECTED", shifted_weights())
    assert packed_layers(pack(source, prefer="size"))[0].encoding != "shifted"


def test_names_are_unique_and_every_encoding_has_times() -> None:
    names = [encoding.name for encoding in ENCODINGS]
    assert len(set(names)) == len(names)
    assert all(len(encoding.costs) == 4 and min(encoding.costs) > 0 for encoding in ENCODINGS)


def test_an_encoding_is_known_in_its_file_and_the_registry_only() -> None:
    folder = Path(packing.__file__).parent
    for encoding in ENCODINGS:
        name = type(encoding).__name__
        if name in ("Float", "Once"):
            continue  # what is left when nothing fits; what Bitmask decodes by
        knowing = [
            path.name
            for path in folder.rglob("*.py")
            if f" {name}\n" in path.read_text() or f" {name}(" in path.read_text()
        ]
        assert len(knowing) <= 2, (name, knowing)
