"""Messages over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.api.conftest import Client

CALL = {"name": "explain", "toolUseId": "use-1", "input": {"limits": {"__type": "Map", "value": [[1, 2]]}}}


def session_id(path: str) -> str:
    return path.split("/")[-2]


def texts(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [message["content"] for message in answer.json()["results"]]


def test_a_message_is_added(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    added = api.post(f"{path}messages/", {"role": "assistant", "content": "hi", "tool_calls": [CALL], "tokens_in": 3})
    assert added.status_code == 201
    (stored,) = store.get_messages(session_id(path))
    assert added.json() == {
        "id": stored.id,
        "session_id": stored.session_id,
        "role": "assistant",
        "content": "hi",
        "tool_calls": [CALL],
        "tool_results": None,
        "tokens_in": 3,
        "tokens_out": None,
        "created_at": stored.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    assert api.get(f"{path}messages/").json()["results"] == [added.json()]


def test_of_a_list_all_are_added_or_none(api: Client, path: str) -> None:
    messages = [{"role": "user", "content": str(number)} for number in range(3)]
    added = api.post(f"{path}messages/", messages)
    assert added.status_code == 201
    assert [message["content"] for message in added.json()] == ["0", "1", "2"]
    refused = api.post(f"{path}messages/", [*messages, {"role": "robot"}])
    assert (refused.status_code, list(refused.json())) == (400, ["messages[3].role"])
    assert texts(api.get(f"{path}messages/")) == ["0", "1", "2"]
    assert api.post(f"{path}messages/", []).json() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "role"),
        ({"role": "robot"}, "role"),
        ({"role": "user", "id": 5}, "id"),
        ({"role": "user", "tokens_in": -1}, "tokens_in"),
        ({"role": "user", "tool_calls": [{"name": "x"}]}, "tool_calls[0].toolUseId"),
        ([{"role": "user", "id": 5}], "messages[0].id"),
        (["hello"], "messages[0]"),
        ("hello", "non_field_errors"),
        (5, "non_field_errors"),
    ],
)
def test_bad_messages_are_answered_with_the_fields_name(api: Client, path: str, body: Any, field: str) -> None:
    answer = api.post(f"{path}messages/", body)
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_a_session_that_does_not_exist_has_no_messages(api: Client) -> None:
    for body in ({"role": "user"}, [{"role": "user"}], []):
        assert api.post("/api/sessions/nowhere/messages/", body).status_code == 404
    assert api.get("/api/sessions/nowhere/messages/").json() == {
        "detail": "Session not found: nowhere",
        "code": "session_not_found",
    }


def test_limit_and_before_are_the_stores(api: Client, store: DjangoCheckpointStore, path: str) -> None:
    id, messages = session_id(path), f"{path}messages/"
    store.add_messages(id, [{"role": "user", "content": str(number)} for number in range(3)])
    store.save_checkpoint(id, step=1, node_results={})  # the next message has a later time
    third = store.add_message(id, "user", "3")
    store.add_message(id, "user", "4")
    assert texts(api.get(messages)) == ["0", "1", "2", "3", "4"]
    assert texts(api.get(messages, {"limit": 2})) == ["3", "4"]
    assert texts(api.get(messages, {"limit": 0})) == []
    assert texts(api.get(messages, {"before": third.created_at.isoformat()})) == ["0", "1", "2"]
    assert texts(api.get(messages, {"before": third.created_at.isoformat(), "limit": "2"})) == ["1", "2"]
    assert texts(api.get(messages, {"before_id": third.id, "limit": 1})) == ["2"]
    assert texts(api.get(messages, {"after_id": third.id - 2, "limit": 1})) == ["2"]
    assert texts(api.get(messages, {"after_id": third.id + 1000})) == []
    assert texts(api.get(messages, {"before_id": 2**63 - 1, "after_id": -(2**63) + 1})) == ["0", "1", "2", "3", "4"]
    wrong: list[dict[str, Any]] = [{"before": "x"}, {"before_id": "1.5"}, {"after_id": 2**63}]
    for bad in wrong:
        answer = api.get(messages, bad)
        assert (answer.status_code, list(answer.json())) == (400, list(bad))


CORRUPT_COLUMNS = [
    ("tool_calls", "{not json", "{not json"),
    ("tool_results", '[{"__type":"Date","value":"soon"}]', '[{"__type":"Date","value":"soon"}]'),
    ("created_at", 10**17, str(10**17)),
]


@pytest.mark.parametrize(("column", "value", "text"), CORRUPT_COLUMNS)
def test_a_corrupt_row_takes_no_others_with_it(
    api: Client, store: DjangoCheckpointStore, path: str, column: str, value: Any, text: str
) -> None:
    id = session_id(path)
    messages = store.add_messages(id, [{"role": "user", "content": str(number)} for number in range(3)])
    with connections[store.using].cursor() as cursor:
        cursor.execute(f"UPDATE messages SET {column} = %s WHERE id = %s", [value, messages[1].id])
    page = api.get(f"{path}messages/").json()["results"]
    assert sorted(message["content"] for message in page) == ["0", "1", "2"]
    (bad,) = [message for message in page if message["id"] == messages[1].id]
    assert bad[column] is None
    assert bad["corrupt"][column]["text"] == text
    assert bad["corrupt"][column]["reason"]
    assert all("corrupt" not in message for message in page if message is not bad)
    walked, link = [], f"{path}messages/?limit=1"
    while link:
        answer = api.get(link).json()
        walked += answer["results"]
        link = answer["previous"]
    assert sorted(message["content"] for message in walked) == ["0", "1", "2"]
    assert api.get(f"{path}summary/").status_code == 200
    assert api.get("/api/sessions/latest/").status_code == 200
    assert api.post(f"{path}messages/", {"role": "user"}).status_code == 201


def test_what_another_program_nested_too_deep_is_told_as_corrupt(
    api: Client, store: DjangoCheckpointStore, path: str
) -> None:
    text = '{"a":' * 400 + "1" + "}" * 400
    with connections[store.using].cursor() as cursor:
        cursor.execute("UPDATE sessions SET metadata = %s WHERE id = %s", [text, session_id(path)])
    session = api.get(path).json()
    assert session["metadata"] is None
    assert "nesting" in session["corrupt"]["metadata"]["reason"]
    assert api.patch(path, {"title": "U"}, headers={"If-Match": api.get(path)["ETag"]}).status_code == 200


def test_a_list_has_as_many_messages_as_an_answer_may(api: Client, path: str, settings: Any) -> None:
    settings.OBSKU_CHECKPOINT = {**settings.OBSKU_CHECKPOINT, "MAX_PAGE_BYTES": 256 * 100}
    message = {"role": "user"}
    assert api.post(f"{path}messages/", [message] * 100).status_code == 201
    refused = api.post(f"{path}messages/", [message] * 101)
    assert (refused.status_code, refused.json()) == (400, {"messages": ["has more than 100 messages"]})
