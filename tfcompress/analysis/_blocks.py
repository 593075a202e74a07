"""Residual blocks: which layers lie between one sum and the next."""

from __future__ import annotations

from tfcompress._backend.graph._calls import Calls

SUMS = ("Add", "TFOpLambda", "__add__")


def blocks_of(graph: Calls) -> dict[str, str]:
    """Layer → the name of the sum at the end of its block: the first sum that it leads to.

    Layers behind the last sum have none.
    """
    maker = graph.maker()
    blocks: dict[str, str] = {}
    for call in graph.calls:
        if call.kind not in SUMS or len(call.inputs) < 2:
            continue
        waiting, seen = list(call.inputs), set()
        while waiting:
            tensor = waiting.pop()
            before = maker.get(tensor)
            if before is None or tensor in seen or before.name in blocks:
                continue
            seen.add(tensor)
            blocks[before.name] = call.name
            waiting += before.inputs
    return blocks
