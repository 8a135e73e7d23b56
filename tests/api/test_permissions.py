"""Who may do what: every route, every method, everybody."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from rest_framework.request import Request

from obsku_checkpoint.api import urls
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

# Each row: what somebody gets who is not signed in, has no permission, may view, may do everything, may do everything
# in the session's workspace, may do everything in another workspace.
PEOPLE = ["anonymous", "nobody", "viewer", "full", "own", "other"]
READ = (401, 403, 200, 200, 200, 404)
LIST = (401, 403, 200, 200, 200, 200)
ADD = (401, 403, 403, 201, 201, 404)
CHANGE = (401, 403, 403, 200, 200, 404)
DELETE = (401, 403, 403, 204, 204, 404)
#: not a method of the route: those who may not even view, or change, are told so first
NO_READ = (401, 403, 405, 405, 405, 405)
NO_WRITE = (401, 403, 403, 405, 405, 405)
NO_OPTIONS = (401, 405, 405, 405, 405, 405)
NO_OPTIONS_OF_ALL = (401, 403, 405, 405, 405, 405)

ROUTES: dict[str, dict[str, tuple[int, ...]]] = {
    "sessions/": {"get": LIST, "post": (401, 403, 403, 201, 201, 403)},
    "sessions/latest/?workspace_id={workspace}": {"get": READ, "options": NO_OPTIONS_OF_ALL},
    "sessions/summaries/": {"get": LIST, "options": NO_OPTIONS_OF_ALL},
    "sessions/{session}/": {"get": READ, "patch": CHANGE, "delete": DELETE},
    "sessions/{session}/summary/": {"get": READ, "options": NO_OPTIONS_OF_ALL},
    # The client of the tests is a WSGI server, under which there is no stream; test_stream_access.py has the rest.
    "sessions/{session}/events/": {"get": (401, 403, 501, 501, 501, 404), "options": NO_OPTIONS_OF_ALL},
    "sessions/{session}/messages/": {"get": READ, "post": ADD},
    "sessions/{session}/dangling/": {"get": READ},
    "sessions/{session}/repair/": {"post": CHANGE},
    "messages/{message}/fork/": {"post": ADD, "options": NO_OPTIONS_OF_ALL},
    "sessions/{session}/checkpoints/": {"get": READ, "post": ADD},
    "sessions/{session}/checkpoints/latest/": {"get": READ},
    "checkpoints/{checkpoint}/": {"get": READ},
    "checkpoints/{checkpoint}/lineage/": {"get": READ},
    "checkpoints/{checkpoint}/fork/": {"post": ADD, "options": NO_OPTIONS_OF_ALL},
    # An upsert may change what is there, so that a POST needs the permission for that, too; a search only asks.
    "entities/": {"get": LIST, "post": (401, 403, 403, 201, 201, 403)},
    "entities/search/": {"post": LIST},
    "entities/{entity}/": {"get": READ, "patch": CHANGE, "delete": DELETE},
    "entities/{entity}/related/": {"get": READ},
    "facts/": {"get": LIST, "post": (401, 403, 403, 201, 201, 403)},
    "facts/search/": {"post": LIST},
    "facts/{fact}/": {"get": READ, "delete": DELETE},
}
METHODS = ["get", "head", "options", "post", "put", "patch", "delete"]
BODIES: dict[str, Any] = {
    "sessions/": {"directory": "/", "workspace_id": "{workspace}"},
    "sessions/{session}/messages/": {"role": "user"},
    "sessions/{session}/checkpoints/": {"step": 1, "node_results": {}},
    "entities/": {"session_id": "{session}", "name": "a", "type": "b", "workspace_id": "{workspace}"},
    "entities/search/": {"embedding": [1.0]},
    "facts/": {"content": "a", "workspace_id": "{workspace}"},
    "facts/search/": {"embedding": [1.0]},
}


def expected(route: str, method: str) -> tuple[int, ...]:
    methods = ROUTES[route]
    if method == "head":
        return methods.get("get", NO_READ)
    if method in methods:
        return methods[method]
    return {"get": NO_READ, "options": NO_OPTIONS}.get(method, NO_WRITE)


def scope(request: Request) -> list[str] | None:
    limits: dict[str, list[str]] = {"own": [request.META["HTTP_X_WORKSPACE"]], "other": ["elsewhere"]}
    return limits.get(request.user.get_username())


@pytest.fixture(scope="module")
def people(committed: None) -> dict[str, User | None]:
    """Users, with their permissions in the database."""
    found: dict[str, User | None] = {"anonymous": None}
    for name in PEOPLE[1:]:
        found[name] = user = User.objects.create_user(name)
        permissions = Permission.objects.filter(content_type__app_label="obsku_checkpoint")
        if name == "viewer":
            permissions = permissions.filter(codename__startswith="view_")
        if name != "nobody":
            user.user_permissions.set(permissions)
    return found


@pytest.fixture
def limited(api: Client, settings: Any) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "WORKSPACE_SCOPE": "tests.api.test_permissions.scope",
    }


@pytest.fixture
def clients(limited: None, people: dict[str, User | None], workspace: str) -> dict[str, Client]:
    clients = {name: Client(user) for name, user in people.items()}
    for client in clients.values():
        client.defaults["HTTP_X_WORKSPACE"] = workspace
    return clients


@pytest.mark.parametrize(("route", "method"), list(itertools.product(ROUTES, METHODS)))
def test_everybody_may_do_what_the_table_says(
    clients: dict[str, Client], store: DjangoCheckpointStore, workspace: str, route: str, method: str
) -> None:
    answers = []
    for client in clients.values():
        session = store.create_session("/", workspace_id=workspace)
        checkpoint = store.save_checkpoint(session.id, step=1, node_results={})
        message = store.add_message(session.id, "user")
        entity = store.save_entity(session.id, name="a", type="b", workspace_id=workspace)
        fact = store.save_fact("a", workspace_id=workspace)
        ids = {"session": session.id, "checkpoint": checkpoint.id, "message": message.id, "workspace": workspace}
        path = route.format(entity=entity.id, fact=fact.id, **ids)
        body = dict(BODIES.get(route, {}))
        for name in {"workspace_id", "session_id"} & body.keys():
            body[name] = ids[name.removesuffix("_id")]
        data = {} if method in ("get", "head") else {"data": body}
        answers.append(getattr(client, method)(f"/api/{path}", **data).status_code)
    assert tuple(answers) == expected(route, method)


def test_the_table_has_every_route() -> None:
    from_urls = {str(pattern.pattern) for pattern in urls.urlpatterns}
    in_table = {route.partition("?")[0] for route in ROUTES}
    assert {
        pattern.replace("sessions/<obsku_id:id>", "sessions/{session}")
        .replace("entities/<obsku_id:id>", "entities/{entity}")
        .replace("facts/<obsku_id:id>", "facts/{fact}")
        .replace("<obsku_id:id>", "{checkpoint}")
        .replace("<obsku_id:message_id>", "{message}")
        for pattern in from_urls
    } == in_table


def test_a_list_shows_the_sessions_of_the_requests_workspaces(
    clients: dict[str, Client], store: DjangoCheckpointStore, workspace: str
) -> None:
    mine = store.create_session("/", workspace_id=workspace)
    others = [store.create_session("/", workspace_id=id).id for id in ("elsewhere", None)]
    shown = {session["id"] for session in clients["own"].get("/api/sessions/?limit=500").json()["results"]}
    assert mine.id in shown
    assert not shown & set(others)
    assert clients["own"].get("/api/sessions/?workspace_id=elsewhere").json()["results"] == []
    latest = clients["own"].get("/api/sessions/latest/").json()
    assert latest["session"]["id"] == mine.id
    assert clients["own"].get("/api/sessions/latest/?workspace_id=elsewhere").status_code == 404


def test_a_session_cannot_be_put_into_a_foreign_workspace(
    clients: dict[str, Client], store: DjangoCheckpointStore, workspace: str
) -> None:
    path = f"/api/sessions/{store.create_session('/', workspace_id=workspace).id}/"
    own = clients["own"]
    foreigners: list[Any] = ["elsewhere", None, "", ["x"], {}]
    for foreign in foreigners:
        assert own.post("/api/sessions/", {"directory": "/", "workspace_id": foreign}).status_code == 403, foreign
        assert own.patch(path, {"workspace_id": foreign}).status_code == 403, foreign
        assert own.patch(path, {"workspace_id": foreign}, headers={"If-Match": "*"}).status_code == 403, foreign
    assert own.post("/api/sessions/", {"directory": "/"}).status_code == 403
    assert own.patch(path, {"workspace_id": workspace}).status_code == 200
    assert clients["other"].patch(path, {"title": "T"}, headers={"If-Match": "*"}).status_code == 404


def test_a_lineage_ends_at_the_first_checkpoint_of_a_foreign_workspace(
    clients: dict[str, Client], store: DjangoCheckpointStore, workspace: str
) -> None:
    def save(workspace_id: str, parent: str | None) -> str:
        session = store.create_session("/", workspace_id=workspace_id)
        return store.save_checkpoint(session.id, step=1, node_results={}, parent_id=parent).id

    ids: list[str] = []
    for place in (workspace, "elsewhere", workspace, workspace):
        ids.append(save(place, ids[-1] if ids else None))

    def lineage(name: str, id: str) -> list[str]:
        return [one["id"] for one in clients[name].get(f"/api/checkpoints/{id}/lineage/").json()["results"]]

    assert lineage("full", ids[-1]) == ids[::-1]
    assert lineage("own", ids[-1]) == [ids[3], ids[2]]
    assert lineage("other", ids[1]) == [ids[1]]


def test_what_agents_know_is_seen_in_the_requests_workspaces(
    clients: dict[str, Client], store: DjangoCheckpointStore, workspace: str
) -> None:
    places: list[str | None] = [workspace, "elsewhere", None]
    sessions = [store.create_session("/", workspace_id=place).id for place in places]
    last = ""
    ids, facts = [], []
    for place in (workspace, "elsewhere", workspace, None):
        relationships: list[Any] = [{"targetId": last, "type": "r"}]
        saved = store.save_entity(
            sessions[0], name="a", type="b", workspace_id=place, relationships=relationships, embedding=[0.0, 1.0]
        )
        ids.append(last := saved.id)
        facts.append(store.save_fact("a", workspace_id=place, source_session_id=sessions[1], embedding=[0.0, 1.0]).id)
    own, full = clients["own"], clients["full"]
    mine = {ids[0], ids[2]}
    assert {one["id"] for one in own.get("/api/entities/?limit=500").json()["results"]} == mine
    assert {one["id"] for one in own.get("/api/facts/?limit=500").json()["results"]} == {facts[0], facts[2]}
    asked = {"embedding": [0, 1], "top_k": 500}
    assert {one["record"]["id"] for one in own.post("/api/entities/search/", asked).json()} == mine
    assert {one["record"]["id"] for one in own.post("/api/facts/search/", asked).json()} == {facts[0], facts[2]}
    assert own.post("/api/facts/search/", {**asked, "workspace_id": "elsewhere"}).json() == []
    path = f"/api/entities/{ids[2]}/related/?depth=5"
    assert own.get(path).json()["results"] == []
    assert [one["id"] for one in full.get(path).json()["results"]] == [ids[1], ids[0]]
    for id in (ids[1], ids[3]):
        assert own.get(f"/api/entities/{id}/").status_code == 404
        assert own.get(f"/api/entities/{id}/related/").status_code == 404
        assert own.patch(f"/api/entities/{id}/", {}).status_code == 404
        assert own.delete(f"/api/entities/{id}/").status_code == 404
    assert own.get(f"/api/facts/{facts[3]}/").status_code == 404
    for foreign in ("elsewhere", None):
        body: dict[str, Any] = {"session_id": sessions[0], "name": "a", "type": "b", "workspace_id": foreign}
        assert own.post("/api/entities/", body).status_code == 403
        assert own.patch(f"/api/entities/{ids[0]}/", {"workspace_id": foreign}).status_code == 403
        assert own.post("/api/facts/", {"content": "a", "workspace_id": foreign}).status_code == 403
    for session in sessions[1:]:  # of which it may not know
        body = {"session_id": session, "name": "a", "type": "b", "workspace_id": workspace}
        assert own.post("/api/entities/", body).status_code == 404
        fact = {"content": "a", "workspace_id": workspace, "source_session_id": session}
        assert own.post("/api/facts/", fact).status_code == 404


def test_a_route_that_shows_more_needs_more_permissions(
    api: Client, store: DjangoCheckpointStore, people: Any, path: str
) -> None:
    user = User.objects.create_user(f"sessions-{store.using}")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_session", "add_session"]))
    id = path.split("/")[-2]
    checkpoint = store.save_checkpoint(id, step=1, node_results={})
    client = Client(user)
    assert client.get(path).status_code == 200
    for route in (
        f"{path}summary/",
        "/api/sessions/latest/",
        "/api/sessions/summaries/",
        f"{path}messages/",
        f"{path}checkpoints/",
    ):
        assert client.get(route).status_code == 403, route
    assert client.post(f"/api/checkpoints/{checkpoint.id}/fork/", {}).status_code == 403


def test_the_projects_permission_classes_replace_ours(api: Client, settings: Any, path: str) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    }
    anybody = Client(None)
    assert anybody.get(path).status_code == 200
    assert anybody.patch(path, {"title": "T"}).status_code == 401


def text_scope(request: Request) -> Any:
    return "shop"


def test_a_scope_that_is_a_text_is_a_mistake_of_the_project(api: Client, settings: Any) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "WORKSPACE_SCOPE": "tests.api.test_permissions.text_scope",
    }
    with pytest.raises(ImproperlyConfigured, match="text_scope"):
        api.get("/api/sessions/")
