"""Which of the user's layers an operator came from, by the paths in its tensors' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

KERNEL_OPERATIONS = ("Conv2D", "Conv3D", "MatMul", "conv_transpose", "convolution", "depthwise")
"""Last parts of a path that name the operation with the kernel; a BatchNormalization folded into it
has a path of its own in the same name."""

INSIDE = re.compile(
    r"(Stateful)?PartitionedCall|ReadVariableOp|Tensordot|einsum|embedding_lookup"
    r"|while(_body)?|(lstm|gru|simple_rnn|conv_lstm)_cell(_?\d+)?|(forward|backward)_\w+"
)
"""Parts of a path that are no layers."""


@dataclass(frozen=True)
class Unnamed:
    """What is known of an operator whose layer is looked for: names of its tensors, weights."""

    texts: Sequence[str]
    size: int


Kernels = Mapping[str, Collection[int]]
"""The user's layers with weights, in order, and the sizes of their kernels where they are known."""


def user_names(kernels: Kernels, operators: Sequence[Unnamed]) -> list[str]:
    """The layer of each operator among `kernels`; else what tells it apart in the file.

    Keras 3 appends a number to every name on the way, tf_keras does not, and both call layers conv,
    conv_1, …: whichever reading names more layers is right. What has no path (Keras 3 loses that of
    a grouped convolution) is the next layer with a kernel of its size that no other operator has.
    """
    own = [next(iter(operator.texts), "") for operator in operators]
    if all(name in kernels for name in own):
        return own  # the converter's door gave every tensor its layer's name
    numbered = [_known(kernels, operator.texts, numbered=True) for operator in operators]
    exact = [_known(kernels, operator.texts, numbered=False) for operator in operators]
    names = exact if len(set(exact) - {""}) > len(set(numbered) - {""}) else numbered
    unused = [name for name in kernels if name not in names]
    for place, operator in enumerate(operators):
        if names[place]:
            continue
        same_size = [name for name in unused if operator.size in kernels[name]]
        if same_size:
            names[place] = same_size[0]
            unused.remove(same_size[0])
    return [name or path_name(*operator.texts) for name, operator in zip(names, operators)]


def file_names(operators: Sequence[Sequence[str]]) -> list[str]:
    """What a file alone tells of each operator's layer.

    A name without a path is the layer's own. Where all paths end in numbers, these are Keras 3's.
    """
    names = [path_name(*texts) for texts in operators]
    from_paths = {name for name, texts in zip(names, operators) if name not in texts}
    plain = {name: re.sub(r"_\d+$", "", name) for name in from_paths}
    all_numbered = all(name != plain[name] for name in from_paths)
    if all_numbered and len(set(plain.values())) == len(plain):
        return [plain.get(name, name) for name in names]
    return names


def path_name(*texts: str) -> str:
    """The layer in a converter's tensor name: `net/conv1_1/convolution` → `conv1_1`."""
    for text in texts:
        if not text or text.startswith(("arith.", "tfl.")):
            continue
        paths = [path.split("/") for path in text.split(";")]
        path = min(paths, key=_rank)
        if len(path) == 1 and not _is_operation(path[0]):
            return path[0]
        layers = [part for part in path[:-1] if not INSIDE.fullmatch(part)]
        if layers:
            return layers[-1]
    return next(iter(texts), "")


def _rank(path: Sequence[str]) -> int:
    """0 for the path of a kernel's operation, 1 for another path, 2 for no path."""
    if len(path) == 1:
        return 2
    return 0 if _is_operation(path[-1]) else 1


def _is_operation(text: str) -> bool:
    """Whether a name is that of an operation with a kernel, with or without a number behind."""
    return re.sub(r"_?\d+$", "", text) in KERNEL_OPERATIONS


def _known(names: Collection[str], texts: Sequence[str], *, numbered: bool) -> str:
    """The longest of `names` in the first text that holds one, with or without a number behind."""
    for text in texts:
        parts = re.split("[/;]", text)
        plain = [re.sub(r"_\d+$", "", part) for part in parts]
        for candidates in (plain, parts) if numbered else (parts, plain):
            known = [part for part in candidates if part in names]
            if known:
                return max(known, key=len)
    return ""
