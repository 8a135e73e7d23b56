"""Elements that hash alike: as many as Python compares in linear time become a set or a map, no more."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from obsku_checkpoint import codec
from obsku_checkpoint.codec import Map, TaggedDict, tables
from obsku_checkpoint.codec.hashes import MAX_ALIKE, MAX_ITEMS, MAX_LEVELS
from obsku_checkpoint.errors import SerializationError

#: numbers that differ by multiples of it have one hash, in every process
PRIME = 2**61 - 1

#: different values of one hash
FAMILIES: dict[str, Callable[[int], Hashable]] = {
    "int": lambda n: PRIME * (n + 1),
    "negative int": lambda n: -PRIME * (n + 1),
    "float": lambda n: 2.0 ** (61 * (n % 16)) if n < 16 else PRIME * (n + 1) + 1,
    "Decimal": lambda n: Decimal(PRIME * (n + 1)),
    "UUID": lambda n: uuid.UUID(int=PRIME * (n + 1)),
    "tuple": lambda n: (uuid.UUID(int=PRIME * (n + 1)),),
    "tuple of sixteen": lambda n: (*range(15), PRIME * (n + 1)),
    "frozenset": lambda n: frozenset({PRIME * (n + 1)}),
    "tuple in a frozenset": lambda n: frozenset({(PRIME * (n + 1), "x")}),
    "registered type": lambda n: Money(PRIME * (n + 1)),
}
PLACES: dict[str, Callable[[list[Any]], Any]] = {
    "set": set,
    "keys": lambda elements: Map(dict.fromkeys(elements, 0)),
    "map of text": lambda elements: {"a": [Map({"x": set(elements)})]},
    "set in a set": lambda elements: {frozenset(elements)},
    "tuple in a set": lambda elements: {(0, (frozenset(elements),))},
    "set in a key": lambda elements: {("k", frozenset(elements)): 1},
}


class Money:
    compared = 0

    def __init__(self, amount: Any) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        Money.compared += 1
        return isinstance(other, Money) and self.amount == other.amount

    def __hash__(self) -> int:
        return hash(self.amount)


@pytest.fixture(autouse=True)
def money() -> Iterator[None]:
    codec.register(Money, "Money", lambda one: one.amount, Money)
    yield
    codec.unregister("Money")


def alike(value: Any) -> int:
    """The greatest number of elements of one hash in a set, or of keys in a dict, anywhere in the value."""
    most = 1
    nodes = [value]
    for node in nodes:
        if isinstance(node, dict):
            nodes.extend(node.values())
        if isinstance(node, set | frozenset | dict):
            most = max(most, *Counter(map(hash, node)).values(), 0)
        if isinstance(node, set | frozenset | dict | list | tuple):
            nodes.extend(node)
    return most


def text_of(place: str, elements: list[Hashable]) -> str:
    """The text in which there are so many that :func:`dumps` refuses them: made of the texts of the elements."""
    texts = [codec.dumps([element])[1:-1].replace('"Set"', '"Set?"') for element in elements]
    stand_ins = [f"element {n}" for n in range(len(elements))]
    text = codec.dumps(PLACES[place](stand_ins))
    for stand_in, element in zip(stand_ins, texts, strict=True):
        text = text.replace(f'"{stand_in}"', element, 1)
    return text.replace('"Set?"', '"Set"')


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", FAMILIES)
def test_as_many_as_may_hash_alike_come_back_and_one_more_is_refused(family: str, place: str) -> None:
    elements = list(map(FAMILIES[family], range(MAX_ALIKE + 1)))
    assert len({hash(element) for element in elements}) == 1
    value = PLACES[place](elements[:-1])

    assert codec.loads(codec.dumps(value)) == value
    with pytest.raises(SerializationError, match=f"more than {MAX_ALIKE} .* hash alike"):
        codec.dumps({"x": PLACES[place](elements)})


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_with_more_is_read_without_a_set_of_them_and_written_again(family: str, place: str) -> None:
    for count in (MAX_ALIKE + 1, MAX_ITEMS):
        text = text_of(place, list(map(FAMILIES[family], range(count))))
        Money.compared = 0
        back = codec.loads(text)

        assert alike(back) <= MAX_ALIKE
        assert Money.compared <= MAX_ALIKE * count
        assert "TaggedDict" in {type(node).__name__ for node in (back, *nodes_of(back))}
        assert codec.loads(codec.dumps(back)) == back
        assert len(codec.dumps(back)) == len(text)


def nodes_of(value: Any) -> Iterator[Any]:
    nodes = [value]
    for node in nodes:
        if isinstance(node, dict):
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
    yield from nodes


def test_texts_and_bytes_are_held_whatever_they_hash_to() -> None:
    value = [{f"{n}" for n in range(5_000)}, {f"{n}".encode() for n in range(5_000)}]

    assert codec.loads(codec.dumps(value)) == value


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_honest_elements_that_hash_alike_come_back(size: int) -> None:
    numbers = {-1, -2, -1.5, 0}
    grid: set[Any] = {()}
    for _ in range(size):
        grid = {(*point, number) for point in grid for number in numbers}
    value = [grid, dict.fromkeys(grid, 1), {2**n for n in range(300)}, {2.0**-n for n in range(1_000)}]

    assert codec.loads(codec.dumps(value)) == value


def squared(depth: int, n: int) -> frozenset[Any]:
    """Sets of two sets of two sets …, all of one hash: two are compared in time with the square of their size."""
    inner = [squared(depth - 1, 2 * n + i) if depth else PRIME * (2 * n + i + 1) for i in (0, 1)]
    return frozenset(inner)


def test_comparisons_multiply_where_sets_hold_sets_that_hash_alike() -> None:
    fits, too_deep = {squared(2, 0), squared(2, 1)}, {squared(4, 0), squared(4, 1)}
    assert alike(fits) == alike(too_deep) == 2

    assert codec.loads(codec.dumps(fits)) == fits
    with pytest.raises(SerializationError, match="hash alike"):
        codec.dumps(too_deep)


@pytest.mark.parametrize("other", [float(2**70), 2**70, 10**90, (2.0**70, "x")])
def test_decimals_are_not_compared_with_what_takes_long(other: Any) -> None:
    number = hash(other[0] if type(other) is tuple else other)
    decimal = Decimal(number + PRIME)
    elements = {other, (decimal, "x") if type(other) is tuple else decimal}
    assert len({hash(element) for element in elements}) == 1

    with pytest.raises(SerializationError, match="hash alike"):
        codec.dumps(elements)
    with pytest.raises(SerializationError, match="hash alike"):
        codec.dumps({frozenset(elements)})


def test_a_tagged_dict_of_elements_that_hash_alike_is_written_again_from_anywhere() -> None:
    numbers = [{"__type": "BigInt", "value": str(PRIME * (n + 5000))} for n in range(MAX_ALIKE + 1)]
    text = json.dumps({"__type": "Map", "value": [[number, number] for number in numbers]}, separators=(",", ":"))
    back = codec.loads(text)

    assert type(back) is TaggedDict
    assert codec.dumps([{"x": back}]) == f'[{{"x":{text}}}]'


def test_long_tuples_may_not_be_as_many() -> None:
    few, many = ({(*range(17), PRIME * (n + 1)) for n in range(count)} for count in (8, 9))

    assert codec.loads(codec.dumps(few)) == few
    with pytest.raises(SerializationError, match="hash alike"):
        codec.dumps(many)


SPREAD: dict[str, Callable[[int], Hashable]] = {
    "int": lambda n: n,
    "negative int": lambda n: -n,
    "time": lambda n: 1_700_000_000_000 + 3_600_000 * n,
    "multiple of 2**10": lambda n: n << 10,
    "multiple of 2**12": lambda n: n << 12,
    "multiple of 2**13": lambda n: n << 13,
    "multiple of 2**20": lambda n: n << 20,
    "multiple of 2**24": lambda n: n << 24,
    "multiple of a million": lambda n: n * 1_000_000,
    "random float": lambda n: random.Random(n).random(),
    "tenth": lambda n: n / 10,
    "hundredth": lambda n: n / 100,
    "thousandth": lambda n: n / 1000,
    "quarter": lambda n: n / 4,
    "eighth": lambda n: n / 8,
    "time in milliseconds": lambda n: 1.7e9 + n / 1000,
    "Decimal": lambda n: Decimal(n) / 100,
    "UUID": lambda n: uuid.UUID(int=n**7 % 2**128),
    "date": lambda n: dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=n),
    "tuple": lambda n: (n // 300, n % 300),
    "set": lambda n: frozenset({n, n + 1}),
    "mixed": lambda n: (n, n + 0.5, Decimal(n) + Decimal("0.25"), str(n))[n % 4],
}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *[(name, 12_000) for name in SPREAD],
        *[
            (name, count)
            for name in ("int", "hundredth", "eighth", "time in milliseconds")
            for count in (50_000, 87_000, 100_000)
        ],
        *[(name, 87_000) for name in ("time", "UUID", "random float", "multiple of 2**12", "multiple of 2**13")],
    ],
)
def test_many_honest_elements_come_back(name: str, count: int) -> None:
    elements = list(map(SPREAD[name], range(count)))
    back = codec.loads(codec.dumps([set(elements), dict.fromkeys(reversed(elements))]))

    assert back == [set(elements), dict.fromkeys(elements)]
    assert list(back[1]) == elements[::-1]


#: of these a set or a dict may take Python more steps than are followed, which depends on its size
CROWDED: dict[str, Callable[[int], Hashable]] = {
    "multiple of 2**40": lambda n: n << 40,
    "multiple of 2**50": lambda n: n << 50,
    "fraction of a power of two": lambda n: n / 2**16,
}


@pytest.mark.parametrize("whole", [set, dict.fromkeys, lambda elements: {(1, n) for n in elements}])
@pytest.mark.parametrize("count", [1_000, 1_400, 10_900, 43_000])
@pytest.mark.parametrize("name", CROWDED)
def test_crowded_elements_come_back_or_are_refused(name: str, count: int, whole: Callable[[Any], Any]) -> None:
    value = whole(list(map(CROWDED[name], range(count))))
    text = reason = ""
    try:
        text = codec.dumps(value)
    except SerializationError as error:
        reason = error.reason
    if reason:
        assert count > tables.SMALL
        assert "searches its tables" in reason
    else:
        assert codec.loads(text) == value


def nested(levels: int, kind: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = kind([value])
    return value


@pytest.mark.parametrize("kind", [tuple, frozenset])
def test_elements_are_nested_as_deep_and_as_long_as_is_allowed_and_no_more(kind: Callable[[Any], Any]) -> None:
    for fits, too_much in (
        (nested(MAX_LEVELS, kind), nested(MAX_LEVELS + 1, kind)),
        ((0, kind(range(MAX_ITEMS))), (0, kind(range(MAX_ITEMS + 1)))),
    ):
        for whole in (lambda element: {element, 2}, lambda element: {element: [1]}):
            value = whole(fits)
            assert codec.loads(codec.dumps(value)) == value
            with pytest.raises(SerializationError, match=r"levels or .* items") as caught:
                codec.dumps({"x": [whole(too_much)]})
            assert caught.value.path.startswith("$.x[0]")


@pytest.mark.parametrize("element", ["[" * 6 + "]" * 6, "[" * 900 + "]" * 900, json.dumps([0] * 1001)])
def test_a_text_with_deeper_or_longer_elements_is_read_as_a_plain_object_and_written_again(element: str) -> None:
    for text in ('{"__type":"Set","value":[%s]}', '{"__type":"Map","value":[[%s,1]]}'):
        document = (text % element).replace(" ", "")
        back = codec.loads(document)

        assert type(back) is TaggedDict
        if len(element) < 1_800 or "0" in element:
            assert codec.dumps(back) == document


def searching(count: int, block: int) -> list[int]:
    """Numbers of different hashes: most fill a table in the order of a search, by so many places; the others search."""
    slots = 1 << (count * 3 // 2).bit_length()
    taken, place = dict[int, None](), 0
    while len(taken) < count * 2 // 3:
        taken.update(dict.fromkeys(range(place, min(place + block, slots))))
        place = (5 * place + 1) % slots
    early = list(taken)[: count // 6]
    return [*taken, *(at + slots * n for n in range(1, 9) for at in early)][:count]


@pytest.mark.parametrize("count", [60_000, 90_000])
def test_elements_that_search_the_places_of_most_others_stay_in_a_plain_object(count: int) -> None:
    for text, value in (
        ('{"__type":"Set","value":%s}', searching(count, 10)),
        ('{"__type":"Map","value":%s}', [[n, n] for n in searching(count, 1)]),
    ):
        document = text % json.dumps(value, separators=(",", ":"))
        back = codec.loads(document)

        assert type(back) is TaggedDict
        assert codec.dumps(back) == document
    with pytest.raises(SerializationError, match="searches"):
        codec.dumps(dict.fromkeys(searching(count, 1)))
    with pytest.raises(SerializationError, match="searches"):
        codec.dumps({"x": set(searching(count, 10))})


class Hashed:
    def __init__(self, value: int) -> None:
        self.value = value

    def __hash__(self) -> int:
        return self.value


@pytest.mark.parametrize("count", [5, 400, 1_300, 20_000, 45_000, 90_000])
@pytest.mark.parametrize("name", ["int", "tenth", "negative int", "multiple of a million", "tuple", "date"])
def test_the_search_of_this_python_is_the_one_that_is_followed(name: str, count: int) -> None:
    """Where this fails, CPython's sets have changed, and `codec.tables` has to."""
    hashes = list(dict.fromkeys(hash(SPREAD[name](n * 7 % count)) for n in range(count)))

    assert tables.order_in_set(hashes) == [hash(one) for one in set(map(Hashed, hashes))]
