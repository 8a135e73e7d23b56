"""What JSON-plus text looks like, and what dumps() and loads() refuse."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import itertools
import json
import math
import pickle
import random
import subprocess
import sys
import threading
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import pytest

from obsku_checkpoint import codec
from obsku_checkpoint.codec import MAX_DEPTH, Map, TaggedDict, digits
from obsku_checkpoint.errors import CheckpointCorruptionError, ConfigurationError, SerializationError

UTC = dt.UTC
CET = dt.timezone(dt.timedelta(hours=1))

# Columns that the npm package wrote.
UPSTREAM = [
    "{}",
    "[]",
    '["fetch","parse"]',
    (
        '{"fetch":{"status":"completed","startedAt":1767323045000,"completedAt":1767323045678,"output":{"body":'
        '{"__type":"Buffer","value":"aGVsbG8="},"fetchedAt":{"__type":"Date","value":"2026-01-02T03:04:05.678Z"},'
        '"headers":{"__type":"Map","value":[["content-type","text/html"]]},"links":{"__type":"Set","value":["/a","/b"]}}},'
        '"parse":{"status":"failed","error":"boom","startedAt":1767323046000},"skip":{"status":"skipped"}}'
    ),
    '{"backEdge":"parse->fetch","iteration":2}',
    '{"seenAt":{"__type":"Date","value":"2026-01-01T00:00:00.000Z"},"score":0.25,"tags":{"__type":"Set","value":["x"]}}',
    (
        '{"when":{"__type":"Date","value":"2026-01-02T03:04:05.678Z"},"seen":{"__type":"Set","value":["a",2,null]},'
        '"counts":{"__type":"Map","value":[["x",1],[7,{"at":{"__type":"Date","value":"1970-01-01T00:00:00.000Z"}}],'
        '[true,{"__type":"Set","value":[{"__type":"Date","value":"1969-12-31T23:59:59.999Z"}]}]]},'
        '"blob":{"__type":"Buffer","value":"AAEC/f7/"},"emptyBlob":{"__type":"Buffer","value":""},'
        '"emptyMap":{"__type":"Map","value":[]},"emptySet":{"__type":"Set","value":[]},'
        '"stringMap":{"__type":"Map","value":[["k","v"]]},"unknownTag":{"__type":"Custom","value":5}}'
    ),
    (
        '{"owner":"ada","tags":["scan","nightly"],"nested":{"depth":{"level":3}},"ratio":0.1,"big":9007199254740991,'
        '"negative":-0.5,"empty":{},"none":null,"yes":true}'
    ),
]


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Loud(enum.StrEnum):
    A = "a"


class Point(NamedTuple):
    x: int
    y: int


class Money:
    def __init__(self, amount: Any) -> None:
        self.amount = amount

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.amount == other.amount

    def __hash__(self) -> int:
        return hash(self.amount)


@pytest.fixture
def money() -> Any:
    codec.register(Money, "Money", lambda m: m.amount, Money)
    yield Money
    codec.unregister("Money")


def nested(levels: int, leaf: Any = None) -> Any:
    """A value whose text has this many levels."""
    value: Any = [] if leaf is None else [leaf]
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("text", UPSTREAM)
def test_what_the_npm_package_wrote_is_written_again_character_by_character(text: Any) -> None:
    assert codec.dumps(codec.loads(text)) == text
    assert codec.dumps(codec.loads(text.encode())) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), '{"__type":"Date","value":"2026-01-02T03:04:05.678Z"}'),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=CET), '{"__type":"Date","value":"2026-01-02T02:04:05.000Z"}'),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), '{"__type":"Date","value":"1969-12-31T23:59:59.999Z"}'),
        (dt.datetime(7, 1, 1, tzinfo=UTC), '{"__type":"Date","value":"0007-01-01T00:00:00.000Z"}'),
        (dt.datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), '{"__type":"Date","value":"9999-12-31T23:59:59.999Z"}'),
        ({"b", "a", 1, None}, '{"__type":"Set","value":["a","b",1,null]}'),
        (frozenset(), '{"__type":"Set","value":[]}'),
        ({frozenset({2, 1}), (3, "x")}, '{"__type":"Set","value":[[3,"x"],{"__type":"Set","value":[1,2]}]}'),
        (b"hello", '{"__type":"Buffer","value":"aGVsbG8="}'),
        (bytearray(b"hello"), '{"__type":"Buffer","value":"aGVsbG8="}'),
        (memoryview(b"hello"), '{"__type":"Buffer","value":"aGVsbG8="}'),
        ({1: "a", "b": 2}, '{"__type":"Map","value":[[1,"a"],["b",2]]}'),
        ({"b": 2, 1: "a"}, '{"__type":"Map","value":[["b",2],[1,"a"]]}'),
        ({"__type": "Date", "value": "x"}, '{"__type":"Map","value":[["__type","Date"],["value","x"]]}'),
        (Map(a=1), '{"__type":"Map","value":[["a",1]]}'),
        (Map(), '{"__type":"Map","value":[]}'),
        (TaggedDict({"__type": "Custom", "value": 5}), '{"__type":"Custom","value":5}'),
        (math.nan, '{"__type":"Number","value":"NaN"}'),
        (math.inf, '{"__type":"Number","value":"Infinity"}'),
        ([None, -math.inf], '[null,{"__type":"Number","value":"-Infinity"}]'),
        (2**64, '{"__type":"BigInt","value":"18446744073709551616"}'),
        (-(2**63) - 1, '{"__type":"BigInt","value":"-9223372036854775809"}'),
        ([2**53 - 1, 1 - 2**53], "[9007199254740991,-9007199254740991]"),
        (2**53, '{"__type":"BigInt","value":"9007199254740992"}'),
        ([-(2**53)], '[{"__type":"BigInt","value":"-9007199254740992"}]'),
        ({2**53}, '{"__type":"Set","value":[{"__type":"BigInt","value":"9007199254740992"}]}'),
        ({"a": {"__proto__": 1, "b": 2}}, '{"a":{"__type":"Map","value":[["__proto__",1],["b",2]]}}'),
        (Decimal("-1.50"), '{"__type":"Decimal","value":"-1.50"}'),
        (Decimal("1E+5"), '{"__type":"Decimal","value":"1E+5"}'),
        (uuid.UUID(int=1), '{"__type":"UUID","value":"00000000-0000-0000-0000-000000000001"}'),
        ((1, (2,)), "[1,[2]]"),
        ("\ud800 é\0\u2028", '"\\ud800 é\\u0000\u2028"'),
        ({"\udc00\ud800": "\ue000"}, '{"\\udc00\\ud800":"\ue000"}'),
        (
            {"\ue000e000", "\ue000", (2**53,)},
            '{"__type":"Set","value":["\ue000","\ue000e000",[{"__type":"BigInt","value":"9007199254740992"}]]}',
        ),
        ({"\ud800", "a", "\ue000"}, '{"__type":"Set","value":["\\ud800","a","\ue000"]}'),
    ],
)
def test_a_value_is_written_as_the_documented_text_and_read_back(value: Any, text: Any) -> None:
    assert codec.dumps(value) == text
    assert codec.dumps(codec.loads(text)) == text
    assert codec.dumps(codec.loads(codec.canonical(text))) == text


def test_times_come_back_as_utc_in_whole_milliseconds() -> None:
    back = codec.loads(codec.dumps(dt.datetime(2026, 1, 2, 3, 4, 5, 678901, CET)))

    assert back == dt.datetime(2026, 1, 2, 2, 4, 5, 678000, UTC)
    assert back.tzinfo is UTC


def test_bytes_of_every_value_come_back() -> None:
    assert codec.loads(codec.dumps(bytes(range(256)))) == bytes(range(256))


def test_keys_of_maps_come_back_as_they_were() -> None:
    value = {(1, (2, frozenset({3}))): "tuple", frozenset({(4,)}): "set", None: 0, 1.5: 0, b"x": 0, True: 0, "": 0}

    back = codec.loads(codec.dumps(value))

    assert back == value
    assert list(back) == list(value)
    assert type(back) is Map
    assert [type(key) for key in back] == [type(key) for key in value]


def test_a_map_read_and_written_again_stays_a_map() -> None:
    text = '{"a":{"__type":"Map","value":[["k",{"__type":"Map","value":[]}]]}}'

    assert codec.loads(text) == {"a": {"k": {}}}
    assert codec.dumps(codec.loads(text)) == text


def test_integers_of_thousands_of_digits_come_back_within_python_s_limit_on_digits() -> None:
    limit = sys.get_int_max_str_digits()
    value = 10**5000 - 7

    assert codec.loads(codec.dumps([value, -value])) == [value, -value]
    assert sys.get_int_max_str_digits() == limit


def test_nan_and_infinities_come_back_from_amid_nulls_and_shared_objects() -> None:
    value = codec.loads(codec.dumps({"a": [None, math.nan], "b": math.inf, "c": -math.inf, "d": [math.nan] * 2}))

    assert math.isnan(value["a"][1])
    assert math.isnan(value["d"][1])
    assert (value["b"], value["c"]) == (math.inf, -math.inf)


def test_finite_floats_amid_nulls_are_written_plain() -> None:
    value = [None, 1.7976931348623157e308, 5e-324, -0.0, "x" * 127, "\x7f", list(range(-300, 300))]

    assert codec.dumps(value) == orjson.dumps(value).decode()


def test_decimals_do_not_depend_on_the_context() -> None:
    with decimal.localcontext(decimal.Context(prec=3, capitals=0, traps=[])):
        assert codec.dumps(Decimal("1.23456E+99")) == '{"__type":"Decimal","value":"1.23456E+99"}'
        assert type(codec.loads('{"__type":"Decimal","value":"abc"}')) is TaggedDict


@pytest.mark.parametrize("special", ["NaN", "sNaN", "-Infinity", "NaN12"])
def test_special_decimals_come_back(special: Any) -> None:
    back = codec.loads(codec.dumps(Decimal(special)))

    assert type(back) is Decimal
    assert str(back) == special


@pytest.mark.parametrize(
    "value",
    [
        Color.RED,
        Level.LOW,
        Loud.A,
        Text("x"),
        Point(1, 2),
        collections.OrderedDict(a=1),
        collections.defaultdict(list),
        collections.deque(),
        type("IntSubclass", (int,), {})(1),
        type("FloatSubclass", (float,), {})(1.0),
        type("MapSubclass", (Map,), {})(),
        type("ListSubclass", (list,), {})(),
        type("Time", (dt.datetime,), {})(2026, 1, 1, tzinfo=UTC),
        dt.date(2026, 1, 1),
        dt.time(1),
        dt.timedelta(1),
        fractions.Fraction(1, 2),
        1j,
        ...,
        object(),
        range(3),
        itertools.count(),
        type(None),
        Map,
        orjson.Fragment(b"{}"),
        len,
        int,
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [b"tag", Map(), v]], ids=["alone", "beside a tag"])
def test_other_types_and_subclasses_are_refused_with_a_way_out(value: Any, wrap: Any) -> None:
    with pytest.raises(SerializationError, match="convert the value, or register the type"):
        codec.dumps({"a": wrap(value)})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "$"),
        ({"when": [1, 2, object()]}, "$.when[2]"),
        ({"a b": {'"': object()}}, '$["a b"]["\\""]'),
        ({"": {"größe": object()}}, '$[""].größe'),
        ({"\ud800": object()}, '$["\\ud800"]'),
        ({"a": {1: 0, 2: object()}}, "$.a[1][1]"),
        ({"a": {object(): 0}}, "$.a[0][0]"),
        ({"a": frozenset({Color.RED})}, "$.a[0]"),
        ({"k" * 1000: object()}, "$." + "k" * 40 + "…"),
        (nested(200, object()), "$" + "[0]" * 6 + "…" + "[0]" * 6),
        (dt.datetime(2026, 1, 1), "$"),
        ({Loud.A: 1}, "$[0][0]"),
        ({"a": {Text("x"): 1, "y": 2}}, "$.a[0][0]"),
        ({"a": {"y": 2, Text("x"): 1}}, "$.a[1][0]"),
    ],
)
def test_a_refusal_names_the_path(value: Any, path: Any) -> None:
    with pytest.raises(SerializationError) as error:
        codec.dumps(value)

    assert error.value.path == path


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (dt.datetime(2026, 1, 1), "naive"),
        (dt.datetime(1, 1, 1, tzinfo=CET), "years"),
        (dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-1))), "years"),
        ("\ud83d\ude00", "surrogates"),
        ({"\ud83d\ude00": 1}, "surrogates"),
        ([10**digits.MAX_DIGITS], "100000 digits"),
        ([10**60_000, -(10**60_000)], "100000 digits"),
        ([1 << 10**7], "100000 digits"),
        ([10**60_000, TaggedDict({"__type": "BigInt", "value": "9" * 60_001})], "100000 digits"),
        ([TaggedDict({"__type": "BigInt", "value": "9" * 60_001}), 10**60_000], "100000 digits"),
        (TaggedDict({"__type": "BigInt", "value": "12"}), "known tag"),
        ([10**60_000, TaggedDict({"__type": "BigInt", "value": "9" * 30_000})], "known tag"),
        (TaggedDict({"__type": "Date", "value": "2026-01-02T03:04:05.678Z"}), "known tag"),
        (TaggedDict({"__type": "Decimal", "value": "1.5"}), "known tag"),
        ({dt.datetime(2026, 1, 1, microsecond=n, tzinfo=UTC) for n in (1, 2)}, "alike"),
        ({dt.datetime(2026, 1, 1, microsecond=n, tzinfo=UTC): n for n in (1, 2)}, "alike"),
        (TaggedDict({"__type": "Date", "value": "x"}), "known tag"),
        (TaggedDict({"__type": "Set", "value": [1, 2]}), "known tag"),
        (TaggedDict({"__type": "Set", "value": 1}), "known tag"),
        (TaggedDict({"__type": "Map", "value": [[1]]}), "known tag"),
        (TaggedDict({"__type": "Set", "value": [1, True], "more": 1}), "known tag"),
        (TaggedDict({"a": 1}), "TaggedDict"),
        (TaggedDict({"__type": 1, 2: 3}), "TaggedDict"),  # type: ignore[dict-item]  # refused
    ],
)
def test_what_would_not_come_back_equal_is_refused(value: Any, reason: Any) -> None:
    with pytest.raises(SerializationError, match=reason):
        codec.dumps([value])


def test_a_released_memoryview_is_refused() -> None:
    view = memoryview(b"x")
    view.release()

    with pytest.raises(SerializationError, match="encoder of the tag 'Buffer'"):
        codec.dumps([view])


def test_a_time_zone_that_fails_is_refused() -> None:
    class Broken(dt.tzinfo):
        def utcoffset(self, _: Any) -> dt.timedelta:
            raise LookupError

        dst = tzname = utcoffset  # type: ignore[assignment]  # never asked

    with pytest.raises(SerializationError, match="LookupError"):
        codec.dumps(dt.datetime(2026, 1, 1, tzinfo=Broken()))


def test_writing_does_not_change_the_value() -> None:
    inner = {"set": {1}, "pairs": {1: [b"x"]}, "plain": [1, (2, [math.nan])]}
    value = {"a": [inner, "\ud800"], "b": inner}
    before = pickle.dumps(value)

    codec.dumps(value)

    assert pickle.dumps(value) == before


# Depth and cycles


@pytest.mark.parametrize(
    ("levels", "leaf"),
    [(1, {1, 2}), (2, [1]), (1, {1: 2}), (0, b"x"), (0, 2**70), (0, math.nan), (1, Map()), (1, {"a": b"x"})],
)
def test_what_is_written_at_the_greatest_depth_is_read_and_one_level_more_is_refused(levels: Any, leaf: Any) -> None:
    levels_of: dict[type, int] = {set: 2, list: 1, Map: 2}
    text_levels = levels_of.get(type(leaf), 1)
    if leaf == {1: 2}:
        text_levels = 3
    elif leaf == {"a": b"x"}:
        text_levels = 2
    value = nested(MAX_DEPTH - text_levels, leaf)

    text = codec.dumps(value)

    assert codec.dumps(codec.loads(text)) == text
    assert codec.canonical(text) == text.encode()
    with pytest.raises(SerializationError, match="nesting deeper than MAX_DEPTH"):
        codec.dumps([value])


@pytest.mark.parametrize("tag", [None, b"tag", "\ud800"])
def test_cycles_are_refused_as_such(tag: Any) -> None:
    value: dict[str, Any] = {"a": [tag]}
    value["a"].extend([value, value])
    with pytest.raises(SerializationError, match="cycle"):
        codec.dumps(value)

    mapped: dict[Any, Any] = {}
    mapped[1] = {"x": (mapped, mapped)}
    with pytest.raises(SerializationError, match="cycle"):
        codec.dumps(mapped)


@pytest.mark.parametrize("tag", [1, b"tag"])
def test_deep_values_are_refused(tag: Any) -> None:
    with pytest.raises(SerializationError, match="nesting deeper"):
        codec.dumps(nested(100_000, tag))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"__type":"Set","value":[' * 100_000,
        '{"__type":"Map","value":[[' * 2000 + "1,1" + "]]}" * 2000,
        '{"__type":"Custom","value":' * 3000 + "1" + "}" * 3000,
        '"\\ud800' + "[" * 5000,
    ],
)
def test_texts_too_deep_to_read_are_corrupt(text: Any) -> None:
    with pytest.raises(CheckpointCorruptionError):
        codec.loads(text)


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [
        ("[", "]", 1000),
        ('{"__type":"Set","value":[', "]}", 500),
        ('{"__type":"Map","value":[[', ",1]]}", 340),
        ('{"__type":"Map","value":[[1,', "]]}", 340),
        ('{"__type":"Custom","value":', "}", 1000),
        ('{"__type":"Set","value":[[', "]]}", 340),
    ],
)
def test_texts_deeper_than_what_is_written_are_read_from_any_depth_of_the_callers_stack(
    start: Any, end: Any, times: Any
) -> Any:
    text = start * times + '{"__type":"Number","value":"NaN"}' + end * times
    shallow = start * 60 + "1" + end * 60

    def deep(frames: int) -> None:
        if frames:
            return deep(frames - 1)
        codec.loads(text)
        assert codec.dumps(codec.loads(shallow)) == shallow
        return None

    deep(800)
    with pytest.raises(SerializationError, match="nesting deeper"):
        codec.dumps(codec.loads(text))


# Reading


@pytest.mark.parametrize(
    "text",
    [
        '{"__type":"Set","value":[{"a":[1]},[{"b":2}]]}',
        '{"__type":"Set","value":[1,true]}',
        '{"__type":"Set","value":["a","a"]}',
        '{"__type":"Set","value":[[1],[1.0]]}',
        '{"__type":"Set","value":[{"__type":"Map","value":[]}]}',
        '{"__type":"Set","value":[{"__type":"Custom"}]}',
        '{"__type":"Set","value":[{"__type":"Decimal","value":"sNaN"}]}',
        '{"__type":"Set","value":[{"__type":"Number","value":"NaN"},{"__type":"Number","value":"NaN"}]}',
        '{"__type":"Set","value":[[{"__type":"Decimal","value":"NaN"}],[{"__type":"Decimal","value":"NaN"}]]}',
        '{"__type":"Set","value":[{"__type":"Set","value":[{}]}]}',
        '{"__type":"Map","value":[[{"a":1},2]]}',
        '{"__type":"Map","value":[[1,2],[true,3]]}',
    ],
)
def test_a_set_or_map_that_python_cannot_hold_is_a_tagged_dict_and_written_again(text: Any) -> None:
    value = codec.loads(text)

    assert type(value) is TaggedDict
    assert value == orjson.loads(text) or "__type" in text[10:]
    assert codec.dumps(value) == text
    assert codec.dumps({"x": [value]}) == f'{{"x":[{text}]}}'


def test_what_is_inside_an_undecodable_set_is_decoded_as_usual() -> None:
    value = codec.loads('{"__type":"Set","value":[{"at":{"__type":"Set","value":[[1]]}},[[2]]]}')

    assert value == {"__type": "Set", "value": [{"at": {(1,)}}, [[2]]]}


@pytest.mark.parametrize(
    "text", ['{"__type":"Custom","value":5}', '{"__type":5}', '{"a":1,"__type":["Date"]}', '{"__type":{"__type":""}}']
)
def test_an_object_with_an_unknown_tag_is_a_plain_object(text: Any) -> None:
    value = codec.loads(text)

    assert type(value) is TaggedDict
    assert codec.dumps(value) == text


def test_a_set_where_a_tag_should_be_is_decoded_as_usual() -> None:
    text = '{"__type":{"__type":"Set","value":[]},"value":"x"}'

    assert codec.loads(text) == {"__type": set(), "value": "x"}
    assert codec.dumps(codec.loads(text)) == text


@pytest.mark.parametrize("beside", [{1}, b"x", Map({1: 2}), uuid.UUID(int=0), Decimal(1)])
def test_a_dict_that_looks_like_a_tag_comes_back_from_beside_real_tags(beside: Any) -> None:
    value = {"real": beside, "fake": {"__type": "Set", "value": [1]}, "text": '"__type":', "nan": [None, math.inf]}

    assert codec.loads(codec.dumps(value)) == value
    assert codec.loads(codec.dumps([value, {"__type": 1}]))[1] == {"__type": 1}


def test_dates_inside_an_object_with_an_unknown_tag_are_decoded() -> None:
    value = codec.loads('{"__type":"Custom","at":{"__type":"Date","value":"2026-01-01T00:00:00Z"}}')

    assert value == {"__type": "Custom", "at": dt.datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    "text",
    [
        '{"\\u005f_type":"Set","value":[1]}',
        '{"__t\\u0079pe":"Set","value":[1]}',
        '{"_\\u005Ftype":"Set","value":[1]}',
        '{ "__type" : "Set" , "value" : [1] }',
        '{"value":[1],"__type":"Set"}',
        '{"__type":"Map","value":[1],"__type":"Set"}',
    ],
)
def test_a_tag_is_recognised_however_it_is_spelt(text: Any) -> None:
    assert codec.loads(text) == {1}
    assert codec.loads(text.encode()) == {1}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05+01:00", dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901Z", dt.datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
        ("2026-01-02 03:04-00:30", dt.datetime(2026, 1, 2, 3, 34, tzinfo=UTC)),
    ],
)
def test_other_ways_to_write_a_time_are_read(text: Any, time: Any) -> None:
    back = codec.loads(json.dumps({"__type": "Date", "value": text}))

    assert back == time
    assert back.tzinfo is UTC


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        *[("Date", v) for v in ("", "x", "2026-01-01", "2026-01-01T00:00:00", "+012026-13-01T00:00:00.000Z")],
        *[("Date", v) for v in ("2026-13-01T00:00:00Z", "+002026-01-01T00:00:00.000Z", 5, None, ["2026"])],
        *[("Buffer", v) for v in ("a", "aGVsbG8", "aGVsbG8=\n", "aGVsbG9=", "-_8=", "é", "====", 1, [1, 2])],
        *[("Set", v) for v in ("ab", {"a": 1}, None, 1)],
        *[("Map", v) for v in ("ab", {"a": 1}, None, [1], [[1]], [[1, 2, 3]], ["ab"], [{"a": 1, "b": 2}])],
    ],
)
def test_a_known_tag_with_a_malformed_value_is_corrupt(tag: Any, value: Any) -> None:
    with pytest.raises(CheckpointCorruptionError) as error:
        codec.loads(json.dumps({"a": [0, {"b": {"__type": tag, "value": value}}]}))

    assert error.value.path == "$.a[1].b"
    assert error.value.reason.startswith(tag)
    assert len(error.value.preview) <= 100
    assert error.value.__cause__ is None


@pytest.mark.parametrize("rest", ["", ',"valeu":[]', ',"value":[],"more":1'])
def test_a_known_tag_without_exactly_a_value_is_corrupt(rest: Any) -> None:
    with pytest.raises(CheckpointCorruptionError, match="exactly __type and value"):
        codec.loads(f'[{{"__type":"Set"{rest}}}]')


@pytest.mark.parametrize(
    "text",
    ["", " ", "nul", "NaN", "[Infinity]", "[1,]", "{'a':1}", '"\\x"', '"a\nb"', "1e999", "\ufeff1", '"\ud800"', "[]]"],
)
def test_text_that_is_not_json_is_corrupt(text: Any) -> None:
    for broken in (text, f'["\\ud800",{text}]'):
        with pytest.raises(CheckpointCorruptionError, match="not JSON") as error:
            codec.loads(broken)
        assert error.value.path == "$"
        error.value.preview.encode()


def test_bytes_that_are_not_utf_8_are_corrupt() -> None:
    with pytest.raises(CheckpointCorruptionError, match="not UTF-8 at byte 1"):
        codec.loads(b'"\xff"')


def test_an_error_holds_only_a_short_part_of_the_document() -> None:
    secret = "s3cret" * 1000
    for text in (f'{{"a":"{secret}"', f'{{"__type":"Date","value":"{secret}"}}', f'["\\ud800{secret}", nul]'):
        with pytest.raises(CheckpointCorruptionError) as error:
            codec.loads(text)
        assert len(str(error.value)) < 400
        assert error.value.__cause__ is None
        assert error.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"\\ud800"', "\ud800"),
        ('"\\\\ud800"', "\\ud800"),
        ('"\\\\\\uDC00x"', "\\\udc00x"),
        ('"\\ud83d\\ude00"', "😀"),
        ('["\\ud83d\\ude00\\ud83d","\\ue000","\ue000d800"]', ["😀\ud83d", "\ue000", "\ue000d800"]),
        ('{"\\ud800":[{"a\\udfff":"\ue000e000"},1,-0.5,null]}', {"\ud800": [{"a\udfff": "\ue000e000"}, 1, -0.5, None]}),
        ('{"\\ud800":{"__type":"Set","value":["\\udfff"]}}', {"\ud800": {"\udfff"}}),
        ('{"\\ud800":1,"\\uD800":2}', {"\ud800": 2}),
    ],
)
def test_lone_surrogates_are_read_and_written_again(text: Any, value: Any) -> None:
    assert codec.loads(text) == value
    assert codec.loads(codec.dumps(value)) == value


def test_strings_of_any_escapes_are_read_as_the_standard_library_reads_them() -> None:
    pieces = [
        *[r"\ud800", r"\uDC00", r"\udfff", r"\uD83D\uDE00", r"\ue000", r"\uE000", r"\\", r"\n", r"\"", r"\u005c"],
        "\ue000",
        "😀",
        "d800",
        "u",
        "é",
    ]
    chance = random.Random(1)
    for _ in range(500):
        strings = ['"' + "".join(chance.choices(pieces, k=chance.randrange(6))) + '"' for _ in range(2)]
        text = r'["\ud800",{' + f"{strings[0]}:[[{strings[1]}]]" + "}]"

        assert codec.loads(text) == json.loads(text)


def test_a_path_names_keys_that_look_like_disguised_surrogates() -> None:
    for key in ("\ue000", "\ue000d8", "\ue000\ud800"):
        with pytest.raises(SerializationError) as error:
            codec.dumps({key: object()})
        assert error.value.path.startswith('$["')


def test_integers_beyond_64_bits_without_a_tag_are_floats_as_in_javascript() -> None:
    assert codec.loads("[18446744073709551616]") == [float(2**64)]


# The canonical form


def test_the_canonical_form_does_not_depend_on_escapes() -> None:
    one, other = r'{"\\":1,"\ud800":2,"a":3}', r'{"a":3,"\uD800":2,"\u005C":1}'

    assert codec.canonical(one) == codec.canonical(other) == codec.canonical(codec.canonical(one))


def test_the_canonical_form_does_not_depend_on_the_order_of_keys() -> None:
    one = codec.dumps({"b": 1, "a": {"y": {2, 1}, "\ud800": "\ue000"}})
    other = codec.dumps({"a": {"\ud800": "\ue000", "y": {1, 2}}, "b": 1})

    assert one != other
    assert codec.canonical(one) == codec.canonical(other.encode())
    assert codec.loads(codec.canonical(one)) == codec.loads(one)


def test_the_canonical_form_keeps_1_and_1_0_and_true_apart() -> None:
    assert len({codec.canonical(text) for text in ("[1]", "[1.0]", "[true]", '["1"]')}) == 4


# Registered types


def test_a_registered_type_comes_back(money: Any) -> None:
    value = {"price": Money(Decimal("1.50")), "all": {Money(1), Money("x")}, Money(5): Money([None, {1}])}

    assert codec.loads(codec.dumps(value)) == value
    assert codec.dumps([Money("\ud800")]) == '[{"__type":"Money","value":"\\ud800"}]'
    assert codec.loads(codec.dumps(Money("\ud800"))) == Money("\ud800")


def test_an_enum_can_be_registered() -> None:
    codec.register(Color, "Color", lambda c: c.value, Color)
    try:
        text = codec.dumps({"c": Color.RED})
        assert text == '{"c":{"__type":"Color","value":"red"}}'
        assert codec.loads(text) == {"c": Color.RED}
        with pytest.raises(CheckpointCorruptionError, match=r"\$\.c: Color: its decoder failed: ValueError") as error:
            codec.loads(text.replace("red", "blue"))
        assert isinstance(error.value.__cause__, ValueError)
    finally:
        codec.unregister("Color")
    assert type(codec.loads(text)["c"]) is TaggedDict


def test_an_encoder_that_fails_or_never_ends_is_refused() -> None:
    def encode(money: Money) -> Any:
        return money if money.amount else money.missing  # type: ignore[attr-defined]  # fails on purpose

    codec.register(Money, "Money", encode, Money)
    try:
        with pytest.raises(SerializationError, match=r"^\$\[0\]: .*Money.*AttributeError") as error:
            codec.dumps([Money(0)])
        assert isinstance(error.value.__cause__, AttributeError)
        with pytest.raises(SerializationError, match=r"cycle"):
            codec.dumps([Money(1)])
    finally:
        codec.unregister("Money")


def test_an_encoder_that_changes_the_document_is_refused() -> None:
    rest: list[Any] = [None]
    codec.register(Money, "Money", lambda _: rest.append(None if len(rest) == 1 else object()), Money)
    try:
        with pytest.raises(SerializationError, match="changed while it was written"):
            codec.dumps([rest, Money(1), "\ud800"])
    finally:
        codec.unregister("Money")


def test_registering_twice_or_a_type_of_json_plus_is_a_configuration_error(money: Any) -> None:
    for type_, tag in [(Money, "Other"), (Color, "Money"), (Color, "Date"), (Color, ""), (Color, 5), (int, "Int")]:
        with pytest.raises(ConfigurationError):
            codec.register(type_, tag, lambda v: v, lambda v: v)  # type: ignore[arg-type]  # refused
    for tag in ("Date", "Unknown"):
        with pytest.raises(ConfigurationError):
            codec.unregister(tag)


def test_a_tagged_dict_read_before_its_tag_was_registered_is_refused(money: Any) -> None:
    with pytest.raises(SerializationError, match="known tag 'Money'"):
        codec.dumps(TaggedDict({"__type": "Money", "value": 1}))


def test_threads_may_write_while_another_registers() -> None:
    errors: list[Exception] = []
    value = {"a": {1, 2}, "b": b"x"}

    def work() -> None:
        try:
            for _ in range(200):
                assert codec.loads(codec.dumps(value)) == value
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the test
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        codec.register(Money, "Money", lambda m: m.amount, Money)
        codec.unregister("Money")
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize(
    "value", [{None, math.inf}, {None: 1, math.inf: 2}, {(None,), (math.inf,)}, [{None, -math.inf}]]
)
def test_none_and_a_number_that_json_lacks_are_told_apart(value: Any) -> None:
    assert codec.loads(codec.dumps(value)) == value


@pytest.mark.skipif(sys.platform != "linux", reason="others count memory otherwise")
@pytest.mark.parametrize("elements", ["range(300_000)", "((n,) for n in range(300_000))"])
def test_a_large_set_is_written_in_little_memory(elements: str) -> None:
    program = f"""
import resource
from obsku_checkpoint import codec
value = {{"a": set({elements})}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
codec.dumps(value)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    grown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 200  # MB; a kilobyte for each element would be more
