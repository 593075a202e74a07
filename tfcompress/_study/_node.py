"""What a study shares: the models that several cells start from, and in which order all is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress._study._fingerprint import fingerprint
from tfcompress.core import Recipe, Technique


@dataclass(frozen=True)
class Node:
    """A model that several cells start from.

    It is the base (no techniques), or what a prefix of their techniques made of it.
    `key` is its content address, so that another run, or another process, finds the same model.
    """

    key: str
    seed: int
    techniques: tuple[Technique, ...] = ()
    parent: Node | None = None
    given: bool = False

    @property
    def name(self) -> str:
        """The stem of its file."""
        words = "-".join(technique.label for technique in self.techniques) or "base"
        return (
            f"{words}-{self.key[:12]}" if self.given else f"{words}-seed{self.seed}-{self.key[:12]}"
        )

    @property
    def depth(self) -> int:
        """How many shared models it was made from."""
        return 0 if self.parent is None else self.parent.depth + 1


def shared_prefixes(recipes: Sequence[Recipe]) -> list[tuple[Technique, ...]]:
    """The longest runs of leading techniques that the same recipes share, shorter ones first.

    Of a-b-int8, a-b-c-int8, a-d-int8 and e-int8: (a) and (a, b).
    """
    users: dict[str, set[int]] = {}
    prefixes: dict[str, tuple[Technique, ...]] = {}
    inner: dict[str, str] = {}  # the next shorter prefix
    for number, recipe in enumerate(recipes):
        before = ""
        for length in range(1, len(recipe.techniques) + 1):
            prefix = tuple(recipe.techniques[:length])
            key = fingerprint(prefix, lasting=False)
            users.setdefault(key, set()).add(number)
            prefixes[key], inner[key] = prefix, before
            before = key
    swallowed = {inner[key] for key in users if inner[key] and users[key] == users[inner[key]]}
    wanted = [prefixes[key] for key in users if len(users[key]) > 1 and key not in swallowed]
    return sorted(wanted, key=len)


def tree(
    root: Node,
    prefixes: Iterable[tuple[Technique, ...]],
    training_key: str,
    *,
    lasting: bool = True,
) -> list[Node]:
    """A node for every prefix, each made from the longest one before it; `root` first."""
    nodes = [root]
    for prefix in prefixes:
        parent = start_of(prefix, nodes, whole=False)
        key = fingerprint(prefix, root.seed, root.key, training_key, lasting=lasting)
        nodes.append(Node(key, root.seed, prefix, parent))
    return nodes


def start_of(techniques: Sequence[Technique], nodes: Sequence[Node], *, whole: bool = True) -> Node:
    """The node with the longest prefix of `techniques`; with `whole` all of them may be its."""
    most = len(techniques) - (not whole)
    fitting = [
        n
        for n in nodes
        if len(n.techniques) <= most and tuple(techniques[: len(n.techniques)]) == n.techniques
    ]
    return max(fitting, key=lambda node: len(node.techniques))


def needed_nodes(
    nodes: Iterable[Node], starts: Iterable[Node], there: Callable[[Node], bool]
) -> list[Node]:
    """The shared models that must be made for cells that start from `starts`.

    They are those of two or more users, and a base that must be built.
    What a single cell or model needs it trains itself, starting from the next shorter prefix.
    """
    users: dict[str, int] = {}
    for node in starts:
        users[node.key] = users.get(node.key, 0) + 1
    shared: dict[str, Node] = {}
    for node in sorted(nodes, key=lambda node: -node.depth):
        count = users.get(node.key, 0)
        if not count or there(node):
            continue
        if node.parent is None or count > 1:
            shared[node.key] = node
            count = 1
        if node.parent is not None:
            users[node.parent.key] = users.get(node.parent.key, 0) + count
    return sorted(shared.values(), key=lambda node: node.depth)


def waves(nodes: Iterable[Node], cells: Iterable[Any]) -> list[list[Any]]:
    """Jobs in rounds: everything in one round needs only what the rounds before it made.

    Models come first, as others wait for them.
    """
    rounds: dict[int, list[Any]] = {}
    for node in nodes:
        rounds.setdefault(node.depth, []).append(node)
    for cell in cells:
        rounds.setdefault(cell.start.depth + 1, []).append(cell)
    return [rounds[number] for number in sorted(rounds)]
