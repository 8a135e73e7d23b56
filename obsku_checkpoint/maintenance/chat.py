"""Conversations in the shape of OpenAI's chat completions, of a JSON file or of JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any
from uuid import UUID, uuid5

from obsku_checkpoint import conf
from obsku_checkpoint.errors import InvalidRecordError, SerializationError
from obsku_checkpoint.fields import to_milliseconds
from obsku_checkpoint.maintenance.tables import SESSIONS
from obsku_checkpoint.maintenance.transcript_lines import TranscriptLines
from obsku_checkpoint.messages import from_openai_chat
from obsku_checkpoint.models import Session

#: of the ids of conversations that have none
NAMESPACE = UUID("a3c1fdb5-0d7c-5a52-8a0e-6d1f6a4f8f10")


def chat_lines(
    file: Iterable[bytes], using: str | None = None, *, workspace_id: str | None = None, directory: str = "chat"
) -> Iterator[bytes]:
    """The lines of an export, for `import_lines`, of a file's lines.

    The file holds a list of messages, or an object with ``messages`` and, if you like, ``id``, ``title``, ``model`` and
    ``metadata``, or a list of such; or each of its lines does, or is one message of a single conversation. A
    conversation without an id gets one that is made of what it says and of the workspace, so that it is the same
    when it comes again. The times are those of the import. What a message cannot hold, as images, has a line that
    `import_lines` leaves the conversation out for. Raises `InvalidRecordError` where the file is not JSON at all.
    """
    using = using or conf.current().DATABASE
    lines = TranscriptLines(using, workspace_id=workspace_id, directory=directory)
    now = time.time_ns() // 1_000_000
    for path, given in _conversations(file):
        try:
            yield from _session(lines, using, path, given, now)
        except (InvalidRecordError, SerializationError) as error:
            field, reason = (error.field, error.reason) if isinstance(error, InvalidRecordError) else ("", str(error))
            yield lines.fault(
                SESSIONS, InvalidRecordError(", ".join(filter(None, [path, field])), reason), json.dumps(given)
            )


def _session(lines: TranscriptLines, using: str, path: str, given: Any, now: int) -> list[bytes]:
    if isinstance(given, _NotJson):
        raise InvalidRecordError("", given)
    about = given if isinstance(given, Mapping) else {"messages": given}
    items = about.get("messages")
    if not isinstance(items, list):
        raise InvalidRecordError("messages", "are missing: it takes a list of messages, or an object with `messages`")
    messages = from_openai_chat(items)
    id = about.get("id") or _id(lines, about)
    stored = Session.objects.using(using).filter(pk=id).values_list("created_at", flat=True).first()
    begun = now - len(messages) if stored is None else to_milliseconds(stored, "created_at")
    metadata = about.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise InvalidRecordError("metadata", f"takes an object, not {type(metadata).__name__}")
    if isinstance(about.get("model"), str):
        metadata = {**metadata, "model": about["model"]}
    session = lines.session(
        id, title=about.get("title"), metadata=metadata, created_at=begun, updated_at=begun + len(messages)
    )
    return [
        session,
        *(lines.message(id, f"messages[{n}]", one, begun + n + 1) for n, one in enumerate(messages)),
    ]


def _id(lines: TranscriptLines, about: Mapping[str, Any]) -> str:
    said = [lines.workspace_id, *(about.get(key) for key in ("messages", "title", "model", "metadata"))]
    return str(uuid5(NAMESPACE, json.dumps(said, sort_keys=True)))


def _conversations(file: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """(where it stands, what stands there); in constant memory, where each line is a conversation."""
    numbered = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    begin = list(islice(numbered, 2))
    values = [_read(line) for _, line in begin[:1]]
    if isinstance(values[0] if values else None, _NotJson):
        # One value in many lines.
        values = [_read(b"".join(line for _, line in chain(begin, numbered)))]
        begin = []
    if len(begin) < 2:
        for value in values:
            if isinstance(value, _NotJson):
                raise InvalidRecordError("the file", value)
            yield from _apart(value)
    elif isinstance(values[0], Mapping) and "role" in values[0]:
        messages = [(number, _read(line)) for number, line in chain(begin, numbered)]
        bad = next(((number, value) for number, value in messages if isinstance(value, _NotJson)), None)
        if bad:
            raise InvalidRecordError(f"line {bad[0]}", bad[1])
        yield "the file", [value for _, value in messages]
    else:
        for number, line in chain(begin, numbered):
            yield f"line {number}", _read(line)


def _apart(value: Any) -> Iterator[tuple[str, Any]]:
    """The conversations of a list of them, or the one that the value is."""
    if isinstance(value, list) and value and all(isinstance(one, list) or "messages" in one for one in value):
        yield from ((f"[{index}]", one) for index, one in enumerate(value))
    else:
        yield "the file", value


class _NotJson(str):
    """Why a text is none."""

    __slots__ = ()


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return _NotJson(f"is not JSON: {error}")
