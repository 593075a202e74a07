"""An int8 `.tflite` packed for microcontrollers: in how many slices each layer is decoded.

A decoded weight lies in the arena, the memory that activations share, only while it is used; a
layer in k slices needs a k-th of it. Every candidate is a file that TensorFlow Lite for
Microcontrollers has opened: its bytes are the flash, and its arena is what was recorded there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._micro_run import measure_arena
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress.core import ConversionError
from tfcompress.targets.packing._constants import UNPACK
from tfcompress.targets.packing._find import Names, find_layers
from tfcompress.targets.packing._layer import KINDS, Layer
from tfcompress.targets.packing._lookup import most_slices
from tfcompress.targets.packing._names import file_names
from tfcompress.targets.packing._pack import Plan, rewrite, verify
from tfcompress.targets.packing._registry import LOOKUP, UNTOUCHED
from tfcompress.targets.packing._stored import operands
from tfcompress.targets.packing._weight_file import WeightFile

MICRO = "micro"
NEAREST = 5
"""How many combinations of slices are measured of those that promise most."""

Slices = tuple[int, ...]
"""For every layer that can be packed the number of its slices; 0 leaves it as it is."""


@dataclass(frozen=True)
class Need:
    """The memory that a file takes on a microcontroller, in bytes."""

    flash: int
    arena: int

    @property
    def both(self) -> int:
        """Flash and arena together."""
        return self.flash + self.arena


def pack_for_micro(
    data: bytes, *, names: Names = (), prefer: str = "speed", max_arena_bytes: int | None = None
) -> bytes:
    """The int8 `.tflite` `data` with weights in look-up tables, decoded where they are used.

    It is `data` itself where that makes it no smaller.

    Args:
        names: the model's layers with weights.
        prefer: without a budget, "speed" takes the least flash and arena together, "size" the least
            flash.
        max_arena_bytes: of all files with at most that arena the one with the least flash.

    Raises ConversionError where the network does not compute in integers or the budget cannot be
    met, InterpreterError where the runtime does not run the file, InvariantError where weights read
    back differ.
    """
    _require_integers(data)
    least = measure_arena(data, what="The int8 file").total_bytes
    if max_arena_bytes is not None and least > max_arena_bytes:
        raise ConversionError(
            f"max_arena_bytes={max_arena_bytes:,} cannot be met: the int8 file's own activations"
            f" take an arena of {least:,} bytes, and decoded weights come on top. Give {least:,} or"
            " more, or make the network's largest activations smaller."
        )
    trials = Trials(data, names)
    if max_arena_bytes is None:
        slices = _best(trials, prefer)
    else:
        slices = _within(trials, max_arena_bytes)
    packed, expected = trials.write(slices)
    verify(packed, expected)
    return packed if len(packed) < len(data) else data


def micro_need(data: bytes) -> Need:
    """What a `.tflite` takes on a microcontroller, measured in this process."""
    opened = open_interpreter(data, runtime=MICRO)
    shapes = [[size or 1 for size in info.shape] for info in opened.inputs]
    opened.set_inputs([np.zeros(shape, np.float32) for shape in shapes])
    opened.invoke()
    return Need(len(data), opened.raw.arena().total_bytes)


class Trials:
    """Candidate files of one network, each written and measured once.

    Attributes:
        most: for every layer the most slices that it can have; 0 where tables are no smaller.
        plain: what the file takes with every layer as it is.
        alone: layer's number → slices → what the file takes with that layer alone in tables.
    """

    def __init__(self, data: bytes, names: Names):
        self.data, self.names = data, names
        self.most = [_most_slices(layer) for layer in find_layers(flatbuffer.read(data), names)]
        self._measured: dict[Slices, Need] = {}
        self.plain = self.need((0,) * len(self.most))
        self.alone = {number: self._alone(number) for number, most in enumerate(self.most) if most}

    def write(self, slices: Slices) -> tuple[bytes, list[Layer | None]]:
        """The file with its layers in so many slices, and what `verify` must find in it."""

        def planned(layers: list[Layer]) -> Plan:
            return {
                id(layer.op): (layer, LOOKUP.in_slices(count) if count else UNTOUCHED)
                for layer, count in zip(layers, slices)
            }

        return rewrite(self.data, self.names, planned, MICRO, unnamed=True)

    def need(self, slices: Slices) -> Need:
        """What that file takes."""
        if slices not in self._measured:
            self._measured[slices] = micro_need(self.write(slices)[0])
        return self._measured[slices]

    def under(self, arena: float) -> Slices:
        """Every layer in the slices that take the least flash, alone in at most that arena."""
        return tuple(self._slices(number, arena) for number in range(len(self.most)))

    def arenas(self) -> list[int]:
        """The arenas between which `under` changes, the largest first."""
        found = {self.plain.arena}
        for needs in self.alone.values():
            found |= {need.arena for need in needs.values()}
        return sorted(found, reverse=True)

    def guess(self, slices: Slices) -> Need:
        """About what that file takes: what each layer saves, and the largest arena of any."""
        needs = [self.alone[number][count] for number, count in enumerate(slices) if count]
        flash = self.plain.flash + sum(need.flash - self.plain.flash for need in needs)
        return Need(flash, max((need.arena for need in needs), default=self.plain.arena))

    def _alone(self, number: int) -> dict[int, Need]:
        """The layer in 1, 2, … slices, as long as more of them make the arena smaller."""
        found: dict[int, Need] = {}
        for count in range(1, self.most[number] + 1):
            slices = [0] * len(self.most)
            slices[number] = count
            need = self.need(tuple(slices))
            if found and need.arena >= found[count - 1].arena:
                break
            found[count] = need
        return found

    def _slices(self, number: int, arena: float) -> int:
        flash = {
            count: need.flash
            for count, need in self.alone.get(number, {}).items()
            if need.arena <= arena and need.flash < self.plain.flash
        }
        return min(flash, key=flash.__getitem__, default=0)


def _within(trials: Trials, arena: int) -> Slices:
    """The least flash whose arena is at most `arena`; every layer as it is where nothing fits."""
    for cap in trials.arenas():
        slices = trials.under(min(cap, arena))
        if trials.need(slices).arena <= arena:
            return slices
    return trials.under(0)


def _best(trials: Trials, prefer: str) -> Slices:
    """The least flash, or the least flash and arena together among the most promising."""
    if prefer == "size":
        return trials.under(math.inf)
    candidates = {trials.under(cap) for cap in [*trials.arenas(), 0]}
    promising = sorted(candidates, key=lambda slices: trials.guess(slices).both)[:NEAREST]
    return min(promising, key=lambda slices: trials.need(slices).both)


def _most_slices(layer: Layer) -> int:
    if not LOOKUP.fits(layer, MICRO) or LOOKUP.size(layer, set()) >= UNTOUCHED.size(layer, set()):
        return 0
    return most_slices(layer)


def _require_integers(data: bytes) -> None:
    """ConversionError for operators whose weights or inputs are no 8-bit integers."""
    file = WeightFile(flatbuffer.read(data), UNPACK)
    wrong = []
    for operand in operands(file):
        operator = operand.operator
        kinds = [
            file.type((operator.graph, operator.inputs[place])) for place in (0, operand.input)
        ]
        if operator.kind in KINDS and kinds != ["INT8", "INT8"]:
            label = file_names([file.names(operator, operand.place[1])])[0]
            wrong.append(f"{label} ({operator.kind} on {kinds[0].lower()})")
    if wrong:
        raise ConversionError(
            "Packed(runtime='micro') packs networks that compute in 8-bit integers; these do not:"
            f" {', '.join(wrong[:5])}. Let QuantizeAware annotate every layer, or leave it out: the"
            " samples then calibrate all of them."
        )
