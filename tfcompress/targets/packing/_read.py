"""What every weight tensor of a `.tflite` really holds, ours or foreign."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from tfcompress._backend import bridge
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress._backend.tflite._scopes import users_names
from tfcompress.core import ArtifactError
from tfcompress.core._types import Array, Model
from tfcompress.targets.packing._behind import factor_behind
from tfcompress.targets.packing._constants import UNPACK
from tfcompress.targets.packing._detect import detect
from tfcompress.targets.packing._encoding import Encoding
from tfcompress.targets.packing._find import operand_names
from tfcompress.targets.packing._names import Kernels, file_names
from tfcompress.targets.packing._registry import ENCODINGS
from tfcompress.targets.packing._stored import Operand, StoredWeights, operands
from tfcompress.targets.packing._weight_file import WeightFile, damage_named


@dataclass(frozen=True)
class PackedLayer:
    """The weights of one operator as a file holds them.

    Args:
        name: the user's layer.
        op: the operator's builtin name.
        encoding: how the weights are stored.
        bits: of one stored weight: codes and indices, without scales and tables.
        bytes: all that is stored for the weights.
        shape: the weights'.
        levels: what values occur.
        weights: gives the float32 weights that the operator computes with, read anew at each call.
        axis: the weights' dimension of output channels.
        in_loop: whether the operator stands in the body of a loop over time.
        slices: how many operators compute the layer, each some of its output channels.
    """

    name: str
    op: str
    encoding: str
    bits: float
    bytes: int
    shape: tuple[int, ...]
    levels: str
    weights: Callable[[], Array] = field(repr=False, compare=False)
    axis: int = 0
    in_loop: bool = False
    slices: int = 1

    def __str__(self) -> str:
        encoding = self.encoding if self.slices == 1 else f"{self.encoding} ×{self.slices}"
        head = f"{self.name:24.24s} {self.op:18s} {encoding:16s}"
        return f"{head} {self.bits:6.2f} bits {self.bytes:10,d} bytes  {self.levels}"


def packed_layers(source: str | Path | bytes, model: Model | None = None) -> list[PackedLayer]:
    """Every constant weight of a `.tflite`'s operators, in order of execution, loops' bodies last.

    Kernels and tables of embeddings, recurrent layers' ones too; of other operators, constants of
    real numbers that are large along two dimensions. They are followed through DEQUANTIZE, DENSIFY,
    look-ups and variables; a factor or Σx correction behind the operator is included.

    Args:
        source: path or bytes of the file.
        model: the Keras model that the file was made of, to give the layers its names where the
            file's own names do not tell them.

    Raises ArtifactError when the file cannot be opened, ConversionError when it is not a `.tflite`
    or is damaged.
    """
    if isinstance(source, (str, Path)):
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise ArtifactError(f"No .tflite could be read at {source}: {error}.") from error
    with damage_named():
        file = weight_file(bytes(source))
        listed = list(stored_operands(file))
        names = _layer_names(file, listed, model)
        return [_layer(file, operand, name) for operand, name in zip(listed, names)]


def weight_file(data: bytes) -> WeightFile:
    """The bytes of a `.tflite`, indexed, with the operators that every encoding is unpacked by."""
    unpack = dict(UNPACK)
    for encoding in ENCODINGS:
        unpack.update(encoding.unpack)
    return WeightFile(flatbuffer.read(data), unpack)


def stored_operands(file: WeightFile) -> Iterator[Operand]:
    """The file's constant weights, without those that an encoding added for itself."""
    helpers = {id(op.tree) for encoding in ENCODINGS for op in encoding.helpers(file)}
    for operand in operands(file):
        if id(operand.operator.tree) not in helpers:
            yield operand


def encoding_of(stored: StoredWeights) -> Encoding | None:
    """The encoding that weights are stored in; None for one that tfcompress does not write."""
    for encoding in ENCODINGS:
        if encoding.recognizes(stored):
            return encoding
    return None


def weights_of(stored: StoredWeights) -> Array:
    """The float32 weights that an operator computes with."""
    encoding = encoding_of(stored)
    weights = stored.values if encoding is None else encoding.read(stored)
    return np.ascontiguousarray(weights, np.float32)


def kernels_of(model: Model) -> Kernels:
    """The model's layers with kernels, by the names that they have in a file, and these' sizes."""
    names = users_names(model, model)
    kernels = {}
    for layer in bridge.leaf_layers(model):
        sizes = [math.prod(w.shape) for w in layer.weights if len(w.shape) >= 2]
        if sizes:
            kernels[names[id(layer)]] = sizes
    return kernels


def _layer(file: WeightFile, operand: Operand, name: str) -> PackedLayer:
    stored = StoredWeights(file, operand)
    encoding = encoding_of(stored)
    weights = weights_of(stored)
    factor = factor_behind(stored)
    return PackedLayer(
        name=name,
        op=operand.operator.kind,
        encoding=_foreign_name(stored) if encoding is None else encoding.name,
        bits=round(8 * stored.payload / max(weights.size, 1), 4),
        bytes=stored.total + (0 if factor is None else 4 * factor.size),
        shape=weights.shape,
        levels=str(detect(weights, operand.axis)),
        weights=partial(_read_again, file, operand),
        axis=operand.axis,
        in_loop=operand.operator.graph != 0,
        slices=stored.slices,
    )


def _read_again(file: WeightFile, operand: Operand) -> Array:
    with damage_named():
        return weights_of(StoredWeights(file, operand))


def _layer_names(file: WeightFile, listed: Sequence[Operand], model: Model | None) -> list[str]:
    if model is not None:
        return operand_names(file, listed, kernels_of(model))
    return file_names([file.names(operand.operator, operand.place[1]) for operand in listed])


def _foreign_name(stored: StoredWeights) -> str:
    """How weights are stored that no encoding of tfcompress wrote."""
    if "GATHER" in stored.operators:
        return "gather"
    kind = "float" if stored.type == "FLOAT32" else stored.type.lower()
    if stored.sparsity is not None:
        return f"sparse-{kind}"
    if stored.type.startswith("FLOAT") or "DEQUANTIZE" not in stored.operators:
        return kind
    return f"{kind}-dequantize"
