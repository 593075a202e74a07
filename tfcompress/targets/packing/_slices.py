"""Layers that are computed slice by slice: each operator gives some of the output channels."""

from __future__ import annotations

from tfcompress.targets.packing._weight_file import DECODE, Operator, WeightFile

MOST_SLICES = 10
"""Most inputs of a CONCATENATION in TensorFlow Lite for Microcontrollers."""


def slices_of(file: WeightFile, operator: Operator) -> list[Operator]:
    """The operators that together compute the layer of `operator`; that one alone, mostly.

    They read one input, decode weights of one name each, and a CONCATENATION joins their outputs.
    """
    alone = [operator]
    if not operator.outputs:
        return alone
    output = (operator.graph, operator.outputs[0])
    consumers = file.consumers.get(output, [])
    if len(consumers) != 1 or consumers[0].kind != "CONCATENATION" or file.is_output(output):
        return alone
    parts = [file.producers.get((operator.graph, index)) for index in consumers[0].inputs]
    named = {_layer_of(file, part) for part in parts}
    if len(named) > 1 or None in named:
        return alone
    return [part for part in parts if part is not None]


def _layer_of(file: WeightFile, operator: Operator | None) -> tuple[str, int, str] | None:
    """(kind, input, name of the weights) of an operator that decodes them; None of another."""
    if operator is None or len(operator.inputs) < 2:
        return None
    weight = (operator.graph, operator.inputs[1])
    producer = file.producers.get(weight)
    name = file.tensor(weight).name
    if producer is None or producer.kind != DECODE or not name:
        return None
    return operator.kind, operator.inputs[0], str(name)
