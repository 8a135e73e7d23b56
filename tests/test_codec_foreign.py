"""What other programs may store: it is read, and written again unchanged; and integers of any length."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsku_checkpoint import codec
from obsku_checkpoint.codec import TaggedDict
from obsku_checkpoint.errors import SerializationError
from tests.test_codec_properties import relaxed, texts

FOREIGN: list[tuple[str, Any]] = [
    *[
        ("Date", v)
        for v in ("+010000-01-01T00:00:00.000Z", "+275760-09-13T00:00:00.000Z", "+012024-02-29T23:59:59.999Z")
    ],
    *[("Date", v) for v in ("-000001-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z", "0001-01-01T00:00:00+01:00")],
    *[("Number", v) for v in ("nan", "1", "", 7, None, [1], {"__type": "Number", "value": "NaN"})],
    *[("BigInt", v) for v in ("", "x", "1.0", "+1", "-0", "01", "1_0", " 1", "\u0661", 12, None)],
    *[("BigInt", v) for v in ("9" * 100_001, "-" + "9" * 100_001, "0" * 101)],
    *[("Decimal", v) for v in ("", "x", "1_0", " 1", "\u0661", "1e99999999999999999999", 3)],
    *[("UUID", v) for v in ("", "x", "0" * 32, "{00000000-0000-0000-0000-000000000001}", 1)],
]


@pytest.mark.parametrize(("tag", "value"), FOREIGN)
def test_what_javascript_may_store_and_python_does_not_have_is_a_plain_object_and_written_again(
    tag: str, value: Any
) -> None:
    for item in ({"__type": tag, "value": value}, {"value": value, "__type": tag}):
        text = json.dumps([{"x": item}, 1], separators=(",", ":"), ensure_ascii=False)
        back = codec.loads(text)

        assert type(back[0]["x"]) is TaggedDict
        assert list(back[0]["x"]) == list(item)
        assert codec.dumps(back) == text


@pytest.mark.parametrize("tag", ["Number", "BigInt", "Decimal", "UUID"])
@pytest.mark.parametrize("rest", ["", ',"amount":3', ',"value":"1","more":{"__type":"Set","value":[1]}'])
def test_an_object_with_more_or_less_than_a_value_is_not_a_tag_of_ours(tag: str, rest: str) -> None:
    text = f'[{{"__type":"{tag}"{rest}}}]'
    back = codec.loads(text)

    assert type(back[0]) is TaggedDict
    assert codec.dumps(back) == text


@pytest.mark.parametrize("tag", ["Custom", "Decimal"])
def test_a_tagged_object_with_a_prototype_is_written_as_a_map_which_javascript_keeps(tag: str) -> None:
    text = f'[{{"__type":"{tag}","__proto__":{{"a":[1]}},"b":2}}]'
    back = codec.loads(text)
    again = codec.dumps(back)

    assert again == f'[{{"__type":"Map","value":[["__type","{tag}"],["__proto__",{{"a":[1]}}],["b",2]]}}]'
    assert codec.loads(again) == back
    assert codec.dumps(codec.loads(again)) == again


def test_the_longest_integers_stay_plain_objects_in_whatever_order_they_stand() -> None:
    numbers = [10**40_000, -1, 10**59_998, 10**60_000, 2**60]
    texts = [codec.dumps(number) for number in numbers]

    for order in itertools.permutations(range(len(numbers)), 3):
        back = codec.loads(f"[{','.join(texts[i] for i in order)}]")
        both = {0, 3} <= set(order) or {2, 3} <= set(order)
        assert [type(value) is TaggedDict for value in back] == [both and i == 3 for i in order]
        assert codec.dumps(back) == f"[{','.join(texts[i] for i in order)}]"


def test_integers_of_a_hundred_digits_are_as_many_as_one_likes() -> None:
    value = [10**99, -(10**99), 2**53] * 2000

    assert codec.loads(codec.dumps(value)) == value


def test_a_refused_integer_is_named_by_its_path() -> None:
    with pytest.raises(SerializationError) as error:
        codec.dumps({"a": [10**60_000, {"b": {10**60_000}}]})

    assert error.value.path == "$.a[1].b[0]"


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1" * 20, "9" * 400])
def test_integers_beyond_64_bits_are_exact_where_a_text_is_read_with_tags_for_them(number: str) -> None:
    text = f'{{"a":[{number},-1],"{number}":"\\"{number}"}}'

    assert codec.loads(codec.tag_integers(text)) == {"a": [int(number), -1], number: f'"{number}'}


@pytest.mark.parametrize(
    "text",
    [
        "18446744073709551615",
        "[-9223372036854775808,0.1234567890123456789012,12345678901234567890123.5,1e-00000000000000000000001]",
        '["12345678901234567890123","\\",12345678901234567890.0]',
        "12345678901234567890123e1",
        '"12345678901234567890123',
        '"\\"12345678901234567890123',
        "000012345678901234567890",
        "",
    ],
)
def test_what_64_bits_hold_and_what_is_no_integer_keeps_its_text(text: str) -> None:
    assert codec.tag_integers(text) == text


# What a TypeScript program may have in an object, and how JSON.stringify writes it.
javascript = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        texts,
        st.integers(-(10**21) + 1, 10**21 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.builds(
            lambda year, rest: {
                "__type": "Date",
                "value": (f"{year:04}" if 0 <= year < 10_000 else f"{year:+07}") + rest,
            },
            st.integers(-271_820, 275_759),
            st.sampled_from(["-01-01T00:00:00.000Z", "-12-31T23:59:59.999Z"]),
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(texts.filter(lambda key: key != "__type"), inner, max_size=3),
        st.builds(lambda items: {"__type": "Set", "value": items}, st.lists(inner, max_size=40)),
        st.builds(lambda items: {"__type": "Map", "value": items}, st.lists(st.tuples(inner, inner), max_size=40)),
        st.builds(
            lambda tag, name, value: {"__type": tag, name: value},
            st.sampled_from(["Number", "BigInt", "Decimal", "UUID", "Custom"]),
            st.sampled_from(["value", "amount"]),
            st.one_of(inner, st.sampled_from(["1", "NaN", "-0", "9" * 60_000, "9" * 50_000])),
        ),
    ),
    max_leaves=20,
)


@relaxed
@given(javascript, st.booleans())
def test_what_a_typescript_program_stores_is_read_and_written_again(value: Any, escaped: bool) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=escaped)
    text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates are always escapes
    once = codec.dumps(codec.loads(text))

    assert codec.dumps(codec.loads(once)) == once
