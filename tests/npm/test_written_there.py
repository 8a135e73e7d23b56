"""Values that JavaScript has, dates of any year and objects like tags among them: written there, read here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.npm.compare import forked_alike, read_alike, same
from tests.npm.javascript import Form, count, form, number, part, rewritten
from tests.npm.process import Npm, skip_without_bun
from tests.test_codec_properties import relaxed, texts

skip_without_bun()
pytestmark = [
    pytest.mark.xdist_group("npm"),
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),  # of nested strategies, where an example fails
]


def js_object(entries: Any) -> Form:
    return ["object", [[name, item] for name, item in dict(entries).items()]]


def js_array(items: list[Form]) -> Form:
    return ["array", items]


def key_of(entry: tuple[Form, Form]) -> str:
    return json.dumps(entry[0])


#: not those that make a tag, or that get lost in JavaScript's own objects
names = texts.filter(lambda name: name not in ("__type", "__proto__"))
numbers = st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)).map(number)
END_OF_TIME = 8_640_000_000_000_000
dates = st.one_of(
    st.integers(-END_OF_TIME, END_OF_TIME),
    st.integers(-62_135_596_800_001, 253_402_300_800_000),  # the years that Python has
    st.sampled_from([END_OF_TIME, -END_OF_TIME, 0, -62_167_219_200_000, -62_135_596_800_000, 253_402_300_799_999]),
)
buffers = st.binary(max_size=8).map(form)
atoms = st.one_of(st.none(), st.booleans(), texts, numbers, dates.map(lambda time: ["Date", time]), buffers)
#: JSON has the keys of its maps as they are, where a date would be a text and a set an empty object
keys = st.recursive(
    st.one_of(st.none(), st.booleans(), texts, numbers),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(js_array), st.dictionaries(names, inner, max_size=2).map(js_object)
    ),
    max_leaves=3,
)
#: our own tags, malformed, and one that is unknown here
tags = st.sampled_from(["Decimal", "UUID", "Number", "BigInt", "Custom"])
values: Any = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(js_array),
        st.dictionaries(names, inner, max_size=3).map(js_object),
        st.lists(inner, max_size=3, unique_by=json.dumps).map(lambda items: ["Set", items]),
        st.lists(st.tuples(keys, inner), max_size=3, unique_by=key_of).map(
            lambda entries: ["Map", [list(entry) for entry in entries]]
        ),
        st.builds(
            lambda tag, value, rest: js_object({"__type": tag, "value": value, **rest}),
            tags,
            inner.filter(lambda value: not isinstance(value, str)),
            st.dictionaries(names, inner, max_size=1),
        ),
    ),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=3).map(js_object)
statuses = ["pending", "running", "completed", "failed", "skipped", "Complete", "Failed", "Skipped"]
nodes = st.fixed_dictionaries({"status": st.sampled_from(statuses)}, optional={"output": values, "error": values})
calls = st.fixed_dictionaries({"name": texts, "toolUseId": texts, "input": objects}).map(js_object)
results = st.fixed_dictionaries({"toolUseId": texts, "content": texts}, optional={"data": values}).map(js_object)
node_results = st.dictionaries(names, nodes.map(js_object), max_size=3).map(js_object)
pending = st.lists(texts, max_size=3).map(js_array)


def test_what_is_written_there_is_read_here_and_in_the_forks_of_both(ours: PostgresCheckpointStore, npm: Npm) -> None:
    sessions, compared = 0, 0

    @settings(relaxed, max_examples=60, phases=[Phase.generate])  # to shrink takes minutes here
    @given(objects, st.lists(calls, max_size=2), st.lists(results, max_size=2), node_results, pending)
    def run(metadata: Form, called: list[Form], got: list[Form], state: Form, names: Form) -> None:
        nonlocal sessions, compared
        session = str(part(npm.given("createSession", "/values", js_object({"metadata": metadata})), "id"))
        message = {"role": "tool", "toolCalls": js_array(called), "toolResults": js_array(got), "tokensIn": number(3)}
        npm.given("addMessage", session, js_object(message))
        saved = npm.given(
            "saveCheckpoint",
            js_object(
                {
                    "sessionId": session,
                    "namespace": "",
                    "version": number(1),
                    "step": number(2),
                    "nodeResults": state,
                    "pendingNodes": names,
                    "cycleState": js_object({"backEdge": "b->a", "iteration": number(3)}),
                    "source": "loop",
                }
            ),
        )
        checkpoint = ours.get_checkpoint(str(part(saved, "id")))
        [read] = ours.get_messages(session)
        stored = ours.get_session(session)
        assert checkpoint
        assert stored
        same(rewritten(metadata), rewritten(form(stored.metadata)))
        same(rewritten(js_array(called)), rewritten(form(read.tool_calls)))
        same(rewritten(js_array(got)), rewritten(form(read.tool_results)))
        same(rewritten(state), rewritten(form(checkpoint.node_results)))
        same(rewritten(names), rewritten(form(checkpoint.pending_nodes)))
        here = ours.fork(checkpoint.id).id
        there = str(part(npm("fork", checkpoint.id), "id"))
        copy = ours.create_session("/values", metadata=stored.metadata).id  # decoded and encoded here
        sessions += 4
        compared += sum(count(each) for each in (metadata, *called, *got, state, names))
        compared += read_alike(ours, npm, [session, here, there, copy], rewritten)
        compared += forked_alike(ours, session, here) + forked_alike(ours, session, there)
        same(rewritten(part(npm("getSession", copy), "metadata")), rewritten(metadata))

    run()
    print(f"{compared} values in {sessions} sessions are equal")
    assert compared > 20 * sessions


def test_whole_numbers_beyond_those_that_javascript_counts_exactly_are_read_as_equal_numbers(
    ours: PostgresCheckpointStore, npm: Npm
) -> None:
    for value in (2**53, 2**60, -(2**63), 10**20):
        made = npm.given("createSession", "/n", js_object({"metadata": js_object({"n": number(value)})}))
        stored = ours.get_session(str(part(made, "id")))
        assert stored
        assert float(stored.metadata["n"]) == value


@pytest.mark.parametrize("text", ["", "a\u2028b", "日本語 🚀", "'; --", "x" * 100_000, "\ufffd\ufeff"])
def test_texts_of_its_columns_are_read_here(ours: PostgresCheckpointStore, npm: Npm, text: str) -> None:
    made = npm("createSession", text, {"title": text, "workspaceId": text[:500]})
    session = str(part(made, "id"))
    npm("addMessage", session, {"role": "user", "content": text})
    npm("updateSession", session, {"directory": f"{text}!"})
    stored = ours.get_session(session)
    assert stored
    assert (stored.title, stored.workspace_id, stored.directory) == (text, text[:500], f"{text}!")
    assert [message.content for message in ours.get_messages(session)] == [text]
    assert read_alike(ours, npm, [session])
