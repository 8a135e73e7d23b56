"""The stream: who may listen, and from where on."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from obsku_checkpoint.api.stream.postgres import PostgresFeed
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.listening import Listening, run


@pytest.mark.parametrize("last", ["x", "-1", "1-", "1.", "1.-2", "9" * 30, "1-2-3", "1.2*", "1.2*0x", "ü"])
def test_a_place_that_no_stream_gave_is_bad_input(stream: str, last: str) -> None:
    async def test() -> None:
        async with Listening(stream, last=last) as listening:
            assert listening.status == 400
            assert "Last-Event-ID" in (await listening._received.get() or b"").decode()

    run(test())


def test_a_place_of_a_server_that_was_left_behind_is_bad_input(store: DjangoCheckpointStore) -> None:
    """A database that was dumped and restored elsewhere counts its transactions anew."""
    postgres = PostgresFeed("postgres")
    with pytest.raises(ValueError, match="another server"):
        postgres.cursor("9" * 18)
    with pytest.raises(ValueError, match="so many"):
        postgres.cursor("0" + ".1" * 401)
    assert postgres.cursor("0" + ".1" * 400).horizon == 0


def test_head_is_answered_and_ends(stream: str) -> None:
    async def test() -> None:
        async with Listening(stream, method="HEAD") as listening:
            assert listening.status == 200
            assert listening.headers["content-type"] == "text/event-stream"
            assert await listening.block() is None

    run(test())


def scope(request: Any) -> Iterable[str] | None:
    return SCOPES.get(request.user.get_username())


#: user -> workspaces; any iterable, such as a query that is not made before somebody looks
SCOPES: dict[str, Iterable[str]] = {}


def test_the_stream_is_for_those_who_may_see_the_session(
    store: DjangoCheckpointStore, stream: str, id: str, settings: Any, workspace: str
) -> None:
    settings.OBSKU_CHECKPOINT = {
        "DATABASE": store.using,
        "STREAM_INTERVAL_MS": 20,
        "WORKSPACE_SCOPE": "tests.api.test_stream_access.scope",
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the others are slow by intention
    permissions = {"nobody": [], "viewer": ["session", "message", "checkpoint"], "some": ["session", "message"]}
    names: dict[str, str] = {}
    for kind in ("nobody", "some", "viewer", "own", "other"):
        names[kind] = name = f"{kind}-{uuid.uuid4().hex[:12]}"
        wanted = permissions.get(kind, permissions["viewer"])
        user = User.objects.create_user(name, password=name)
        user.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{model}" for model in wanted]))
    SCOPES.update({names["own"]: [workspace], names["other"]: ["elsewhere"]})

    async def test() -> None:
        answers = {}
        for kind, name in {"anonymous": None, **names}.items():
            async with Listening(stream, user=name) as listening:
                answers[kind] = listening.status
        assert answers == {
            "anonymous": 401, "nobody": 403, "some": 403, "viewer": 200, "own": 200, "other": 404,
        }  # fmt: skip
        # Moved to where one may not see it, it is gone for one, not for all.
        async with Listening(stream, user=names["own"]) as own, Listening(stream, user=names["viewer"]) as viewer:
            await own.block()
            await viewer.block()
            await store.aupdate_session(id, workspace_id="elsewhere")
            assert await own.events(2) == [("deleted", id), ("end", None)]
            message = await store.aadd_message(id, "user")
            assert await viewer.event() == ("message", message.id)

    run(test())


def test_a_scope_is_asked_in_the_request_and_not_by_the_thread_of_all(
    store: DjangoCheckpointStore, stream: str, id: str, settings: Any, workspace: str
) -> None:
    asked: list[str] = []

    class Lazy:
        """As a QuerySet, it looks when it is looked into."""

        def __iter__(self) -> Iterator[str]:
            asked.append(threading.current_thread().name)
            return iter([workspace])

        def __contains__(self, item: object) -> bool:
            return item in list(self)

    settings.OBSKU_CHECKPOINT = {
        "DATABASE": store.using,
        "STREAM_INTERVAL_MS": 20,
        "WORKSPACE_SCOPE": "tests.api.test_stream_access.scope",
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    name = f"lazy-{uuid.uuid4().hex[:12]}"
    user = User.objects.create_user(name, password=name)
    wanted = [f"view_{model}" for model in ("session", "message", "checkpoint")]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    SCOPES[name] = Lazy()

    async def test() -> None:
        async with Listening(stream, user=name) as listening:
            assert listening.status == 200
            await listening.block()
            message = await store.aadd_message(id, "user")
            assert await listening.event() == ("message", message.id)

    run(test())
    assert asked
    assert not [thread for thread in asked if "stream" in thread]
