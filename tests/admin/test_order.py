"""The order of checkpoints is the store's on every page: by version, also where the writers' clocks differed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from obsku_checkpoint.admin.session import checkpoints, timeline
from obsku_checkpoint.admin.session import forks as forks_page
from obsku_checkpoint.fields import to_milliseconds
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links

STATUSES = ("running", "running", "failed", "completed")


@pytest.fixture
def saved(
    store: DjangoCheckpointStore, session_id: str, corrupt: Callable[[str, str, Any, Any], None]
) -> list[CheckpointRecord]:
    """Versions 1 to 4 of two namespaces, of which each is from a host whose clock is a minute behind the last one's."""
    checkpoints = []
    for step, status in enumerate(STATUSES):
        for namespace in ("", "inner"):
            result: Any = {"status": status, "startedAt": 1000}
            one = store.save_checkpoint(session_id, step=step, namespace=namespace, node_results={"work": result})
            moment = to_milliseconds(one.created_at - timedelta(minutes=step), "created_at")
            corrupt("checkpoints", "created_at", one.id, moment)
            checkpoints.append(one)
    return checkpoints


@pytest.fixture
def newest_first(store: DjangoCheckpointStore, session_id: str, saved: list[CheckpointRecord]) -> list[str]:
    return [one.id for one in store.list_checkpoints(session_id)]


def listed(page: str, ids: list[str]) -> list[str]:
    """Those of the checkpoints that the page links to, as they stand there below its head."""
    region = page.rpartition(" data-region>")[2]
    return [id for id in re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", region) if id in ids]


def test_the_list_and_its_pages_are_in_the_store_s_order(
    root: Reader, session_id: str, newest_first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = links.session(session_id, "checkpoints")
    assert listed(root.see(address), newest_first) == newest_first
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", 3)
    found: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = root.see(address, **query)
        found += list(dict.fromkeys(listed(page.partition("?before=")[0], newest_first)))
        if not (earlier := re.search(r'\?before=([^"]+)', page)):
            break
        query = {"before": earlier[1]}
    assert found == newest_first


def test_an_unknown_position_begins_the_list_anew(root: Reader, session_id: str, newest_first: list[str]) -> None:
    page = root.see(links.session(session_id, "checkpoints"), before="gone")
    assert listed(page, newest_first) == newest_first


def test_the_timeline_says_what_the_latest_version_says(
    root: Reader, session_id: str, newest_first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = links.session(session_id, "timeline")
    table = r"<td>(main|inner)</td><td>(\d)</td><td>.*?</td><td>(\w+)</td>"
    assert re.findall(table, root.see(address)) == [("main", "3", "completed"), ("inner", "3", "completed")]
    monkeypatch.setattr(timeline, "CHECKPOINTS", 2)
    earlier = re.search(r'\?before=([^"]+)', root.see(address))
    assert earlier is not None
    assert earlier[1] == newest_first[1]
    # The two that follow are earlier versions of the same namespace.
    assert re.findall(table, root.see(address, before=earlier[1])) == [
        ("inner", "0", "skipped")
    ]  # running, but not pending: see run_state


def test_a_tree_shows_the_newest_versions_and_where_forks_began(
    root: Reader,
    store: DjangoCheckpointStore,
    session_id: str,
    saved: list[CheckpointRecord],
    newest_first: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forks_page, "CHECKPOINTS", 2)
    fork = store.fork(saved[0].id)
    page = root.see(links.session(session_id, "forks"))
    shown = list(dict.fromkeys(listed(page, newest_first)))
    assert sorted(shown) == sorted([saved[0].id, *newest_first[:2]])
    assert fork.id in page
