"""A file's inputs and outputs: their names, their order, and whether values fit them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from tfcompress._backend.interpreter._tensors import Detail, TensorInfo, tensor_info
from tfcompress.core._errors import DataError
from tfcompress.core._types import Array


def under_signature(details: Sequence[Detail], signature: Mapping[str, int]) -> list[TensorInfo]:
    """The inputs or outputs under the signature's names {name: tensor}.

    Those that a converter numbered go by their number; where the tensors themselves have the
    names, a user gave them, and they are in the order wanted.
    """
    names = {index: name for name, index in signature.items()}
    infos = [tensor_info(detail, names.get(detail["index"])) for detail in details]
    given = all(info.name == detail["name"] for info, detail in zip(infos, details))
    numbers = [re.fullmatch(r"output_(\d+)", info.name) for info in infos]
    places = [int(number[1]) for number in numbers if number]
    if not signature or given or len(places) < len(infos):
        return infos
    return [infos[place] for place in np.argsort(places)]


def in_order(infos: Sequence[TensorInfo], names: Sequence[str] | None) -> tuple[TensorInfo, ...]:
    """The tensors in the order of `names`, where those are theirs; else as they are."""
    known = {info.name: info for info in infos}
    if names is None or set(names) != set(known):
        return tuple(infos)
    return tuple(known[name] for name in names)


def require_fit(info: TensorInfo, values: Array, what: str) -> None:
    """DataError where values of this shape cannot be written into an input of the file `what`."""
    same_rank = values.ndim == len(info.shape)
    pairs = zip(info.shape, values.shape)
    if not same_rank or any(wanted not in (None, came) for wanted, came in pairs):
        raise DataError(
            f"{what}: input {info.name!r} takes {list(info.shape)}; {list(values.shape)} came."
        )
