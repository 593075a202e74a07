"""Which layer of a model an operator of its graph or file came from, by the path in its name."""

from __future__ import annotations

import re
from typing import Any

from tfcompress._backend import bridge as doors
from tfcompress._backend.tflite._rebuild import is_recurrent, quantized


class LayerNames:
    """Looks up leaf layers of `model` in names such as `model/block1/conv2d_1/Conv2D;model/block1/bn/FusedBatchNormV3`."""

    def __init__(self, model: Any):
        self._users: dict[str, str] = {}
        self._loops: list[str] = []
        for layer in doors.leaf_layers(model):
            inner = layer.layer if quantized(layer) and hasattr(layer, "layer") else layer
            self._users[layer.name] = inner.name
            if is_recurrent(inner):
                self._loops.append(inner.name)

    def find(self, *names: str) -> str:
        """The user's name of the first layer that any of the operator's tensor `names` belongs to; "" where none does."""
        for name in names:
            for path in name.split(";"):
                for part in reversed(path.split("/")):
                    # Graph scopes and fused tensors append a number to make a name unique.
                    for candidate in (part, re.sub(r"_?\d+$", "", part)):
                        if candidate in self._users:
                            return self._users[candidate]
                if (
                    path.startswith("while/") and len(self._loops) == 1
                ):  # a loop's body forgets whose it is
                    return self._loops[0]
        return ""
