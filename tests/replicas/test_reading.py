"""Requests read from a real streaming replica that is behind, away, or back; whoever has written misses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import RequestFactory
from django.urls import reverse

from obsku_checkpoint import replica
from obsku_checkpoint.admin.checkpoint.admin import PAGES
from obsku_checkpoint.admin.session.admin import PAGES as SESSION_PAGES
from obsku_checkpoint.api.stream import postgres, views
from obsku_checkpoint.api.stream.poller import poller
from obsku_checkpoint.maintenance import metrics
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, person, redirected
from tests.api.conftest import Client
from tests.api.listening import Listening, run
from tests.postgres_server import stopped
from tests.replicas.conftest import PRIMARY, REPLICA, Cluster

pytestmark = pytest.mark.xdist_group("replicas")


def client() -> Client:
    """Somebody who has written nothing yet."""
    return Client(User(username="root", is_superuser=True))


# -- the API


def test_requests_read_from_the_replica_and_agents_from_the_primary(
    cluster: Cluster, store: DjangoCheckpointStore
) -> None:
    id = store.create_session("/srv", title="Invoices").id
    cluster.pause()
    later = store.create_session("/srv").id
    store.update_session(id, title="Paid invoices")
    assert client().get(f"/api/sessions/{id}/").json()["title"] == "Invoices"
    assert client().get(f"/api/sessions/{later}/").status_code == 404
    assert later not in {one["id"] for one in client().get("/api/sessions/").json()["results"]}
    assert store.get_session(later) is not None
    cluster.catch_up()
    assert client().get(f"/api/sessions/{later}/").status_code == 200


def test_who_has_written_reads_it_however_far_the_replica_is_behind(cluster: Cluster) -> None:
    cluster.pause()
    writer = client()
    made = writer.post("/api/sessions/", {"directory": "/srv"})
    address = f"/api/sessions/{made.json()['id']}/"
    cookie = made.cookies[replica.COOKIE]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
    assert writer.get(address).status_code == 200
    assert writer.post(f"{address}messages/", {"role": "user", "content": "Hello"}).status_code == 201
    assert [one["content"] for one in writer.get(f"{address}messages/").json()["results"]] == ["Hello"]
    assert client().get(address).status_code == 404
    cluster.catch_up()
    assert _reads_from(writer, address) == {REPLICA}


def test_searches_are_reads(cluster: Cluster, store: DjangoCheckpointStore) -> None:
    store.save_fact("The invoice is paid", embedding=[1.0, 0.0])
    cluster.pause()
    store.save_fact("The invoice is late", embedding=[1.0, 0.0])
    found = client().post("/api/facts/search/", {"embedding": [1.0, 0.0]})
    assert [one["record"]["content"] for one in found.json()] == ["The invoice is paid"]
    assert replica.COOKIE not in found.cookies


def test_a_request_that_says_so_reads_from_the_primary(cluster: Cluster, store: DjangoCheckpointStore) -> None:
    cluster.pause()
    id = store.create_session("/srv").id
    assert client().get(f"/api/sessions/{id}/", HTTP_CACHE_CONTROL="no-cache").status_code == 200


@pytest.mark.parametrize("text", ["FFFFFFFF/FFFFFFFFF", "0/0'; SELECT 1", "", "0/g", "x" * 5000])
def test_a_cookie_that_is_no_place_is_none(cluster: Cluster, text: str) -> None:
    reader = client()
    reader.cookies[replica.COOKIE] = text
    assert _reads_from(reader, "/api/sessions/") == {REPLICA}


def _reads_from(reader: Client, address: str) -> set[str]:
    """The databases that a request asks for rows."""
    asked: set[str] = set()

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "sessions" in sql:
            asked.add(context["connection"].alias)
        return execute(sql, parameters, many, context)

    with connections[PRIMARY].execute_wrapper(note), connections[REPLICA].execute_wrapper(note):
        assert reader.get(address).status_code == 200
    return asked


# -- the admin


@pytest.fixture
def root(cluster: Cluster) -> Reader:
    return person(is_superuser=True)


def test_the_page_after_a_change_shows_it(cluster: Cluster, store: DjangoCheckpointStore, root: Reader) -> None:
    id = store.create_session("/srv", title="Invoices").id
    cluster.pause()
    other = person(is_superuser=True)
    page = root.get(links.session(id))
    form = page.context["adminform"].form
    fields = {name: form.get_initial_for_field(field, name) or "" for name, field in form.fields.items()}
    redirected(root.post(links.session(id), {**fields, "title": "Paid invoices", "_continue": "1"}))
    assert "Paid invoices" in root.read(links.session(id))
    assert "Paid invoices" in root.read(links.sessions())
    assert "Paid invoices" not in other.read(links.session(id))
    cluster.catch_up()
    assert "Paid invoices" in other.read(links.session(id))


def test_an_open_page_is_told_of_news_when_the_replica_has_it(
    cluster: Cluster, store: DjangoCheckpointStore, root: Reader
) -> None:
    id = store.create_session("/srv").id
    cluster.pause()
    live = links.session(id, "live")
    mark = root.get(live).json()["mark"]
    store.add_message(id, "user", "Hello")
    assert root.get(live, {"after": mark}).json()["changed"] is False
    cluster.catch_up()
    assert root.get(live, {"after": mark}).json()["changed"] is True
    assert "Hello" in root.read(links.session(id, "transcript"))


def test_all_pages_and_metrics_read_from_the_replica(
    cluster: Cluster, store: DjangoCheckpointStore, root: Reader
) -> None:
    """As is seen while the primary is away."""
    session = store.create_session("/srv", title="Invoices", workspace_id="acme")
    store.add_message(session.id, "user", "Hello")
    results: Any = {"pay": {"status": "failed", "error": "no money"}}
    checkpoint = store.save_checkpoint(session.id, step=1, node_results=results)
    copy = store.fork(checkpoint.id)
    entity = store.save_entity(session.id, name="Acme", type="customer", workspace_id="acme")
    fact = store.save_fact("Acme pays late", source_session_id=session.id)
    cluster.catch_up()
    addresses = [links.sessions(), f"{links.sessions()}?workspace=acme&q=inv", links.waiting(), links.figures()]
    addresses += [
        links.session(session.id, page) for page in (*(one.name for one in SESSION_PAGES), "change", "delete")
    ]
    addresses += [links.checkpoint(checkpoint.id, page) for page in (*(one.name for one in PAGES), "change")]
    addresses += [links.session(copy.id), f"{links.checkpoint(checkpoint.id, 'compare')}?with={checkpoint.id}"]
    addresses += [reverse(f"admin:obsku_checkpoint_{kind}_changelist") for kind in ("entity", "fact")]
    for kind, id in (("entity", entity.id), ("fact", fact.id)):
        addresses += [reverse(f"admin:obsku_checkpoint_{kind}_{page}", args=[id]) for page in ("change", "delete")]
    with stopped(cluster.primary):
        for address in addresses:
            # 405: a page that only takes a form
            response: Any = root.get(address)
            assert response.status_code < 500, address
            assert not response.streaming or b"".join(response.streaming_content)
        assert metrics.view(RequestFactory().get("/metrics/")).status_code == 200
    connections[PRIMARY].close()


# -- the stream


@pytest.fixture
def feed(cluster: Cluster) -> Iterator[Any]:
    feed = postgres.PostgresFeed(REPLICA)
    yield feed
    feed.close()


@pytest.fixture
def anybody(cluster: Cluster, settings: Any) -> None:
    """May listen."""
    everybody = ["rest_framework.permissions.AllowAny"]
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "PERMISSION_CLASSES": everybody}


def test_the_stream_tells_what_the_replica_has(anybody: None, cluster: Cluster, store: DjangoCheckpointStore) -> None:
    id = store.create_session("/srv").id
    cluster.catch_up()

    async def test() -> None:
        async with Listening(f"/api/sessions/{id}/events/") as listening:
            await listening.block()
            await asyncio.to_thread(cluster.pause)
            message = await store.aadd_message(id, "user", "Hello")
            event = asyncio.create_task(listening.event())
            done, _ = await asyncio.wait([event], timeout=0.3)
            assert not done
            await asyncio.to_thread(cluster.catch_up)
            assert await event == ("message", message.id)
        await store.aclose()

    run(test())


def test_a_stream_that_the_replica_cannot_send_yet_comes_back_to_it(
    anybody: None, cluster: Cluster, store: DjangoCheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "CATCHING_UP", 0.2)
    cluster.pause()
    writer = client()
    id = writer.post("/api/sessions/", {"directory": "/srv"}).json()["id"]
    cookie = writer.cookies[replica.COOKIE].value

    async def test() -> None:
        async with Listening(f"/api/sessions/{id}/events/", cookie=f"{replica.COOKIE}={cookie}") as listening:
            assert listening.status == 200
            assert await listening.event() == ("end", None)
        await store.aadd_message(id, "user", "Hello")
        await store.aclose()
        await asyncio.to_thread(cluster.catch_up)
        async with Listening(f"/api/sessions/{id}/events/", last=listening.last) as listening:
            assert (await listening.event())[0] == "message"

    run(test())


def test_rows_of_transactions_that_stay_open_come_when_they_are_committed(
    cluster: Cluster, store: DjangoCheckpointStore, feed: Any
) -> None:
    id = store.create_session("/srv").id
    cluster.catch_up()
    cursor = feed.read([(id, None)])[0].cursor
    insert = "INSERT INTO messages (session_id, role, content, created_at) VALUES (%s, 'user', %s, 1780000000000)"
    with psycopg.connect(cluster.primary) as slow:
        slow.execute(insert, [id, "slow"])
        with slow.transaction():
            slow.execute(insert, [id, "in a savepoint"])
        store.add_message(id, "user", "quick")
        cluster.catch_up()
        found = feed.read([(id, cursor)])[0]
        assert [event.record.content for event in found.events] == ["quick"]
    cluster.catch_up()
    found = feed.read([(id, found.cursor)])[0]
    assert {event.record.content for event in found.events} == {"slow", "in a savepoint"}


def test_a_replica_that_stands_still_settles_nothing(
    cluster: Cluster, store: DjangoCheckpointStore, feed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message's id is drawn before its transaction has a number: the stream takes what is older for complete."""
    monkeypatch.setattr(postgres, "SETTLED", 0.0)
    id = store.create_session("/srv").id
    with psycopg.connect(cluster.primary) as slow:
        slow.execute("SELECT 1")
        ((drawn,),) = slow.execute("SELECT nextval(pg_get_serial_sequence('messages', 'id'))").fetchall()
        slow.commit()
        store.add_message(id, "user", "quick")
        cluster.pause()
        cursor = feed.read([(id, None)])[0].cursor
        for _ in range(5):
            cursor = feed.read([(id, cursor)])[0].cursor
        slow.execute(
            "INSERT INTO messages (id, session_id, role, content, created_at)"
            " OVERRIDING SYSTEM VALUE VALUES (%s, %s, 'user', 'slow', 1780000000000)",
            [drawn, id],
        )
    cluster.catch_up()
    assert [event.record.content for event in feed.read([(id, cursor)])[0].events] == ["slow"]


def test_a_cursor_of_the_primary_is_one_of_the_replica(cluster: Cluster, store: DjangoCheckpointStore) -> None:
    """A browser that was served by the primary comes back with its cursor, which the replica may not have come to."""
    id = store.create_session("/srv").id
    cluster.pause()
    store.add_message(id, "user", "Hello")
    cursor = poller(PRIMARY).feed.read([(id, None)])[0].cursor
    answer = client().head(f"/api/sessions/{id}/events/", headers={"Last-Event-ID": str(cursor)})
    assert answer.status_code == 501, "all that is wrong is the server, which is none of ASGI"


# -- a server that is away


def test_who_may_have_written_reads_from_the_primary_alone(cluster: Cluster, store: DjangoCheckpointStore) -> None:
    id = store.create_session("/srv").id
    cluster.catch_up()
    writer = client()
    with stopped(cluster.primary):
        failed = writer.post(f"/api/sessions/{id}/messages/", {"role": "user", "content": "Hello"})
        assert failed.status_code == 503
        assert failed.cookies[replica.COOKIE].value == replica.UNKNOWN
        assert writer.get(f"/api/sessions/{id}/").status_code == 503
        assert client().get(f"/api/sessions/{id}/").status_code == 200, "the replica serves whoever has not"
    assert _reads_from(writer, "/api/sessions/") == {PRIMARY}


def test_the_primary_serves_while_the_replica_is_away_and_the_log_says_so(
    cluster: Cluster,
    store: DjangoCheckpointStore,
    root: Reader,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id = store.create_session("/srv", title="Invoices").id
    cluster.catch_up()
    assert _reads_from(client(), "/api/sessions/") == {REPLICA}
    caplog.set_level(logging.WARNING, replica.__name__)
    with stopped(cluster.replica):
        for _ in range(3):
            assert _reads_from(client(), "/api/sessions/") == {PRIMARY}
            assert "Invoices" in root.read(links.session(id))
        assert [record.name for record in caplog.records] == [replica.__name__], "once, not for each request"
    monkeypatch.setattr(replica, "REST", 0.0)
    monkeypatch.setattr(replica, "_resting", {REPLICA: 0.1})
    assert _reads_from(client(), "/api/sessions/") == {REPLICA}
    assert "can be read again" in caplog.records[-1].getMessage()
