"""Pages: what is on them while rows are being added, and what they cost."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from types import NoneType
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client


def walk(api: Client, link: str | None, direction: str = "next", between: Callable[[], object] = list) -> list[Any]:
    results: list[Any] = []
    while link:
        answer = api.get(link)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        results += page["results"] if direction == "next" else page["results"][::-1]
        link = page[direction]
        between()
    return [one["id"] for one in results]


def add_messages(store: DjangoCheckpointStore, path: str, count: int) -> list[int]:
    messages = [{"role": "user", "content": str(number)} for number in range(count)]
    return [message.id for message in store.add_messages(path.split("/")[-2], messages)]


def test_messages_of_one_millisecond_neither_repeat_nor_vanish(
    api: Client, store: DjangoCheckpointStore, path: str
) -> None:
    ids = add_messages(store, path, 7)
    for limit in (1, 2, 3, 7, 8):
        assert walk(api, f"{path}messages/?limit={limit}", "previous") == ids[::-1]
        assert walk(api, f"{path}messages/?limit={limit}&after_id={ids[0] - 1}") == ids


def test_a_transcript_that_grows_is_followed_to_its_end(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    ids = add_messages(store, path, 4)
    more = iter([2, 1])
    walked = walk(
        api,
        f"{path}messages/?limit=2&after_id={ids[0] - 1}",
        between=lambda: ids.extend(add_messages(store, path, next(more, 0))),
    )
    assert walked == ids
    assert len(walked) == 7


def test_sessions_that_are_added_shift_no_page(api: Client, store: DjangoCheckpointStore, workspace: str) -> None:
    ids = [store.create_session("/", workspace_id=workspace).id for _ in range(5)]
    walked = walk(
        api,
        f"/api/sessions/?workspace_id={workspace}&limit=2",
        between=lambda: store.create_session("/", workspace_id=workspace),
    )
    assert walked == ids[::-1]


def test_a_page_leads_back_to_the_one_before(api: Client, store: DjangoCheckpointStore, workspace: str) -> None:
    for _ in range(5):
        store.create_session("/", workspace_id=workspace)
    first = api.get("/api/sessions/", {"workspace_id": workspace, "limit": "2"}).json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    assert (first["previous"], third["next"], len(third["results"])) == (None, None, 1)
    assert api.get(third["previous"]).json()["results"] == second["results"]
    back = api.get(second["previous"]).json()
    assert back["results"] == first["results"]
    assert back["previous"] is None
    assert api.get(back["next"]).json()["results"] == second["results"]


@pytest.mark.parametrize("query", ["", "namespace=a&"])
def test_checkpoints_that_are_added_shift_no_page(
    api: Client, store: DjangoCheckpointStore, path: str, query: str
) -> None:
    id = path.split("/")[-2]

    def save(namespace: str = "a") -> str:
        return store.save_checkpoint(id, step=0, node_results={}, namespace=namespace).id

    ids = [save("a") for _ in range(3)] + [save("" if not query else "a") for _ in range(4)]
    if query:
        save("")
    assert walk(api, f"{path}checkpoints/?{query}limit=2", between=save) == ids[::-1]
    last = api.get(f"{path}checkpoints/?{query}limit=100").json()
    assert last["next"] is None


def test_a_limit_has_its_limit(api: Client, store: DjangoCheckpointStore, path: str, settings: Any) -> None:
    add_messages(store, path, 6)
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "PAGE_SIZE": 2, "MAX_PAGE_SIZE": 4}
    assert len(api.get(f"{path}messages/").json()["results"]) == 2
    assert len(api.get(f"{path}messages/", {"limit": 5}).json()["results"]) == 4
    assert len(api.get(f"{path}messages/", {"limit": "9" * 5000}).json()["results"]) == 4


#: what stands in a cursor of each list
PLACES: dict[str, list[Any]] = {
    "/api/sessions/": ["sessions", False, 5, "a"],
    "{path}messages/": ["messages", False, 5, 5],
    "{path}checkpoints/": ["checkpoints", False, 5, "a", 1],
    "{path}checkpoints/?namespace=": ["versions", False, 1],
    "{checkpoint}lineage/": ["lineage", 1, "a", None],
    "{entity}related/": ["related", 1, 5, "a"],
    "/api/facts/search/": ["found facts", "a", 0.5],
}
STRANGE: list[Any] = [True, None, 1e30, 10**19, "\x00", "\ud800", "text", [], {}, 5]


def as_cursor(place: Any) -> str:
    text = place if isinstance(place, bytes) else json.dumps(place).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize("listed", PLACES)
def test_a_cursor_that_the_list_did_not_give_is_bad_input(
    api: Client, store: DjangoCheckpointStore, path: str, listed: str
) -> None:
    checkpoint = store.save_checkpoint(path.split("/")[-2], step=1, node_results={})
    session = path.split("/")[-2]
    far = store.save_entity(session, name="far", type="t").id
    near = store.save_entity(session, name="near", type="t", relationships=[{"targetId": far, "type": "r"}]).id
    address = listed.format(path=path, checkpoint=f"/api/checkpoints/{checkpoint.id}/", entity=f"/api/entities/{near}/")
    own = PLACES[listed]

    def ask(place: str) -> Any:
        at = f"{address}{'&' if '?' in address else '?'}cursor={place}"
        return api.post(at, {"embedding": [1.0]}) if "search/" in at else api.get(at)

    assert ask(as_cursor(own)).status_code == 200
    foreign: list[Any] = [place for place in PLACES.values() if place != own]
    foreign += [b"no", b"[]", b"{}", b"[", own[:-1], [*own, 1]]
    for index in range(len(own)):
        kind = type(own[index])
        for value in STRANGE:
            if type(value) is not kind or value in ("\x00", "\ud800", 10**19):
                foreign.append([*own[:index], value, *own[index + 1 :]])
    if own[0] in ("lineage", "related"):  # pages and steps are counted from 1
        foreign += [[own[0], number, *own[2:]] for number in (0, -1, 2**31)]
    for place in [*map(as_cursor, foreign), "ä", "a"]:
        answer = ask(place)
        assert answer.status_code in (200, 400), (place, answer.content)
        assert answer.status_code == 400 or may_be_its_own(place, own), base64.urlsafe_b64decode(place + "==")


def may_be_its_own(place: str, own: list[Any]) -> bool:
    """A time may be text on SQLite, a lineage's checkpoint any text, and a score any number."""
    name, *rest = json.loads(base64.urlsafe_b64decode(place + "=="))
    kinds = (str, int, float if "found" in name else int, NoneType)
    return name == own[0] and all(type(one) in kinds or one is False for one in rest)


ROUTES = {
    "/api/sessions/?workspace_id={workspace}": 1,
    "/api/sessions/?workspace_id={workspace}&search=x": 1,
    "{path}": 1,
    "{path}messages/": 1,
    "{path}messages/?limit=3": 1,
    "{path}messages/?before_id=1000000000": 2,
    "{path}checkpoints/": 1,
    "{path}checkpoints/?namespace=": 1,
    "{path}checkpoints/?namespace=nowhere": 2,
    "{path}checkpoints/latest/": 1,
    "{checkpoint}": 1,
    "{checkpoint}lineage/": 1,
    "/api/sessions/latest/?workspace_id={workspace}": 3,
    "{path}summary/": 5,
    "/api/sessions/summaries/?workspace_id={workspace}": 5,
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("count", [1, 30])
def test_a_page_costs_the_same_whatever_it_holds(
    api: Client, store: DjangoCheckpointStore, workspace: str, path: str, route: str, count: int
) -> None:
    id = path.split("/")[-2]
    add_messages(store, path, count)
    checkpoint: str | None = None
    for step in range(count):
        checkpoint = store.save_checkpoint(id, step=step, node_results={}, parent_id=checkpoint).id
        store.create_session("/", workspace_id=workspace)
    place = route.format(path=path, workspace=workspace, checkpoint=f"/api/checkpoints/{checkpoint}/")
    with CaptureQueriesContext(connections[store.using]) as asked:
        assert api.get(place).status_code == 200
    assert len(asked) == ROUTES[route]


def test_a_page_whose_rows_are_gone_is_empty_and_leads_nowhere(
    api: Client, store: DjangoCheckpointStore, workspace: str
) -> None:
    made = [store.create_session("/", workspace_id=workspace).id for _ in range(3)]
    first = api.get("/api/sessions/", {"workspace_id": workspace, "limit": "2"}).json()
    store.delete_session(made[0])
    assert api.get(first["next"]).json() == {"next": None, "previous": None, "results": []}


def test_more_parameters_than_django_takes_are_bad_input(api: Client) -> None:
    answer = api.get("/api/sessions/?" + "&" * 2000)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
