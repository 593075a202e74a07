"""Which tensor of a `.tflite` is the output of which layer of a Keras model.

The converter fuses normalisations, activations and paddings into the operator of another layer.
A layer without an operator of its own is computed inside the layer before it, where that one
alone feeds it, or else inside the one behind it. The tensor of a layer is then what the last of
the layers that are computed in it gives out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from tfcompress._backend.graph._activations import Runner
from tfcompress._backend.graph._calls import Call, Calls
from tfcompress._backend.graph._flavour import is_layer
from tfcompress._backend.interpreter._interpreter import CASTS, Interpreter
from tfcompress._backend.interpreter._tensors import OpInfo, TensorInfo
from tfcompress._backend.tflite._facts import KERNEL_INPUT
from tfcompress._backend.tflite._layer_names import LayerNames
from tfcompress._backend.tflite._scopes import users_names
from tfcompress.analysis.layer_error._compare import relative_error
from tfcompress.core._types import Array, Layer, Model

CLEARLY_BETTER = 0.5
"""Another pair of tensors is taken for a layer where its error is below this share of the first's;
a damaged layer must not be matched to whatever happens to look alike."""


@dataclass(frozen=True, eq=False)
class Match:
    """A layer's output in the model and in the file.

    tensor: its number in the model's `Calls`. stored: the file's tensor. operators: the kinds of
    the file's operators of this layer, in order. kernels: (operator, kernel) of those with one.
    """

    layer: str
    op: Layer
    tensor: int
    stored: TensorInfo
    operators: tuple[str, ...]
    kernels: tuple[tuple[str, TensorInfo], ...]


@dataclass(frozen=True)
class Matching:
    """matches: in the order of the network. inside: a layer without a tensor of its own → the layer
    that it is computed in. unmatched: layers that cannot be compared, each with the reason."""

    matches: tuple[Match, ...]
    inside: dict[str, str]
    unmatched: dict[str, str]


Pair = tuple[TensorInfo, int]
"""A tensor of the file and the number of one of the model."""


@dataclass(frozen=True)
class _Step:
    """An operator of the file that belongs to a layer, and the tensor it makes."""

    op: OpInfo
    output: TensorInfo


class Matcher:
    """Pairs the layers of `model`, whose calls are `graph`, with the tensors of a file."""

    def __init__(self, model: Model, graph: Calls, interpreter: Interpreter):
        self.graph, self.interpreter = graph, interpreter
        names = users_names(model, model)
        self._name_of = {id(call.layer): call.name for call in graph.calls} | names
        self._known = {info.index: info for info in interpreter.tensors()}
        self._users, self._maker = graph.users(), graph.maker()
        self._steps = self._steps_by_layer(LayerNames(model), set(names.values()))

    def match(self, arrays: Sequence[Array]) -> Matching:
        """The matching; where a layer has several tensors, a few inputs `arrays` decide."""
        pairs: dict[str, list[Pair]] = {}
        unmatched: dict[str, str] = {}
        for name, calls in self._calls_by_layer().items():
            for number, call in enumerate(calls):
                key = name if len(calls) == 1 else f"{name} (call {number + 1})"
                pairs[key] = self._pairs(call, self._share(name, number, len(calls)))
                if not pairs[key]:
                    unmatched[key] = self._reason(call, name)
        chosen = self._choose({key: found for key, found in pairs.items() if found}, arrays)
        matches = tuple(self._matched(key, pair) for key, pair in chosen.items())
        return Matching(matches, self._inside(), unmatched)

    def _steps_by_layer(self, names: LayerNames, users: set[str]) -> dict[str, list[_Step]]:
        steps: dict[str, list[_Step]] = {}
        for op in self.interpreter.ops():
            output = self._known.get(op.outputs[0]) if op.outputs else None
            if op.kind in CASTS or output is None:
                continue
            layer = output.name if output.name in users else ""
            if not layer:
                kernel = self._kernel(op)
                texts = [info.name for info in (kernel, output) if info is not None]
                layer = names.find(*texts) or self._layer_at_the_end(output)
            steps.setdefault(layer, []).append(_Step(op, output))
        return steps

    def _layer_at_the_end(self, output: TensorInfo) -> str:
        """The layer whose output the file gives out under a name of its own; "" for others."""
        casts = {op.inputs[0]: op.outputs[0] for op in self.interpreter.ops() if op.kind in CASTS}
        ends = [info.index for info in self.interpreter.outputs]
        for index in (output.index, casts.get(output.index, -1)):
            if index in ends and len(ends) == len(self.graph.outputs):
                maker = self._maker.get(self.graph.outputs[ends.index(index)])
                return self._name_of[id(maker.layer)] if maker else ""
        return ""

    def _kernel(self, op: OpInfo) -> TensorInfo | None:
        place = KERNEL_INPUT.get(op.kind)
        if place is None or place >= len(op.inputs):
            return None
        return self._known.get(op.inputs[place])

    def _calls_by_layer(self) -> dict[str, list[Call]]:
        """The calls of every layer that the file has operators of."""
        calls: dict[str, list[Call]] = {}
        for call in self.graph.calls:
            name = self._name_of[id(call.layer)]
            if name in self._steps and call.outputs:
                calls.setdefault(name, []).append(call)
        return calls

    def _share(self, name: str, number: int, calls: int) -> list[_Step]:
        """The operators of one of `calls` calls of a layer; none where they cannot be told."""
        steps = self._steps[name]
        each, rest = divmod(len(steps), calls)
        return [] if rest else steps[number * each : (number + 1) * each]

    def _pairs(self, call: Call, steps: Sequence[_Step]) -> list[Pair]:
        """What may be the layer's output, the likeliest first: the last of both."""
        places = reversed([*call.outputs, *(each.outputs[0] for each in self._followers(call))])
        outputs = [step.output for step in reversed(steps)]
        return [
            (output, place)
            for place, output in product(list(places), outputs)
            if self._size(place) == prod(size or 1 for size in output.shape[1:])
        ]

    def _followers(self, call: Call) -> list[Call]:
        """The calls behind `call` that have no operator of their own and take only its output."""
        followers: list[Call] = []
        tensor = call.outputs[0]
        while len(self._users[tensor]) == 1 and tensor not in self.graph.outputs:
            behind = self._users[tensor][0]
            is_own = self._name_of[id(behind.layer)] in self._steps
            if is_own or len(set(behind.inputs)) != 1 or len(behind.outputs) != 1:
                break
            followers.append(behind)
            tensor = behind.outputs[0]
        return followers

    def _size(self, tensor: int) -> int:
        """Elements of a tensor [n, …] for one input; −1 where it has no such shape."""
        shape = self.graph.shapes[tensor]
        if not shape or shape[0] is not None:
            return -1
        sizes = [size for size in shape[1:] if size is not None]
        return prod(sizes) if len(sizes) == len(shape) - 1 else -1

    def _reason(self, call: Call, name: str) -> str:
        count = len(self._steps[name])
        calls = sum(self._name_of[id(each.layer)] == name for each in self.graph.calls)
        if count % calls:
            return f"it is called {calls} times, and the file has {count} operators of it"
        sizes = " or ".join(f"{self._size(tensor):,}" for tensor in call.outputs)
        return f"none of its {count} tensors in the file has {sizes} values an input"

    def _choose(self, pairs: dict[str, list[Pair]], arrays: Sequence[Array]) -> dict[str, Pair]:
        """One pair a layer: the first, unless another agrees much better on the inputs."""
        open_pairs = [pair for found in pairs.values() if len(found) > 1 for pair in found]
        errors = self._errors(open_pairs, arrays) if open_pairs else {}
        chosen: dict[str, Pair] = {}
        for key, found in pairs.items():
            chosen[key] = found[0]
            for pair in found[1:]:
                if errors[_key(pair)] < CLEARLY_BETTER * errors[_key(chosen[key])]:
                    chosen[key] = pair
        return chosen

    def _errors(
        self, pairs: Sequence[Pair], arrays: Sequence[Array]
    ) -> dict[tuple[int, int], float]:
        places = list(dict.fromkeys(place for _, place in pairs))
        exact = dict(zip(places, Runner(self.graph, places).all(arrays, len(arrays[0]))))
        stored = file_values(self.interpreter, [info for info, _ in pairs], arrays)
        return {
            _key(pair): relative_error(values.reshape(exact[pair[1]].shape), exact[pair[1]])
            for pair, values in zip(pairs, stored)
        }

    def _matched(self, key: str, pair: Pair) -> Match:
        call = self._call_of(key)
        steps = self._steps[self._name_of[id(call.layer)]]
        kernels = [(step.op.kind, self._kernel(step.op)) for step in steps]
        return Match(
            layer=key,
            op=call.layer,
            tensor=pair[1],
            stored=pair[0],
            operators=tuple(step.op.kind for step in steps),
            kernels=tuple((kind, info) for kind, info in kernels if info is not None),
        )

    def _call_of(self, key: str) -> Call:
        name = key.rsplit(" (call ", 1)[0]
        return self._calls_by_layer()[name][0]

    def _inside(self) -> dict[str, str]:
        """Layers without an operator of their own → the layer that computes them."""
        owner: dict[str, str] = {}
        for name, calls in self._calls_by_layer().items():
            for follower in (each for call in calls for each in self._followers(call)):
                owner.setdefault(self._name_of[id(follower.layer)], name)
        for call in self.graph.calls:
            name = self._name_of[id(call.layer)]
            if is_layer(call.layer) and name not in self._steps and name not in owner:
                owner[name] = self._behind(call) or self._before(call)
        return owner

    def _behind(self, call: Call) -> str:
        """The next layer behind a call that has operators; "" where there is none."""
        waiting = list(call.outputs)
        while waiting:
            for user in self._users[waiting.pop(0)]:
                name = self._name_of[id(user.layer)]
                if name in self._steps:
                    return name
                waiting += user.outputs
        return ""

    def _before(self, call: Call) -> str:
        """The same before a call."""
        waiting = list(call.inputs)
        while waiting:
            maker = self._maker.get(waiting.pop(0))
            if maker is None:
                continue
            name = self._name_of[id(maker.layer)]
            if name in self._steps:
                return name
            waiting += maker.inputs
        return ""


def file_values(
    interpreter: Interpreter, infos: Sequence[TensorInfo], arrays: Sequence[Array]
) -> list[Array]:
    """The real values [n, …] of a file's tensors, from runs on one input after the other."""
    return [
        info.real(values) for info, values in zip(infos, stored_values(interpreter, infos, arrays))
    ]


def stored_values(
    interpreter: Interpreter, infos: Sequence[TensorInfo], arrays: Sequence[Array]
) -> list[Array]:
    """The same as the file stores them."""
    import numpy as np

    rows: list[list[Array]] = [[] for _ in infos]
    for number in range(len(arrays[0])):
        interpreter.run([array[number : number + 1] for array in arrays])
        for row, info in zip(rows, infos):
            row.append(interpreter.value(info.index))
    return [np.stack(row) for row in rows]


def _key(pair: Pair) -> tuple[int, int]:
    return pair[0].index, pair[1]
