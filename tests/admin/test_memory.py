"""The pages of entities and facts."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.http import HttpRequest

from obsku_checkpoint.records import EntityRecord, FactRecord
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import VIEW, Reader, links, person, redirected
from tests.embedder import embedder

LISTS = {kind: f"/admin/obsku_checkpoint/{kind}/" for kind in ("entity", "fact")}


@pytest.fixture
def customers(store: DjangoCheckpointStore, session_id: str, workspace: str) -> EntityRecord:
    return store.save_entity(session_id, name="customers", type="table", workspace_id=workspace)


@pytest.fixture
def orders(store: DjangoCheckpointStore, session_id: str, workspace: str, customers: EntityRecord) -> EntityRecord:
    return store.save_entity(
        session_id,
        name="orders <b>",
        type="table",
        workspace_id=workspace,
        attributes={"rows": 4200, "owner": "shop"},
        relationships=[{"targetId": customers.id, "type": "refers to"}, {"targetId": "gone", "type": "x"}],
        embedding=embedder.embed(["orders table"])[0],
    )


@pytest.fixture
def fact(store: DjangoCheckpointStore, session_id: str, workspace: str) -> FactRecord:
    content = "The page of orders reads a table without an index."
    return store.save_fact(
        content,
        confidence=0.7,
        workspace_id=workspace,
        source_session_id=session_id,
        embedding=embedder.embed([content])[0],
    )


def scope(request: HttpRequest) -> list[str] | None:
    assert isinstance(request.user, User)
    return None if request.user.is_superuser else [request.user.first_name]


def test_an_entity_with_who_said_it_and_what_it_is_connected_with(
    root: Reader, orders: EntityRecord, customers: EntityRecord, session_id: str
) -> None:
    page = root.see(links.known("entity", orders.id))
    assert links.session(session_id) in page
    assert "Find the slow query" in page
    assert f'href="{links.known("entity", customers.id)}"' in page
    assert "refers to" in page
    assert "orders &lt;b&gt;" in page
    assert "orders <b>" not in page
    assert "<script" not in page.split("<svg")[1].split("</svg>")[0]
    said = root.read(links.known("entity", orders.id))
    assert "64 numbers" in said
    assert "4200" in said or "4,200" in said
    assert "It leads to nothing that is known." in root.read(links.known("entity", customers.id))


def test_a_fact_whose_session_is_gone(
    root: Reader, store: DjangoCheckpointStore, fact: FactRecord, workspace: str
) -> None:
    assert "Find the slow query" in root.see(links.known("fact", fact.id))
    other = store.create_session("/")
    later = store.save_fact("Nobody knows.", workspace_id=workspace, source_session_id=other.id)
    store.delete_session(other.id)
    assert "a session that is gone, or none" in root.read(links.known("fact", later.id))
    page = root.read(LISTS["fact"], workspace=workspace)
    assert page.index("Nobody knows.") < page.index(fact.content)
    assert "0.7" in page


def test_a_correction_is_kept_with_what_stood_there(
    root: Reader, store: DjangoCheckpointStore, orders: EntityRecord, fact: FactRecord, settings: Any
) -> None:
    address = links.known("entity", orders.id)
    given = {"name": "orders", "type": "table", "attributes": '{"rows": 5}', "relationships": "[]"}
    redirected(root.post(address, given))
    changed = store.get_entity(orders.id)
    assert changed is not None
    assert (changed.name, changed.attributes, changed.relationships) == ("orders", {"rows": 5}, [])
    assert (changed.embedding, changed.session_id) == (orders.embedding, orders.session_id)
    page = root.read(address)
    assert "Changed Name, Attributes and Relationships." in page
    assert "name: orders <b>; attributes: {rows: 4200, owner: “shop”}" in page
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "EMBEDDER": "tests.embedder.embedder"}
    redirected(root.post(links.known("fact", fact.id), {"content": "It has an index now.", "confidence": "0.9"}))
    corrected = store.get_fact(fact.id)
    assert corrected is not None
    assert (corrected.content, corrected.confidence) == ("It has an index now.", 0.9)
    assert corrected.embedding == embedder.embed(["It has an index now."])[0]
    assert LogEntry.objects.filter(object_id=fact.id).count() == 1


@pytest.mark.parametrize(
    "wrong", [{"attributes": "[1]"}, {"relationships": '[{"targetId": 5}]'}, {"name": ""}, {"attributes": "{"}]
)
def test_what_cannot_be_stored_is_said(
    root: Reader, store: DjangoCheckpointStore, orders: EntityRecord, wrong: dict[str, str]
) -> None:
    given = {"name": "orders", "type": "table", "attributes": "{}", "relationships": "[]", **wrong}
    response: Any = root.post(links.known("entity", orders.id), given)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert store.get_entity(orders.id) == orders


def test_a_fact_beyond_certainty_is_refused(root: Reader, store: DjangoCheckpointStore, fact: FactRecord) -> None:
    response: Any = root.post(links.known("fact", fact.id), {"content": "a", "confidence": "1.5"})
    assert "must be from 0 to 1" in response.content.decode()
    assert store.get_fact(fact.id) == fact


def test_a_search_is_by_what_is_said_and_by_what_is_meant(
    root: Reader, store: DjangoCheckpointStore, fact: FactRecord, orders: EntityRecord, workspace: str, settings: Any
) -> None:
    near = "orders page table index"
    assert fact.content not in root.read(LISTS["fact"], workspace=workspace, q=near)
    assert fact.content in root.read(LISTS["fact"], workspace=workspace, q="without an INDEX")
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "EMBEDDER": "tests.embedder.embedder"}
    other = store.save_fact("A page.", workspace_id=workspace, embedding=embedder.embed(["A page."])[0])
    page = root.read(LISTS["fact"], workspace=workspace, q=near)
    assert page.index(fact.content) < page.index(other.content)
    assert "orders <b>" in root.read(LISTS["entity"], workspace=workspace, q="table of orders")
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "EMBEDDER": "tests.embedder.broken"}
    page = root.read(LISTS["fact"], workspace=workspace, q="without an index")
    assert fact.content in page
    assert "the embedder failed" in page


def test_who_sees_what(
    hooked: None, fact: FactRecord, orders: EntityRecord, workspace: str, session_id: str, settings: Any
) -> None:
    addresses = [*LISTS.values(), links.known("entity", orders.id), links.known("fact", fact.id)]
    stranger = person(*VIEW)
    for address in addresses:
        stranger.see(address, 403)
    reader = person("view_entity", "view_fact")
    for address in addresses:
        page = reader.see(address)
        assert 'name="_save"' not in page
        assert links.session(session_id) not in page  # whoever may not look at sessions
    assert reader.post(addresses[2], {"name": "x"}).status_code == 403
    assert links.session(session_id) in person("view_entity", *VIEW).see(addresses[2])
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE": "tests.admin.test_memory.scope"}
    theirs = person("view_entity", "view_fact", *VIEW, first_name="elsewhere")
    for address in addresses[2:]:
        theirs.see(address, 302)
    for address in addresses[:2]:
        assert "orders" not in theirs.read(address)
    ours = person("view_entity", "view_fact", *VIEW, first_name=workspace)
    assert "refers to" in ours.see(addresses[2])


def test_a_drawing_has_nothing_that_may_not_be_seen(
    hooked: None, store: DjangoCheckpointStore, session_id: str, workspace: str, settings: Any
) -> None:
    """Nor what is reached through it alone."""
    beyond = store.save_entity(session_id, name="beyond", type="t", workspace_id=workspace)
    leads: Any = [{"targetId": beyond.id, "type": "leads to"}]
    secret = store.save_entity(session_id, name="secret", type="t", workspace_id="elsewhere", relationships=leads)
    leads = [{"targetId": secret.id, "type": "leads to"}]
    first = store.save_entity(session_id, name="first", type="t", workspace_id=workspace, relationships=leads)
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "WORKSPACE_SCOPE": "tests.admin.test_memory.scope"}
    page = person("view_entity", first_name=workspace).read(links.known("entity", first.id))
    assert "It leads to nothing that is known." in page
    assert "secret" not in page
    assert "beyond" not in page


def test_what_is_deleted_is_gone(
    root: Reader, store: DjangoCheckpointStore, fact: FactRecord, orders: EntityRecord
) -> None:
    redirected(root.post(f"{LISTS['fact']}{fact.id}/delete/", {"post": "yes"}))
    assert store.get_fact(fact.id) is None
    chosen = {"action": "delete_selected", "_selected_action": orders.id, "post": "yes"}
    redirected(root.post(LISTS["entity"], chosen))
    assert store.get_entity(orders.id) is None


def test_what_cannot_be_read_is_shown(root: Reader, corrupt: Any, orders: EntityRecord, fact: FactRecord) -> None:
    for column, text in {"attributes": "{", "relationships": "[1", "embedding": b"[x"}.items():
        corrupt("entities", column, orders.id, text)
    corrupt("facts", "embedding", fact.id, b"[x")
    page = root.read(links.known("entity", orders.id))
    assert "[x" in page
    root.see(links.known("fact", fact.id))
