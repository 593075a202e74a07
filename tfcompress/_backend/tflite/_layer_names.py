"""Which layer of a model a tensor of a written file belongs to, by its name."""

from __future__ import annotations

import re

from tfcompress._backend import bridge as doors
from tfcompress._backend.tflite._rebuild import is_recurrent
from tfcompress._backend.tflite._scopes import users_names
from tfcompress.core._types import Model


class LayerNames:
    """Looks up the user's layers of `model` in tensor names.

    In a finished file a tensor has the layer's own name, an output perhaps with a number. Names
    that the converter gave, such as `model/block1/conv2d_1/Conv2D;…`, are taken by their parts.
    """

    def __init__(self, model: Model):
        self._users: dict[str, str] = {}
        self._loops: list[str] = []
        names = users_names(model, model)
        layers = doors.leaf_layers(model)
        self._users |= {name: name for name in names.values()}
        for layer in layers:
            name = names[id(layer)]
            self._users.setdefault(layer.name, name)
            if is_recurrent(layer):
                self._loops.append(name)

    def find(self, *names: str) -> str:
        """The user's name of the first layer that any of the `names` belongs to, or ""."""
        for name in names:
            for place in name.split(";"):
                layer = self._users.get(place) or self._by_parts(place)
                if layer:
                    return layer
        return ""

    def _by_parts(self, place: str) -> str:
        for part in reversed(place.split("/")):
            # Graph scopes and fused tensors append a number to make a name unique.
            for candidate in (part, re.sub(r"_?\d+$", "", part)):
                if candidate in self._users:
                    return self._users[candidate]
        # A loop's body forgets whose it is.
        only_loop = place.startswith("while/") and len(self._loops) == 1
        return self._loops[0] if only_loop else ""
