"""``python -m benchmarks.adversarial --search``: looks for documents that take longer to read than those thought of.

A document repeats one shape, a tree of arrays, objects, tags and atoms. The slowest shapes found so far are changed at
one place each, at random; what is slower takes the place of what was changed. A run tells its seed.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any

#: what holds others, and how it is written; each has one to three of them
HOLDERS: dict[str, Callable[[list[str]], str]] = {
    "list": lambda inner: f"[{','.join(inner)}]",
    "nested": lambda inner: "[" * 30 + ",".join(inner) + "]" * 30,
    "object": lambda inner: "{" + ",".join(f'"{n}":{one}' for n, one in enumerate(inner)) + "}",
    "Set": lambda inner: f'{{"__type":"Set","value":[{",".join(inner)}]}}',
    "Map": lambda inner: f'{{"__type":"Map","value":[{",".join(f"[{one},0]" for one in inner)}]}}',
    "values": lambda inner: f'{{"__type":"Map","value":[{",".join(f"[{n},{one}]" for n, one in enumerate(inner))}]}}',
    "unknown": lambda inner: f'{{"__type":"x","y":[{",".join(inner)}]}}',
    "foreign": lambda inner: f'{{"__type":"BigInt","value":[{",".join(inner)}]}}',
}
ATOMS: dict[str, Callable[[int], str]] = {
    "integer": str,
    "multiple": lambda n: str(n << 20),
    "alike": lambda n: f'{{"__type":"BigInt","value":"{(2**61 - 1) * (n + 1)}"}}',
    "float": lambda n: str(n / 8),
    "power": lambda n: f"1e{n % 300}",
    "text": lambda n: '""',
    "surrogate": lambda n: r'"\ud800"',
    "escape": lambda n: r'"\\\ud800"',
    "private": lambda n: '"\ue000"',
    "surrogate key": lambda n: r'{"\udfff":0}',
    "nothing": lambda n: "[]",
    "empty": lambda n: "{}",
    "tag": lambda n: '{"__type":0}',
    "Date": lambda n: f'{{"__type":"Date","value":"2026-01-02T03:04:05.{n % 1000:03}Z"}}',
    "another age": lambda n: '{"__type":"Date","value":"+012345-01-02T03:04:05.678Z"}',
    "Buffer": lambda n: '{"__type":"Buffer","value":""}',
    "Decimal": lambda n: f'{{"__type":"Decimal","value":"{n}"}}',
    "no Decimal": lambda n: '{"__type":"Decimal","value":"x"}',
    "NaN": lambda n: '{"__type":"Number","value":"NaN"}',
    "no BigInt": lambda n: '{"__type":"BigInt","value":""}',
    "UUID": lambda n: f'{{"__type":"UUID","value":"{uuid.UUID(int=n)}"}}',
}
#: a name of `ATOMS`, or one of `HOLDERS` with what is in it
Shape = Any


def document(shape: Shape, size: int) -> str:
    """The shape again and again, with other numbers, in an array, a set or a map."""
    around, shape = shape
    units, length = [], 0
    for n in count():
        units.append(_written(shape, n))
        length += len(units[-1]) + 1
        if length >= size:
            return HOLDERS[around](units)
    raise AssertionError


def search(times: Callable[[str], float], minutes: float, size: int, seed: int) -> list[tuple[float, Shape]]:
    """Return the shapes whose documents took longest, with what ``times`` says of each."""
    chance = random.Random(seed)
    best: list[tuple[float, Shape]] = []
    end = monotonic() + 60 * minutes
    while monotonic() < end:
        if len(best) < 20 or chance.random() < 0.2:
            shape = chance.choice(["list", "Set", "Map"]), _shape(chance, 3)
        else:
            around, inner = chance.choice(best)[1]
            shape = chance.choice([around, "list", "Set", "Map"]), _changed(inner, chance)
        if shape not in [other for _, other in best]:
            best = sorted([*best, (times(document(shape, size)), shape)], key=lambda one: -one[0])[:20]
    return best


def _written(shape: Shape, n: int) -> str:
    if isinstance(shape, str):
        return ATOMS[shape](n)
    holder, inner = shape
    return HOLDERS[holder]([_written(one, n * len(inner) + i) for i, one in enumerate(inner)])


def _shape(chance: random.Random, depth: int) -> Shape:
    if not depth or chance.random() < 0.4:
        return chance.choice(list(ATOMS))
    return chance.choice(list(HOLDERS)), [_shape(chance, depth - 1) for _ in range(chance.randint(1, 3))]


def _changed(shape: Shape, chance: random.Random) -> Shape:
    if isinstance(shape, str) or chance.random() < 0.3:
        return _shape(chance, 2)
    holder, inner = shape
    if chance.random() < 0.2:
        return chance.choice(list(HOLDERS)), inner
    at = chance.randrange(len(inner))
    return holder, [_changed(one, chance) if i == at else one for i, one in enumerate(inner)]
