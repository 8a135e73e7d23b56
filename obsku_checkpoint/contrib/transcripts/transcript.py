"""A session's transcript with originals, as steps of the store's own kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import orjson
from django.apps import apps
from django.db import connections
from django.utils.module_loading import import_string

from obsku_checkpoint import codec, message_validation, signals, validation
from obsku_checkpoint.async_twins import Steps, method, steps_of, twin
from obsku_checkpoint.contrib.transcripts.originals import original_text
from obsku_checkpoint.contrib.transcripts.sql import ALL, CLEAR, READ, READ_UP_TO, Sql
from obsku_checkpoint.errors import (
    CheckpointCorruptionError,
    ConfigurationError,
    SessionNotFoundError,
)
from obsku_checkpoint.records import MessageRecord, SessionRecord, ToolResult
from obsku_checkpoint.store import DjangoCheckpointStore, session_clock
from obsku_checkpoint.store.calls import BinaryRead, Write, atomic
from obsku_checkpoint.store.messages import NEWEST_FIRST, OLDEST_FIRST
from obsku_checkpoint.store.rows import Row, message_records
from obsku_checkpoint.store.sql import DELETE_MESSAGE, REPAIR_MESSAGE, TOUCH_SESSION

R = TypeVar("R")

APP = "obsku_checkpoint.contrib.transcripts"
#: by name, so that a project on SQLite needs no psycopg
VENDORS = {"postgresql": f"{APP}.sql_postgres.PostgresSql", "sqlite": f"{APP}.sql.Sql"}


#: a row ends with results beside calls, whether it is silent, and its original; before them are a message's columns
BESIDE, SILENT, ORIGINAL = -3, -2, -1


class Entry(NamedTuple):
    """A message and what its framework wrote of it. Without an original, another program wrote the message."""

    row: Row
    original: dict[str, Any] | None

    @property
    def message(self) -> MessageRecord:
        [record] = message_records([self.row[:BESIDE]])
        return record

    @property
    def beside(self) -> list[ToolResult]:
        """Results that stand beside calls: a repair may have put them there."""
        text = self.row[BESIDE]
        return [] if text is None else codec.loads(text)

    @property
    def is_silent(self) -> bool:
        """Whether the message has no call and no result: a repair may have removed that of the original."""
        return bool(self.row[SILENT])


class Transcript:
    """The messages of one session in the ``format`` of one framework. Every method has an async twin.

    The session is made when the first message is added.
    """

    def __init__(
        self,
        session_id: str,
        *,
        format: str,
        using: str | DjangoCheckpointStore | None,
        workspace_id: str | None,
        directory: str,
    ) -> None:
        if not apps.is_installed(APP):
            raise ConfigurationError(f"add {APP!r} to INSTALLED_APPS")
        self.session_id = validation.key("session_id", session_id)
        self.workspace_id = validation.optional_key("workspace_id", workspace_id)
        self.directory = validation.text("directory", directory)
        self.format = format
        self._reading = {"session_id": self.session_id, "format": format}
        self.store = using if isinstance(using, DjangoCheckpointStore) else DjangoCheckpointStore(using)
        sql: type[Sql] = import_string(VENDORS[connections[self.store.using].vendor])
        self._sql = sql()

    def _run(self, begin: Callable[[], Steps[R]]) -> R:
        return self.store._run(begin)

    async def _run_async(self, begin: Callable[[], Steps[R]]) -> R:
        return await self.store._run_async(begin)

    @method
    def add(self, messages: Sequence[dict[str, Any]], originals: Sequence[Any]) -> Steps[None]:
        """Append messages, as `CheckpointStore.add_messages` takes them, with an original each: all or none."""
        rows = message_validation.messages(messages)
        texts = [original_text(f"items[{index}]", original) for index, original in enumerate(originals)]
        if not rows:
            return
        add = partial(self._sql.add, self.session_id, rows, self.format, texts)
        added = yield from add(session_clock.now())
        if not added:
            yield from self._made()
            added = yield from add(session_clock.now())
        if not added:
            raise SessionNotFoundError(self.session_id)
        if signals.message_added.receivers:
            pairs = zip(added, rows, strict=True)
            for record in message_records([[id, self.session_id, *row, at] for (id, at), row in pairs]):
                yield from self.store._announce(signals.message_added, record=record)

    @method
    def add_and_describe(self, messages: Sequence[dict[str, Any]], originals: Sequence[Any], state: Any) -> Steps[None]:
        """The same, and in the same transaction keep ``state`` in the session's metadata, under the name of the format.

        What else the metadata holds stays.
        """

        def steps() -> Steps[None]:
            yield from steps_of(Transcript.add)(self, messages, originals)
            if not (yield self._lock()):
                yield from self._made()
            metadata = (yield from self._session()).metadata
            change = steps_of(DjangoCheckpointStore.update_session)
            yield from change(self.store, self.session_id, metadata={**(metadata or {}), self.format: state})

        yield from atomic(steps)

    @method
    def state(self) -> Steps[Any]:
        """What `add_and_describe` has kept; None where it has kept nothing, or there is no session."""
        session = yield from steps_of(DjangoCheckpointStore.get_session)(self.store, self.session_id)
        metadata = session.metadata if session else None
        return metadata.get(self.format) if isinstance(metadata, dict) else None

    @method
    def read(self, limit: int | None = None) -> Steps[Iterator[Entry]]:
        """The newest messages, oldest first."""
        return self._entries((yield READ, self._newest(limit)))

    @method
    def read_originals(self, limit: int | None = None) -> Steps[list[Any] | None]:
        """The originals of the newest messages, oldest first. None where they do not say all, and `read` is needed:
        another program wrote a message, a repair has changed one, or an original cannot be read.
        """
        # PostgreSQL sorts in no time what stands in order already.
        order = OLDEST_FIRST if limit is None else NEWEST_FIRST
        texts = dict((yield BinaryRead(self._sql.read_originals(order), self._newest(limit))))
        ids = orjson.loads(texts.pop(None) or "[]")
        if order == NEWEST_FIRST:
            ids.reverse()
        try:
            # one array of them all: reading that takes two thirds of the time
            items = codec.uncollected(f"[{','.join([texts[id] for id in ids])}]")
        except (KeyError, TypeError, ValueError):
            return None
        return items if len(items) == len(ids) and {*map(type, items)} <= {dict} else None

    @method
    def read_window(
        self, last_turns: int | None, max_tokens: int | None, also_before: Callable[[Any], bool]
    ) -> Steps[list[Entry]]:
        """The newest messages by `CheckpointStore.get_messages`' bounds, and those right before them whose originals
        belong to what follows them.
        """
        get = steps_of(DjangoCheckpointStore.get_messages)
        window = yield from get(self.store, self.session_id, last_turns=last_turns, max_tokens=max_tokens)
        if not window:
            return []
        more = 1
        while True:
            given = {"last_id": window[-1].id, "limit": len(window) + more}
            entries = list(self._entries((yield READ_UP_TO, {**self._reading, **given})))
            before = entries[: len(entries) - len(window)]
            kept = 0
            while kept < len(before) and also_before(before[-1 - kept].original):
                kept += 1
            if kept < more:
                return entries[len(before) - kept :]
            more *= 2

    @method
    def pop(self, split: Callable[[Entry], tuple[Any, dict[str, Any] | None]]) -> Steps[Any]:
        """Remove the end of the transcript and return it, None where there is none.

        ``split`` makes of the newest message what is returned, and the columns of it that stay: None where none do.
        """
        return (yield from atomic(partial(self._popped, split)))

    @method
    def clear(self) -> Steps[None]:
        """Remove all messages. The session stays, with its checkpoints."""

        def steps() -> Steps[None]:
            if (yield self._lock()):
                yield Write(CLEAR, {"session_id": self.session_id})

        yield from atomic(steps)

    aadd = twin(add)
    aadd_and_describe = twin(add_and_describe)
    astate = twin(state)
    aread = twin(read)
    aread_originals = twin(read_originals)
    aread_window = twin(read_window)
    apop = twin(pop)
    aclear = twin(clear)

    # -- rows

    def _newest(self, limit: int | None) -> dict[str, Any]:
        return {**self._reading, "limit": ALL if limit is None else limit}

    def _lock(self) -> Write:
        return Write(TOUCH_SESSION, {"session_id": self.session_id, **session_clock.now()})

    def _made(self) -> Steps[None]:
        make = steps_of(DjangoCheckpointStore.get_or_create_session)
        yield from make(self.store, self.session_id, self.directory, workspace_id=self.workspace_id)

    def _session(self) -> Steps[SessionRecord]:
        session = yield from steps_of(DjangoCheckpointStore.get_session)(self.store, self.session_id)
        if session is None:
            raise SessionNotFoundError(self.session_id)
        return session

    def _popped(self, split: Callable[[Entry], tuple[Any, dict[str, Any] | None]]) -> Steps[Any]:
        if not (yield self._lock()):
            return None
        while rows := (yield READ, self._newest(1)):
            [entry] = self._entries(rows)
            end, left = split(entry)
            id = entry.row[0]
            if left is None:
                yield Write(DELETE_MESSAGE, {"id": id})
            else:
                yield Write(REPAIR_MESSAGE, {"id": id, **left})
            if end is not None:
                return end
        return None

    def _entries(self, rows: Sequence[Row]) -> Iterator[Entry]:
        """Oldest first, each decoded when it is asked for: what is kept of thousands costs more than the decoding."""
        return (Entry(row, None if row[ORIGINAL] is None else _value(row[0], row[ORIGINAL])) for row in reversed(rows))


def _value(id: int, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text[:1] == " " else orjson.loads(text)
    except ValueError as error:
        raise CheckpointCorruptionError("$", str(error), text, "originals", str(id), "data") from error
    if not isinstance(value, dict):
        raise CheckpointCorruptionError("$", "is not an object", text, "originals", str(id), "data")
    return value
