"""Properties of JSON-plus that hold for any value and any text."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obsku_checkpoint import codec
from obsku_checkpoint.codec import MAX_DEPTH, Map, TaggedDict
from obsku_checkpoint.errors import CheckpointCorruptionError, SerializationError

relaxed = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))


class Color(enum.Enum):
    RED = 1


class Text(str):
    __slots__ = ()


def is_writable(text: str) -> bool:
    """Two surrogates that make a pair are refused."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").count("\ufffd") == sum(
        "\ud800" <= c <= "\udfff" or c == "\ufffd" for c in text
    )


texts = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=8).filter(is_writable),
    st.sampled_from(["__type", "__proto__", "value", "Set", "\ue000", "\ue000d800", "\\ud800", "\ud800", "null", "\0"]),
)
times = st.datetimes(
    dt.datetime(1, 1, 3),
    dt.datetime(9999, 12, 29),
    timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-7))]),
)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    texts,
    st.binary(max_size=8),
    times,
    st.decimals(),
    st.uuids(),
)
KINDS: list[Callable[[int], Any]] = [
    int, Decimal, lambda n: uuid.UUID(int=abs(n)), lambda n: 2.0 ** (61 * (n % 16)), str
]  # fmt: skip
# Values of few hashes: numbers are hashed by their rest from this prime, whatever their type is.
alike = st.builds(
    lambda kind, n, rest: kind(n * (2**61 - 1) + rest), st.sampled_from(KINDS), st.integers(-9, 9), st.integers(-2, 1)
)
# NaN is not equal to itself, so it is left out where equality decides what a set or a map holds.
hashable_atoms = atoms.filter(lambda v: not (isinstance(v, Decimal) and v.is_nan()) and v == v).map(
    lambda v: v if not isinstance(v, dt.datetime) else v.replace(microsecond=0)
)
hashables = st.recursive(
    hashable_atoms,
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)),
    max_leaves=5,
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.dictionaries(texts, inner, max_size=3).map(Map),
        st.dictionaries(texts, inner, max_size=3).map(lambda d: TaggedDict({**d, "__type": "Custom"})),
        st.sets(hashables, max_size=4),
        st.frozensets(hashables, max_size=4),
        st.binary(max_size=4).map(bytearray),
        st.binary(max_size=4).map(lambda data: memoryview(data)),  # noqa: PLW0108 - a generic class is no callable to mypy
    ),
    max_leaves=15,
)


def same(back: Any, value: Any, *, frozen: bool = False) -> bool:
    """Whether `back` is the value in its documented normal form, of the same types all the way down."""
    if isinstance(value, (list, tuple)):
        return (
            type(back) is (tuple if frozen else list)
            and len(back) == len(value)
            and all(same(b, v, frozen=frozen) for b, v in zip(back, value, strict=True))
        )
    if isinstance(value, (set, frozenset)):
        return type(back) is (frozenset if frozen else set) and back == value
    if isinstance(value, dict):
        kind: type[Any] = dict
        if type(value) is Map or (type(value) is TaggedDict and "__proto__" not in value):
            kind = type(value)
        elif "__type" in value or "__proto__" in value or any(type(key) is not str for key in value):
            kind = Map
        return (
            type(back) is kind
            and len(back) == len(value)
            and all(same(b, v, frozen=True) and same(back[b], value[v]) for b, v in zip(back, value, strict=True))
        )
    if isinstance(value, dt.datetime):
        floored = value.replace(microsecond=value.microsecond // 1000 * 1000)
        return type(back) is dt.datetime and back.tzinfo is dt.UTC and back == floored
    if isinstance(value, (bytes, bytearray, memoryview)):
        return type(back) is bytes and back == bytes(value)
    if isinstance(value, float):
        return type(back) is float and (
            (back == value and math.copysign(1, back) == math.copysign(1, value)) or back != back
        )
    if isinstance(value, Decimal):
        return type(back) is Decimal and str(back) == str(value)
    return type(back) is type(value) and back == value


@relaxed
@given(values)
def test_every_accepted_value_comes_back_and_a_second_write_gives_the_same_text(value: Any) -> None:
    text = codec.dumps(value)
    back = codec.loads(text)

    assert same(back, value)
    assert codec.dumps(back) == text
    assert codec.dumps(codec.loads(text.encode())) == text
    assert codec.canonical(codec.canonical(text)) == codec.canonical(text)


crowds = st.builds(
    lambda kind, wrap, count, others: {*(wrap(kind(n * (2**61 - 1))) for n in range(count)), *others},
    st.sampled_from(KINDS),
    st.sampled_from(
        [lambda v: v, lambda v: (v,), lambda v: (0, ((), v)), lambda v: frozenset({v}), lambda v: frozenset({v, (v,)})]
    ),
    st.integers(2, 40),
    st.sets(st.one_of(alike, hashables), max_size=3),
)
wholes = [set, lambda v: dict.fromkeys(v, 0), lambda v: {frozenset(v), 1}, lambda v: [{(1, frozenset(v)): [v]}]]


@relaxed
@given(crowds, crowds, st.sampled_from(wholes))
def test_a_crowd_of_elements_that_hash_alike_comes_back_or_is_refused(one: Any, other: Any, whole: Any) -> None:
    value, refusal = [whole(one), other], None
    try:
        text = codec.dumps(value)
    except SerializationError as error:
        refusal = error
    if refusal is None:
        assert same(codec.loads(text), value)
    else:
        assert "hash alike" in refusal.reason


class Naive(dt.datetime):
    pass


def cycle() -> list[Any]:
    value: list[Any] = [b"x"]
    value.append({"again": value})
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


hostile = st.recursive(
    st.one_of(
        atoms,
        st.sampled_from([Color.RED, Text("x"), object(), dt.datetime(2026, 1, 1), dt.date(2026, 1, 1), "\ud83d\ude00"]),
        st.sampled_from([Naive(2026, 1, 1, tzinfo=dt.UTC), 1j, ..., uuid, type("I", (int,), {})(1)]),
        st.builds(lambda: 1 << 66_000),
        st.builds(cycle),
        st.sampled_from([200, 253, 254, 300, 2000]).map(deep),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(texts, st.sampled_from([Color.RED, Text("k"), 1])), inner, max_size=3),
        st.dictionaries(texts, inner, max_size=3).map(TaggedDict),
        st.builds(
            lambda t, v: TaggedDict({"__type": t, "value": v}), st.sampled_from(["Set", "Map", "Date", 5]), inner
        ),
        st.frozensets(st.sampled_from([Color.RED, Text("s"), 1, "x"])),
    ),
    max_leaves=8,
)


@relaxed
@given(hostile)
def test_a_hostile_value_is_refused_with_its_path_or_comes_back(value: Any) -> None:
    refusal = None
    try:
        text = codec.dumps(value)
    except SerializationError as error:
        refusal = error
    if refusal is None:
        assert codec.dumps(codec.loads(text)) == text
    else:
        assert refusal.path.startswith("$")
        assert len(refusal.path) < 1000
        assert len(refusal.reason) < 300


def reads_or_is_corrupt(text: str | bytes) -> None:
    corruption = refusal = None
    try:
        value = codec.loads(text)
        again = codec.dumps(value)
    except CheckpointCorruptionError as error:
        corruption = error
    except SerializationError as error:
        refusal = error
    if corruption is not None:
        assert len(corruption.preview) <= 100
        assert corruption.path.startswith("$")
    elif refusal is not None:
        assert "MAX_DEPTH" in refusal.reason
    else:
        assert codec.dumps(codec.loads(again)) == again


@relaxed
@given(values, st.data())
def test_a_damaged_text_is_corrupt_or_a_value_that_can_be_written_again(value: Any, data: Any) -> None:
    text = bytearray(
        codec.dumps([value, {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "s": {1, "x"}, 1: b"x"}]).encode()
    )
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        match data.draw(st.integers(0, 4)):
            case 0:
                text[start:end] = data.draw(st.binary(max_size=3))
            case 1:
                del text[start:]
            case 2:
                text[start:start] = text[start:end] * data.draw(st.integers(1, 3))
            case 3:
                names = ["Date", "Set", "Map", "Buffer", "Number", "BigInt", "Decimal", "UUID", "Custom", "value"]
                old, new = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
                text = bytearray(text.replace(old.encode(), new.encode(), 1))
            case _:
                text[start:start] = data.draw(st.sampled_from([b"\\ud800", b"null", b"1e400", b'"', b"[", b"}", b"\\"]))
    reads_or_is_corrupt(bytes(text))


pieces = [
    "__type",
    "value",
    "Set",
    "Map",
    "Date",
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\u",
    "\\ud800",
    "1",
    "null",
    " ",
]
pieces += ['{"__type":"Set","value":[', '{"__type":"Map","value":[[', "]}", ",1]]}", "-", "e9", "\ue000", "\ud800"]


@relaxed
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(pieces), max_size=25).map("".join)))
def test_any_text_is_corrupt_or_a_value_that_can_be_written_again(text: Any) -> None:
    reads_or_is_corrupt(text)


@relaxed
@given(st.binary(max_size=40))
def test_any_bytes_are_corrupt_or_a_value_that_can_be_written_again(data: Any) -> None:
    reads_or_is_corrupt(data)


json_values = st.recursive(
    st.one_of(st.none(), st.integers(-9, 9), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(texts, inner, max_size=3),
        st.builds(
            lambda tag, value: TaggedDict({"__type": tag + "?", "value": value}),
            st.sampled_from(["Set", "Map"]),
            st.lists(st.one_of(inner, st.lists(inner, min_size=2, max_size=2)), max_size=3),
        ),
    ),
    max_leaves=12,
)


@relaxed
@given(json_values)
def test_sets_and_maps_of_any_content_are_written_again_without_loss(value: Any) -> None:
    # The question mark keeps them from being sets and maps until they are text.
    text = codec.dumps(value).replace('"Set?"', '"Set"').replace('"Map?"', '"Map"')
    try:
        once = codec.dumps(codec.loads(text))
    except CheckpointCorruptionError:
        once = ""
    if once:
        assert len(once) == len(text)
        assert codec.dumps(codec.loads(once)) == once
    else:
        assert '"Map"' in text


def test_the_depth_limit_is_that_of_the_writer() -> None:
    assert codec.loads(codec.dumps(deep(MAX_DEPTH - 1))) == deep(MAX_DEPTH - 1)
