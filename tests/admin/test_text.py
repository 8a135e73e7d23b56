"""Hostile text can do no harm."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsku_checkpoint import codec
from obsku_checkpoint.admin.values import harmless, kind, tree
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CorruptValue
from tests.admin.conftest import text

ACTING = ["\x1b", "\x00", "\x7f", "\u202e", "\u2066", "\u200b", "\ufeff", "\ud800", "\x9b", "\u2028"]


@pytest.mark.parametrize("character", ACTING, ids=ascii)
def test_an_acting_character_becomes_a_visible_mark(character: str) -> None:
    shown = harmless(f"a{character}b")
    assert character not in shown
    assert 'class="obsku-acting"' in shown
    assert character not in plain(f"a{character}b")


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "\U0001f469\u200d\U0001f4bb",
        "\u2764\ufe0f\u200d\U0001f525",
    ],
    ids=["Persian", "Hindi", "emoji", "emoji with a variation"],
)
def test_joiners_between_letters_and_within_emoji_are_spelling(text: str) -> None:
    assert harmless(text) == plain(text) == text
    for alone in (f"\u200d{text}", f"{text} \u200c", f"a\u200d\u200d{text}"):
        assert "obsku-acting" in harmless(alone)
        assert "⟨U+200" in plain(alone)


def test_line_ends_and_tabs_stay() -> None:
    assert harmless("a\n\tb") == "a\n\tb"


@given(st.text())
def test_no_text_becomes_a_tag(content: str) -> None:
    for shown in (harmless(f"<script>{content}</script>"), tree(f"<img onerror={content}>"), tree({content: content})):
        assert "<script" not in shown
        assert "<img" not in shown
        shown.encode()  # no lone surrogate is left


def test_a_title_is_one_line_of_bounded_length() -> None:
    assert plain("a\n b" * 10_000, 20) == "a ba ba ba ba ba ba…"


def test_values_are_shown_as_what_they_are() -> None:
    value = codec.loads(
        '{"when":{"__type":"Date","value":"2026-01-02T03:04:05.678Z"},"kinds":{"__type":"Set","value":["a","b"]},'
        '"data":{"__type":"Buffer","value":"AAH/"},"by":{"__type":"Map","value":[[1,"one"]]},'
        '"cost":{"__type":"Decimal","value":"1.50"},"none":null,"yes":true,"odd":{"__type":"Else"}}'
    )
    shown = text(tree(value))
    for part in (
        "2026-01-02 03:04:05.678 UTC", "set of 2", "bytes, 3 bytes: 00 01 ff", "map of 1", "1 one", "1.50 (decimal)",
        "none null", "yes true", "odd object of 1", "__type Else",
    ):  # fmt: skip
        assert part in shown, part


def test_kinds_have_names() -> None:
    assert [kind(value) for value in (None, True, 1, "x", [1], {1: 2}, b"xy", CorruptValue(text="", reason=""))] == [
        "null", "boolean", "number", "text", "list of 1", "object of 1", "bytes, 2 bytes", "corrupt"
    ]  # fmt: skip
    assert kind(UUID(int=1)) == "UUID"
    assert kind(Decimal(1)) == "Decimal"


def test_a_tree_is_bounded_and_counts_what_it_leaves_out() -> None:
    shown = tree(list(range(10_000)))
    assert "8,500 more entries not shown" in shown
    assert len(shown) < 200_000
    deep: list[object] = []
    for _ in range(250):
        deep = [deep]
    assert "nested too deep to show" in tree(deep)
    assert "980,000 more characters not shown" in tree("x" * 1_000_000)
    assert "an integer of" in tree(1 << 20_000)


def test_milliseconds_of_a_nodes_times_are_told_as_times() -> None:
    assert 'datetime="2026-01-02T03:04:05+00:00"' in tree({"startedAt": 1767323045000})
    assert "obsku-quiet" not in tree([1767323045000])
    assert tree({"startedAt": 10**300})
