"""Values of every kind in every JSON column: what is written here is read there, and in the forks of both sides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.npm.compare import forked_alike, read_alike
from tests.npm.javascript import part, rewritten
from tests.npm.process import Npm, skip_without_bun
from tests.test_codec_properties import relaxed, texts, values

skip_without_bun()
pytestmark = pytest.mark.xdist_group("npm")


keys = texts | st.just("__proto__")
names = texts.filter(lambda name: name not in ("__type", "__proto__"))


def shape(required: dict[str, Any], **optional: Any) -> Any:
    """Dicts with these keys, with some of the optional ones, and with keys of the caller's."""
    return st.builds(
        lambda more, own: {**more, **own},
        st.dictionaries(texts.map("my {}".format), values, max_size=2),
        st.fixed_dictionaries(required, optional=optional),
    )


times = st.integers(0, 2**53 - 1) | st.floats(0, 1e15)
calls = shape({"name": texts, "toolUseId": texts, "input": st.dictionaries(keys, values, max_size=3)})
results = shape({"toolUseId": texts, "data": values}, content=texts, status=texts, fullOutputRef=texts)
nodes = shape(
    {"status": st.sampled_from(["pending", "running", "completed", "failed", "skipped"])},
    output=values,
    error=values,
    startedAt=times,
    completedAt=times,
)
cycles = shape({"backEdge": texts, "iteration": st.integers(-(2**31), 2**31 - 1)})
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["assistant", "tool"])},
    optional={"tool_calls": st.lists(calls, max_size=2), "tool_results": st.lists(results, max_size=2)},
)
checkpoints = st.fixed_dictionaries(
    {"step": st.integers(-(2**31), 2**31 - 1), "node_results": st.dictionaries(names, nodes, max_size=3)},
    optional={"pending_nodes": st.lists(texts, max_size=3), "cycle_state": cycles},
)


def test_what_is_written_here_is_read_there_and_in_the_forks_of_both(ours: PostgresCheckpointStore, npm: Npm) -> None:
    sessions, compared = 0, 0

    @settings(relaxed, max_examples=60, phases=[Phase.generate])  # to shrink takes minutes here
    @given(st.none() | st.dictionaries(keys, values, max_size=4), st.lists(messages, max_size=2), checkpoints)
    def run(metadata: Any, said: list[Any], state: dict[str, Any]) -> None:
        nonlocal sessions, compared
        session = ours.create_session("/values", metadata=metadata)
        ours.add_messages(session.id, said)
        checkpoint = ours.save_checkpoint(session.id, **state)
        here = ours.fork(checkpoint.id).id
        there = str(part(npm("fork", checkpoint.id), "id"))
        sessions += 3
        compared += read_alike(ours, npm, [session.id, here]) + read_alike(ours, npm, [there], rewritten)
        compared += forked_alike(ours, session.id, here) + forked_alike(ours, session.id, there)

    run()
    print(f"{compared} values in {sessions} sessions are equal")
    assert compared > 20 * sessions
