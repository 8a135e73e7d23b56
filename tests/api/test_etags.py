"""Two people who edit one session do not overwrite each other."""

from __future__ import annotations

import threading

from django.contrib.auth.models import User
from django.db import connections

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client


def test_a_change_of_a_session_that_was_edited_since_is_refused(api: Client, path: str) -> None:
    seen = api.get(path)["ETag"]
    changed = api.patch(path, {"title": "Mine"}, headers={"If-Match": seen})
    assert changed.status_code == 200
    refused = api.patch(path, {"title": "Yours"}, headers={"If-Match": seen})
    assert refused.status_code == 412
    assert api.get(path).json()["title"] == "Mine"
    assert api.patch(path, {"title": "Yours"}, headers={"If-Match": changed["ETag"]}).status_code == 200
    for condition, code in (("*", 200), (f'"x", {api.get(path)["ETag"]}', 200), ('"x"', 412), ("x", 412)):
        assert api.patch(path, {"title": "Yours"}, headers={"If-Match": condition}).status_code == code, condition
    assert api.patch(path, {"title": "Whoever"}).status_code == 200


def test_an_agent_at_work_does_not_stand_in_the_way(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    seen = api.get(path)["ETag"]
    api.post(f"{path}messages/", {"role": "user", "content": "hello"})
    assert api.get(path)["ETag"] != seen
    assert api.patch(path, {"title": "Mine"}, headers={"If-Match": seen}).status_code == 200


def test_of_many_who_edit_at_once_one_succeeds(
    api: Client, store: DjangoCheckpointStore, path: str, user: User
) -> None:
    seen, codes, start = api.get(path)["ETag"], [], threading.Barrier(8)

    def edit(number: int) -> None:
        start.wait()
        answer = Client(user).patch(path, {"title": f"By {number}"}, headers={"If-Match": seen})
        codes.append(answer.status_code)
        connections.close_all()

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [412] * 7


def test_a_session_that_is_gone_is_not_found(api: Client, path: str) -> None:
    api.delete(path)
    assert api.patch(path, {"title": "T"}, headers={"If-Match": "*"}).status_code == 404


def test_answers_are_in_no_cache_for_others(api: Client, path: str) -> None:
    for answer in (api.get(path), api.get("/api/sessions/none/"), api.post("/api/sessions/", {"directory": "/"})):
        assert answer.headers["Cache-Control"] == "private, no-cache"
