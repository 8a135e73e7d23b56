"""Conversations in the shape of OpenAI's chat become sessions."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance import chat_lines, export_lines, import_lines
from obsku_checkpoint.messages import to_openai_chat
from obsku_checkpoint.store import DjangoCheckpointStore

Make = Callable[[], DjangoCheckpointStore]

CALLS: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1+2?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "3"},
    {"role": "assistant", "content": "3, of course: é 🂡"},
]
SHORT: list[Any] = [{"role": "user", "content": "Hello"}]
IMAGE: list[Any] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]
NAMED = {"id": "chat-1", "title": "Sums", "model": "gpt-5", "metadata": {"who": "me"}, "messages": CALLS}


def jsonl(*values: Any) -> str:
    return "\n".join(map(json.dumps, values)) + "\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(CALLS), [CALLS]),
        (json.dumps(CALLS, indent=2), [CALLS]),
        (json.dumps({"messages": CALLS}, indent=1), [CALLS]),
        (json.dumps([{"messages": CALLS}, SHORT], indent=1), [CALLS, SHORT]),
        (jsonl({"messages": CALLS}, {"messages": SHORT}), [CALLS, SHORT]),
        (jsonl(CALLS, SHORT), [CALLS, SHORT]),
        (jsonl(*CALLS), [CALLS]),
        ("[]", [[]]),
        ("", []),
    ],
    ids=["list", "lines of a list", "object", "list of both", "objects", "lists", "messages", "none", "nothing"],
)
def test_a_file_of_any_form(empty_store: Make, text: str, expected: list[Any]) -> None:
    store = empty_store()

    def run() -> Any:
        return import_lines(chat_lines(io.BytesIO(text.encode()), store.using, workspace_id="w"), store.using)

    assert run().rows.get("sessions", 0) == len(expected)
    sessions = store.list_sessions("w")
    written = [to_openai_chat(store.get_messages(one.id)) for one in sessions]
    assert sorted(written, key=str) == sorted(expected, key=str)
    for session in sessions:
        messages = store.get_messages(session.id)
        assert all(message.id >= 1 for message in messages)
        times = [message.created_at for message in messages]
        assert times == sorted(set(times))
        assert all(session.created_at < time <= session.updated_at for time in times)
    before = list(export_lines(store.using))
    assert (run().rows, list(export_lines(store.using))) == ({}, before)


def test_what_stands_beside_the_messages(empty_store: Make) -> None:
    store = empty_store()
    import_lines(chat_lines([json.dumps(NAMED).encode()], store.using), store.using)
    session = store.get_session("chat-1")
    assert session is not None
    assert (session.title, session.directory, session.workspace_id) == ("Sums", "chat", None)
    assert session.metadata == {"who": "me", "model": "gpt-5"}
    assert store.get_messages("chat-1")[2].tool_calls == [{"name": "add", "toolUseId": "c1", "input": {"a": 1, "b": 2}}]
    store.add_message("chat-1", "user", "Thanks.")
    with pytest.raises(InvalidRecordError, match="sessions chat-1: it is there already, with other rows"):
        import_lines(chat_lines([json.dumps(NAMED).encode()], store.using), store.using)


def test_the_same_conversation_twice_in_a_file_and_in_another_workspace(empty_store: Make) -> None:
    store = empty_store()
    file = jsonl(SHORT, SHORT).encode().splitlines()
    assert import_lines(chat_lines(file, store.using), store.using).rows["sessions"] == 1
    assert import_lines(chat_lines(file, store.using, workspace_id="w"), store.using).rows["sessions"] == 1


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"messages": IMAGE}, r"line 2, items\[0\]\.content\[0\]: is 'image_url', which a message cannot hold"),
        ({"role": "user"}, "line 2, messages: are missing"),
        (5, "line 2, messages: are missing"),
        ([5], r"line 2, items\[0\]: takes an object, not int"),
        ({"messages": SHORT, "id": 5}, "line 2, session_id"),
        ({"messages": SHORT, "title": 5}, "line 2, title"),
        ({"messages": SHORT, "metadata": [1]}, "line 2, metadata"),
        ({"messages": SHORT, "metadata": {"x": "\ud800"}}, None),
        ({"messages": [{"role": "user", "content": "a lone \ud800 and a NUL \x00"}]}, None),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"line 2, items\[0\]\.role"),
    ],
)
def test_a_conversation_that_cannot_be_read_is_left_out(empty_store: Make, bad: Any, sentence: str | None) -> None:
    store, rejects = empty_store(), io.BytesIO()
    file = jsonl(CALLS, bad, SHORT).encode().splitlines()
    if sentence is None:
        assert import_lines(chat_lines(file, store.using), store.using).rows["sessions"] == 3
        return
    with pytest.raises(InvalidRecordError, match=sentence):
        import_lines(chat_lines(file, store.using), store.using)
    result = import_lines(chat_lines(file, store.using), store.using, rejects=rejects)
    assert (result.rejected, len(store.list_sessions())) == (1, 2)
    [_header, why, given] = map(json.loads, rejects.getvalue().splitlines())
    assert why["rejected"].partition(": ")[2]
    assert json.loads(given["given"]) == bad


@pytest.mark.parametrize(("text", "sentence"), [("{", "the file: is not JSON"), ("[1,\n2", "the file: is not JSON")])
def test_what_is_no_json_at_all(empty_store: Make, text: str, sentence: str) -> None:
    with pytest.raises(InvalidRecordError, match=sentence):
        list(chat_lines(io.BytesIO(text.encode()), empty_store().using))


def test_a_line_that_is_no_json(empty_store: Make) -> None:
    store = empty_store()
    result = import_lines(
        chat_lines([json.dumps(SHORT).encode(), b"{oops"], store.using), store.using, rejects=io.BytesIO()
    )
    assert (result.rows["sessions"], result.rejected) == (1, 1)
    with pytest.raises(InvalidRecordError, match="line 2: is not JSON"):
        list(chat_lines([b'{"role":"user","content":"x"}', b"{oops"], store.using))


def test_the_command(empty_store: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, file, rejects = empty_store(), tmp_path / "chat.jsonl.gz", tmp_path / "rejects.jsonl"
    file.write_bytes(gzip.compress(jsonl(NAMED, IMAGE).encode()))
    arguments = ("import", "--from", "chat", "--database", store.using, "--directory", "/moved")

    def output_of(*more: str) -> str:
        output = io.StringIO()
        call_command("checkpoints", *arguments, *more, stdout=output, stderr=io.StringIO())
        return output.getvalue().strip()

    with pytest.raises(CommandError, match="cannot hold"):
        output_of(str(file))
    said = f"1 sessions, 5 messages. Left out, see {rejects}: 1."
    assert output_of(str(file), "--rejects", str(rejects), "--dry-run") in (
        f"Would be written: {said}",
        f"Would be written: no rows. There already, unchanged: 1. Left out, see {rejects}: 1.",
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(SHORT).encode())))
    assert output_of("-") == "Written: 1 sessions, 1 messages."
    assert {session.directory for session in store.list_sessions()} == {"/moved"}
