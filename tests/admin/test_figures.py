"""The page of figures: what it says, to whom, and where its links lead."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.db import connections

from obsku_checkpoint.admin.session import figures as page_of_figures
from obsku_checkpoint.maintenance import figures
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import VIEW, Reader, links, person, text

TITLE = "<script>alert(1)</script> \u202etxet"


@pytest.fixture(autouse=True)
def _counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(figures, "LAG", -1000)


@pytest.fixture
def used(store: DjangoCheckpointStore, session_id: str, settings: Any) -> str:
    """A session that has used more tokens than any other, and is larger."""
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "TOKEN_PRICES": {"gpt-5": [2, 4]}}
    store.update_session(session_id, metadata={"model": "gpt-5"}, title=TITLE)
    store.add_message(session_id, "assistant", "y" * 2_000_000, tokens_in=1_500_000_000, tokens_out=500_000_000)
    store.save_checkpoint(session_id, step=1, node_results={"n": {"status": "failed", "error": "no"}})
    return session_id


def addresses(page: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r'<a href="(/admin/obsku[^"]*)"', page)]


def test_what_it_says(root: Reader, store: DjangoCheckpointStore, used: str, workspace: str) -> None:
    connection = connections[store.using]
    is_postgres = connection.vendor == "postgresql"
    if is_postgres:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # which the server does in its own time otherwise
    page = root.see(links.figures())
    said = text(page)
    assert f"{workspace} 1,500,000,000 500,000,000 5,000.00" in said
    for name in ("Waiting for a person", "Failed", "Sessions", "Messages", "Checkpoints", "Database", "Tokens today"):
        assert f"{name} " in said
    assert "Waiting and failed are of the" in said
    assert "too large to be searched" not in said
    assert re.search(r"checkpoints ~\d" if is_postgres else r"checkpoints \d", said)
    assert TITLE not in page
    assert html.escape("<script>alert(1)</script> ⟨U+202E⟩txet") in page
    assert 'class="obsku-tokens-in"' in page
    assert not re.search(r"<script(?![^>]* src=)|<[^>]* style=|<style", page.partition('id="content-main"')[2])


def test_its_links_lead_to_the_sessions_behind_a_figure(root: Reader, used: str, workspace: str) -> None:
    found = addresses(root.see(links.figures()))
    assert links.session(used) in found
    assert links.waiting() in found
    assert f"{links.sessions()}?workspace={workspace}" in found
    assert f"{links.sessions()}?state=failed" in found
    for address in set(found):
        root.see(address)
    days = sorted({address for address in found if "before=" in address})
    assert len(days) == figures.DAYS
    [before] = parse_qs(urlsplit(days[-1]).query)["before"]
    assert used in root.see(links.sessions(), before=before, workspace=workspace)
    assert used not in root.see(links.sessions(), before=parse_qs(urlsplit(days[0]).query)["before"][0])


def test_who_may_see_it(hooked: None) -> None:
    person(*VIEW).see(links.figures())
    for missing in VIEW:
        person(*(right for right in VIEW if right != missing)).see(links.figures(), status=403)
    assert Reader().get(links.figures()).status_code == 302


def test_only_of_the_workspaces_that_a_request_may_see(
    viewer: Reader, store: DjangoCheckpointStore, used: str, workspace: str, settings: Any
) -> None:
    other = store.create_session("/", title="Not mine", workspace_id="somebody else's").id
    store.add_message(other, "assistant", "z" * 3_000_000, tokens_in=2_000_000_000)
    assert "Not mine" in viewer.read(links.figures())
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE": "tests.admin.test_figures.own"}
    global OWN
    OWN = [workspace]
    page = viewer.read(links.figures())
    assert f"{workspace} 1,500,000,000 500,000,000" in page
    assert "Not mine" not in page
    assert "somebody" not in page
    assert "Database" not in page
    assert "are of the 1 session that was active last." in page
    OWN = []
    page = viewer.read(links.figures())
    assert workspace not in page
    assert "No message of the last 14 days has tokens." in page
    store.delete_session(other)


OWN: list[str] = []


def own(request: Any) -> list[str]:
    return OWN


def test_many_workspaces_are_few_rows(
    root: Reader, store: DjangoCheckpointStore, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_figures, "WORKSPACES", 1)
    id = store.create_session("/", workspace_id="small").id
    store.add_message(id, "assistant", "x", tokens_in=1)
    page = root.see(links.figures())
    assert "all others" in text(page)
    assert page.count("?workspace=") == 1
    store.delete_session(id)


def test_it_is_counted_once_a_minute(
    root: Reader, used: str, statements: Callable[[Callable[[], object]], list[str]]
) -> None:
    first = statements(lambda: root.see(links.figures()))
    assert 0 < len(first) <= 35
    assert statements(lambda: root.see(links.figures())) == []


def test_the_way_there(viewer: Reader, hooked: None, session_id: str) -> None:
    assert links.figures() in viewer.see(links.sessions())
    assert links.figures() in viewer.see("/admin/obsku_checkpoint/")


def test_in_german(root: Reader, used: str, workspace: str, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    page = root.read(links.figures())
    assert f"{workspace} 1.500.000.000 500.000.000 5.000,00" in page
    assert "Wartend und fehlgeschlagen" in page


def test_days_that_are_not_counted_yet_are_not_said_to_be_none(
    root: Reader, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "PATIENCE", -1.0)
    page = root.see(links.figures())
    assert page.count("not counted yet") == 2 * 2 * (figures.DAYS - 1)  # title and label, of tokens and of cost
    assert "are counted when this page is asked for again" in page
    monkeypatch.setattr(figures, "PATIENCE", 60.0)
    assert "not counted yet" not in root.see(links.figures())
