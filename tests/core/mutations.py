"""Texts damaged at random, the same way in every run."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator

WRONG = ("5", "-1", "1e999", "NaN", "null", "true", '"x"', "[]", "{}", '{"class": 5}', "[[[1]]]")
BYTES = '{}[]",:=.\\0123456789abcdefé\n\x00 -'


def mutations(text: str, count: int, seed: int = 0) -> Iterator[str]:
    """`count` damaged copies of a text: bytes changed, cut, doubled, and values of other types."""
    rng = random.Random(seed)
    values = [match.span() for match in re.finditer(r'"[^"]*"|-?\d+\.?\d*|true|false|null', text)]
    for _ in range(count):
        kind = rng.randrange(4)
        if kind == 0:
            start, end = rng.choice(values)
            yield text[:start] + rng.choice(WRONG) + text[end:]
        elif kind == 1:
            place = rng.randrange(len(text))
            yield text[:place] + rng.choice(BYTES) + text[place + 1 :]
        elif kind == 2:
            start, end = sorted(rng.sample(range(len(text) + 1), 2))
            yield text[:start] + text[end:]
        else:
            start, end = sorted(rng.sample(range(len(text) + 1), 2))
            yield text[:end] + text[start:]


def json_mutations(text: str, count: int, seed: int = 0) -> Iterator[str]:
    """`count` copies of JSON text in each of which one value, anywhere, is another."""
    rng = random.Random(seed)
    for _ in range(count):
        data = json.loads(text)
        holder = data
        while True:
            key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
            inner = holder[key]
            if not (isinstance(inner, (dict, list)) and inner) or rng.random() < 0.2:
                break
            holder = inner
        if rng.random() < 0.2 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = json.loads(rng.choice(WRONG))
        yield json.dumps(data)
