"""A checkpoint's page, the comparison of two, timelines and trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from obsku_checkpoint import run_state
from obsku_checkpoint.admin import runs
from obsku_checkpoint.admin.checkpoint import compare
from obsku_checkpoint.admin.session import forks as forks_page
from obsku_checkpoint.admin.session import timeline
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, text

RESULTS: dict[str, Any] = {
    "plan": {
        "status": "completed",
        "output": {"when": datetime(2026, 1, 2, tzinfo=UTC)},
        "startedAt": 1000,
        "completedAt": 3500,
    },
    "cost": {"status": "completed", "output": Decimal("1.50"), "startedAt": 2000, "completedAt": 3000},
    "fix": {"status": "failed", "error": "no index", "startedAt": 4000, "completedAt": 4200, "attempts": 3},
}


def test_a_checkpoint_shows_its_nodes_and_parents(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    first = store.save_checkpoint(session_id, step=0, node_results={}, source="input")
    second = store.save_checkpoint(
        session_id,
        step=1,
        node_id="fix",
        node_results=RESULTS,
        pending_nodes=["verify"],
        parent_id=first.id,
        cycle_state={"backEdge": "fix->plan", "iteration": 2},
    )
    page = root.see(links.checkpoint(second.id))
    told = text(page)
    for part in ("plan completed", "2.5 s", "2026-01-02 00:00:00.000 UTC", "1.50 (decimal)", "no index", "attempts",
                 "200 ms", "verify", "fix->plan \u00d7 2", "v1, step 0"):  # fmt: skip
        assert part in told, part
    assert links.checkpoint(first.id) in page
    assert "obsku-loop" in page
    assert re.findall(r'class="obsku-node obsku-status-(\w+)"', page) == ["completed", "completed", "failed", "pending"]
    assert "It has no parent." in root.read(links.checkpoint(first.id))
    orphan = store.save_checkpoint(session_id, step=2, node_results={}, parent_id="gone")
    assert "Its parent is gone." in root.read(links.checkpoint(orphan.id))
    ring = store.save_checkpoint(
        session_id, step=3, node_results={}, id=f"ring-{session_id}", parent_id=f"ring-{session_id}"
    )
    assert root.read(links.checkpoint(ring.id))


def test_corrupt_columns_show_their_text_and_the_reason(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]
) -> None:
    checkpoint = store.save_checkpoint(session_id, step=1, node_results=RESULTS)
    other = store.save_checkpoint(session_id, step=2, node_results={})
    for column, value in (("node_results", "{<script>"), ("pending_nodes", '"text"'), ("cycle_state", "[1,")):
        corrupt("checkpoints", column, other.id, value)
    page = root.see(links.checkpoint(other.id))
    assert "This cannot be decoded:" in page
    assert "{&lt;script&gt;" in page
    assert "[1," in page
    assert root.see(links.checkpoint(other.id, "raw"), part="node_results") == "{<script>"
    for name in ("change", "timeline", "checkpoints", "forks"):
        root.see(links.session(session_id, name))
    compared = root.see(links.checkpoint(other.id, "compare"))
    assert "{&lt;script&gt;" in compared
    root.see(links.checkpoint(checkpoint.id, "compare"), **{"with": other.id})
    root.see(links.waiting())


def test_odd_shapes_and_unknown_statuses_are_shown_as_they_are(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]
) -> None:
    checkpoint = store.save_checkpoint(session_id, step=1, node_results={})
    odd = (
        '{"a":{"status":"sleeping","startedAt":"noon"},"b":5,"c":{"status":["x"],"startedAt":1e300},'
        '"d":{"status":"completed","startedAt":1000,"completedAt":500},"<i>":{}}'
    )
    corrupt("checkpoints", "node_results", checkpoint.id, odd)
    corrupt("checkpoints", "source", checkpoint.id, "dream")
    corrupt("checkpoints", "cycle_state", checkpoint.id, '{"backEdge":5}')
    corrupt("checkpoints", "pending_nodes", checkpoint.id, '["x", 5]')
    page = root.read(links.checkpoint(checkpoint.id))
    for part in ("sleeping", "dream", "500 ms", "<i>"):
        assert part in page, part
    for name in ("change", "timeline", "checkpoints", "forks"):
        root.see(links.session(session_id, name))


def test_checkpoints_are_compared_by_path(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    first = store.save_checkpoint(
        session_id, step=1, node_results={"plan": RESULTS["plan"]}, pending_nodes=["fix", "verify"]
    )
    long: Any = {"status": "completed", "output": "a" * 500 + "old" + "b" * 500}
    second = store.save_checkpoint(
        session_id, step=2, node_results={**RESULTS, "text": long}, pending_nodes=["verify"], parent_id=first.id
    )
    third = store.save_checkpoint(
        session_id,
        step=2,
        node_results={**RESULTS, "text": long | {"output": "a" * 500 + "new" + "b" * 500}},
        pending_nodes=["verify"],
    )
    page = root.read(links.checkpoint(second.id, "compare"), **{"with": "parent"})
    for part in (
        "3 added",
        "1 removed",
        "2 changed",
        "fix the whole added",
        "pending[0] removed",
        "step changed 1 2",
        "status changed pending failed",
    ):
        assert part in page, part
    assert "plan" not in page.partition("Path")[2]
    page = root.see(links.checkpoint(third.id, "compare"))
    assert "<mark>old</mark>" in page
    assert "<mark>new</mark>" in page
    assert "a" * 100 not in page
    assert "They hold the same." in root.read(links.checkpoint(third.id, "compare"), **{"with": third.id})
    assert "There is no version before this one." in root.read(links.checkpoint(first.id, "compare"))
    assert "Its parent is gone" in root.read(links.checkpoint(first.id, "compare"), **{"with": "parent"})
    assert "no checkpoint with this id" in root.read(links.checkpoint(first.id, "compare"), **{"with": "nobody\x00"})


def test_the_times_of_nodes_are_compared_if_one_asks(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    first = store.save_checkpoint(session_id, step=1, node_results={"plan": RESULTS["plan"]})
    later: Any = RESULTS["plan"] | {"startedAt": 2000, "output": {"startedAt": 7}}
    second = store.save_checkpoint(session_id, step=1, node_results={"plan": later}, parent_id=first.id)
    page = root.read(links.checkpoint(second.id, "compare"))
    assert "output.startedAt added" in page
    assert " startedAt changed" not in page
    assert "Times of nodes, which differ as well and are left out: 1." in page
    assert " startedAt changed" in root.read(links.checkpoint(second.id, "compare"), times="1")
    new = store.save_checkpoint(session_id, step=1, node_results=RESULTS)
    for times, count in (("", 0), ("1", 2)):  # of the two nodes that the other one has not
        page = root.read(links.checkpoint(new.id, "compare"), times=times, **{"with": first.id})
        assert len(re.findall(r"startedAt [24]000", page)) == count
    only: Any = RESULTS["plan"] | {"completedAt": 9000}
    third = store.save_checkpoint(session_id, step=1, node_results={"plan": only})
    page = root.read(links.checkpoint(third.id, "compare"), **{"with": first.id})
    assert "But for the times of the nodes, they hold the same." in page


def test_what_is_too_large_to_be_compared_is_not_read(
    root: Reader,
    store: DjangoCheckpointStore,
    session_id: str,
    statements: Callable[[Callable[[], object]], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.save_checkpoint(session_id, step=1, node_results=RESULTS)
    address = links.checkpoint(store.save_checkpoint(session_id, step=2, node_results=RESULTS).id, "compare")
    assert [sql for sql in statements(lambda: root.see(address)) if "node_results_text" in sql]
    monkeypatch.setattr(compare, "BYTES", 500)
    assert not [sql for sql in statements(lambda: root.see(address)) if "node_results_text" in sql]
    assert "too much to compare here" in root.read(address)


def test_an_error_that_is_too_large_says_its_size_and_leads_to_the_rest(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    results: Any = {"load": {"status": "failed", "error": "the index is gone " + "z" * 200_000}}
    address = links.checkpoint(store.save_checkpoint(session_id, step=1, node_results=results).id)
    page = root.see(address)
    error = page.partition('<div class="obsku-error">')[2].partition("</td>")[0]
    assert "195.3 KB, of which this is the beginning." in text(error)
    assert "the index is gone" in error
    assert "?part=node_results" in error
    assert "What failed is run again when the run goes on." in text(page)


def test_a_run_is_compared_by_its_nodes_and_what_is_its_own(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    plan: Any = {"plan": {"status": "completed", "output": "a"}}
    for count in (1, 2):
        results = run_state.write(
            plan, run="r", complete_everywhere=False, input={"topic": count}, iterations={"review->plan": count}
        )
        last = store.save_checkpoint(session_id, step=count, node_results=results, pending_nodes=["review"])
    page = root.read(links.checkpoint(last.id, "compare"))
    for part in ("The run step changed 1 2 iterations.review->plan changed 1 2", "Input topic changed 1 2"):
        assert part in page, part
    assert "#run" not in page


def test_what_has_no_result_s_shape_is_compared_as_it_is_stored(
    root: Reader, store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]
) -> None:
    ids = [store.save_checkpoint(session_id, step=1, node_results={}).id for _ in range(3)]
    for id, odd in zip(ids, ('{"a":1}', '{"a":2}', "[2]"), strict=True):
        corrupt("checkpoints", "node_results", id, odd)
    assert "As it is stored a changed 1 2" in root.read(links.checkpoint(ids[1], "compare"))
    assert "As it is stored" in root.read(links.checkpoint(ids[2], "compare"))


def test_the_other_checkpoint_is_chosen_across_forks_by_title(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    first = store.save_checkpoint(session_id, step=1, node_results={})
    fork = store.fork(first.id, title="Another way")
    copied = store.get_latest_checkpoint(fork.id)
    assert copied is not None
    beside = store.fork(copied.id, title="A third way")
    end = store.save_checkpoint(beside.id, step=2, node_results=RESULTS)
    for _ in range(20):
        store.save_checkpoint(session_id, step=3, node_results={})
    expected = {
        first.id: ["This session", "Another way", "A third way"],
        copied.id: ["Find the slow query", "A third way"],  # it is alone in its session
        end.id: ["This session", "Find the slow query", "Another way"],
    }
    for id, titles in expected.items():
        page = root.see(links.checkpoint(id, "compare"))
        assert re.findall(r'<optgroup label="([^"]+)">', page) == titles
        assert f'value="{id}"' not in page
    page = root.see(links.checkpoint(end.id, "compare"), **{"with": first.id})
    assert f'value="{first.id}" selected' in page
    assert "main v1, step 1</a> (<a" in page
    assert f'href="{links.session(session_id)}" dir="auto">Find the slow query</a>' in page
    unrelated = store.create_session("/", title="Elsewhere").id
    other = store.save_checkpoint(unrelated, step=1, node_results={})
    page = root.see(links.checkpoint(end.id, "compare"), **{"with": other.id})
    assert '<optgroup label="Elsewhere">' in page


def test_what_is_too_much_to_compare_is_not_compared(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    results: dict[str, Any] = {"a": {"status": "completed", "output": "x" * 9_000_000}}
    store.save_checkpoint(session_id, step=1, node_results=results)
    second = store.save_checkpoint(session_id, step=2, node_results=results)
    assert "Together they hold 17.2 MB: too much to compare here." in root.read(links.checkpoint(second.id, "compare"))
    page = root.see(links.checkpoint(second.id))
    assert "8.6 MB, of which this is the beginning." in page
    assert len(page) < 100_000


def test_the_timeline_has_a_bar_for_each_run(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    running: Any = {"status": "running", "startedAt": 1000}
    store.save_checkpoint(session_id, step=1, node_results={"search": running})
    store.save_checkpoint(
        session_id, step=2, node_results={"search": running | {"status": "completed", "completedAt": 9000}}
    )
    again: Any = {"status": "failed", "startedAt": 10_000, "completedAt": 12_000}
    last = store.save_checkpoint(session_id, step=3, node_results={"search": again})
    store.save_checkpoint(
        session_id, step=1, node_results={"look": {"status": "completed", "startedAt": 500}}, namespace="sub"
    )
    page = root.see(links.session(session_id, "timeline"))
    assert re.findall(r'class="obsku-bar obsku-status-(\w+)"', page) == ["completed", "completed", "failed"]
    told = text(page)
    assert "search, step 2, completed, 8.0 s" in told
    assert "search, step 3, failed, 2.0 s" in told
    assert links.checkpoint(last.id) in page
    assert "style=" not in page.partition('id="content-main"')[2]


def test_a_long_timeline_is_read_in_parts(
    root: Reader, store: DjangoCheckpointStore, session_id: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(timeline, "CHECKPOINTS", 4)
    for step in range(10):
        store.save_checkpoint(
            session_id, step=step, node_results={f"n{step}": {"status": "completed", "startedAt": step + 1}}
        )
    page = root.see(links.session(session_id, "timeline"))
    seen = re.findall(r">(n\d), step", page)
    while earlier := re.search(r'href="\?before=([^"]+)"', page):
        page = root.see(links.session(session_id, "timeline"), before=earlier[1])
        seen += re.findall(r">(n\d), step", page)
    assert sorted(seen) == [f"n{step}" for step in range(10)]
    monkeypatch.setattr(runs, "WHOLE", 0)
    monkeypatch.setattr(timeline, "HISTORY", 0)
    assert "Checkpoints not read here: 3, of" in root.read(links.session(session_id, "timeline"))


def test_the_list_of_checkpoints_goes_on(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    made = [store.save_checkpoint(session_id, step=step, node_results={}).id for step in range(130)]
    page = root.see(links.session(session_id, "checkpoints"))
    shown = [id for id in made if links.checkpoint(id) in page]
    assert shown == made[-100:]
    before = re.search(r'href="\?before=([^"]+)"', page)
    assert before
    page = root.see(links.session(session_id, "checkpoints"), before=before[1])
    assert [id for id in made if links.checkpoint(id) in page.partition("obsku-checkpoints")[2]] == made[:30]


def test_the_tree_of_forks_is_the_same_from_each_of_them(
    root: Reader, store: DjangoCheckpointStore, session_id: str, monkeypatch: Any
) -> None:
    sessions, checkpoint = [session_id], store.save_checkpoint(session_id, step=1, node_results={})
    for step in range(20):
        store.save_checkpoint(session_id, step=step, node_results={})
    for depth in range(1, 4):
        sessions.append(store.fork(checkpoint.id, title=f"depth {depth}").id)
        checkpoint = store.save_checkpoint(sessions[-1], step=1, node_results={}, namespace="sub")
    sessions.append(store.fork(store.list_checkpoints(session_id)[-1].id, title="beside").id)
    for session in sessions:
        page = root.see(links.session(session, "forks"))
        assert [other for other in sessions if links.session(other) in page] == sessions
        assert "Find the slow query (+6 checkpoints)" in text(page)
        assert page.count("obsku-edge obsku-fork") == 4
        assert text(page).count("(this one)") == 2
    alone = store.create_session("/").id
    assert "Nothing was forked" in root.read(links.session(alone, "forks"))
    monkeypatch.setattr(forks_page, "SESSIONS", 2)
    assert "The tree is larger: 2 forks" in root.read(links.session(session_id, "forks"))


def test_a_fork_tells_where_it_comes_from(root: Reader, store: DjangoCheckpointStore, session_id: str) -> None:
    checkpoint = store.save_checkpoint(session_id, step=1, node_results={})
    fork = store.fork(checkpoint.id)
    assert f'href="{links.checkpoint(checkpoint.id)}">from this checkpoint' in root.see(links.session(fork.id))
    copied = store.get_latest_checkpoint(fork.id)
    assert copied is not None
    page = root.see(links.checkpoint(copied.id))
    assert "in another session" in page
    assert links.session(session_id) in page
