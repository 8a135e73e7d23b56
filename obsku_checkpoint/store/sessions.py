"""Sessions: make, find, change and delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from obsku_checkpoint import signals, validation
from obsku_checkpoint.async_twins import Steps, method, steps_of, twin
from obsku_checkpoint.errors import IdConflictError, SessionInUseError, SessionNotFoundError
from obsku_checkpoint.fields import first_millisecond
from obsku_checkpoint.models import Session
from obsku_checkpoint.protocols import UNSET, OnCorrupt, Unset
from obsku_checkpoint.records import Resumption, SessionRecord
from obsku_checkpoint.store import deletion, session_clock
from obsku_checkpoint.store.calls import OverDjango, Write
from obsku_checkpoint.store.checkpoints import Checkpoints
from obsku_checkpoint.store.messages import Messages
from obsku_checkpoint.store.rows import Row, same_content, session_record
from obsku_checkpoint.store.sql import BY_ID, DELETE_SESSION, INSERT_SESSION, UPDATE_SESSION, columns

if TYPE_CHECKING:
    from obsku_checkpoint.querysets import SessionQuerySet

NEWEST_FIRST = "updated_at DESC, id DESC"
CONTENT = ("workspace_id", "title", "directory", "metadata")
COLUMNS = columns(Session)


class Sessions(Messages, Checkpoints):
    @method
    def create_session(
        self,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> Steps[SessionRecord]:
        row = self._new_session(id, directory, title, workspace_id, metadata)
        return (yield from self._inserted(row)) or (yield from self._repeated(row))

    @method
    def get_or_create_session(
        self,
        session_id: str,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Steps[SessionRecord]:
        row = self._new_session(session_id, directory, title, workspace_id, metadata)
        find = steps_of(Sessions.get_session)
        stored = (
            (yield from find(self, session_id))
            or (yield from self._inserted(row))
            or (yield from find(self, session_id))
        )
        if stored is None:  # deleted between the two: the caller's next try makes it
            raise SessionNotFoundError(session_id)
        return stored

    @method
    def get_session(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[SessionRecord | None]:
        if not validation.can_exist("session_id", session_id):
            return None
        validation.on_corrupt(on_corrupt)
        rows = yield self._select(Session, (BY_ID, session_id))
        return session_record(rows[0], on_corrupt) if rows else None

    @method
    def list_sessions(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | SessionRecord | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[SessionRecord]]:
        validation.on_corrupt(on_corrupt)
        conditions: list[Sequence[Any]] = []
        if workspace_id is not None:
            if not validation.can_exist("workspace_id", workspace_id):
                return []
            conditions.append(("workspace_id = %s", workspace_id))
        moment, before_id = validation.before(before)
        if moment is not None:
            milliseconds = first_millisecond(moment)
            if before_id is None:
                conditions.append(("updated_at < %s", milliseconds))
            else:
                conditions.append(("(updated_at, id) < (%s, %s)", milliseconds, before_id))
        rows = yield self._select(Session, *conditions, order=NEWEST_FIRST, limit=validation.limit(limit))
        return [session_record(row, on_corrupt) for row in rows]

    @method
    def search_sessions(
        self,
        query: str,
        workspace_id: str | None = None,
        *,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[SessionRecord]]:
        wanted = validation.can_exist("query", query)
        if workspace_id is not None:
            wanted = validation.can_exist("workspace_id", workspace_id) and wanted
        if not wanted:
            return []
        validation.on_corrupt(on_corrupt)
        if (count := validation.limit(limit)) == 0:
            return []
        sessions = self._sessions.in_workspace(workspace_id).matching(query).newest_first()
        rows = yield self._query(sessions[:count])
        return [session_record(row, on_corrupt) for row in rows]

    @method
    def update_session(
        self,
        session_id: str,
        *,
        title: str | Unset | None = UNSET,
        directory: str | Unset = UNSET,
        workspace_id: str | Unset | None = UNSET,
        metadata: dict[str, Any] | Unset | None = UNSET,
    ) -> Steps[SessionRecord]:
        changes = validation.session_changes(
            title=title, directory=directory, workspace_id=workspace_id, metadata=metadata
        )
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        given = {f"set_{column}": column in changes for column in CONTENT}
        values = {column: changes.get(column) for column in CONTENT}
        rows = yield Write(UPDATE_SESSION, {"session_id": session_id, **session_clock.now(), **given, **values})
        if not rows:
            raise SessionNotFoundError(session_id)
        return session_record(rows[0], "keep")  # it is written: a corrupt column must not hide that

    @method
    def delete_session(self, session_id: str) -> Steps[bool]:
        if not validation.can_exist("session_id", session_id):
            return False
        try:
            if deletion.is_referred_to(self.using, *deletion.DELETED):
                deleted = yield OverDjango(partial(deletion.delete, self.using, [session_id]))
            else:
                deleted = yield Write(DELETE_SESSION, {"session_id": session_id})
        except SessionInUseError as error:  # the database refuses
            raise SessionInUseError(session_id, error.by) from error.__cause__
        if deleted:
            yield from self._announce(signals.session_deleted, session_id=session_id)
        return bool(deleted)

    @method
    def delete_sessions(self, session_ids: Sequence[str]) -> Steps[list[str]]:
        """Delete several in few statements, all or none. Until all are, other writers to them wait.

        Beside the protocol, for people. Returns the ids of those that there were; raises as `delete_session` does.
        """
        ids = [id for id in session_ids if validation.can_exist("session_id", id)]
        deleted: list[str] = yield OverDjango(partial(deletion.delete, self.using, ids))
        for id in deleted:
            yield from self._announce(signals.session_deleted, session_id=id)
        return deleted

    adelete_sessions = twin(delete_sessions)

    @method
    def continue_latest(
        self, workspace_id: str | None = None, *, on_corrupt: OnCorrupt = "raise"
    ) -> Steps[Resumption | None]:
        sessions = yield from steps_of(Sessions.list_sessions)(self, workspace_id, limit=1, on_corrupt=on_corrupt)
        for session in sessions:
            messages = yield from steps_of(Messages.get_messages)(self, session.id, on_corrupt=on_corrupt)
            find = steps_of(Checkpoints.get_latest_checkpoint)
            checkpoint = yield from find(self, session.id, on_corrupt=on_corrupt)
            return Resumption(session=session, messages=messages, checkpoint=checkpoint)
        return None

    # -- rows

    @property
    def _sessions(self) -> SessionQuerySet:
        return Session.objects.using(self.using).all()

    def _new_session(
        self, id: str | None, directory: str, title: str | None, workspace_id: str | None, metadata: Any
    ) -> Row:
        session = validation.session(
            id=id, workspace_id=workspace_id, title=title, directory=directory, metadata=metadata
        )
        now = session_clock.now()["now"]
        return [
            session["id"],
            session["workspace_id"],
            session["title"],
            session["directory"],
            now,
            now,
            session["metadata"],
        ]

    def _inserted(self, row: Row) -> Steps[SessionRecord | None]:
        inserted = yield Write(INSERT_SESSION, dict(zip(COLUMNS, row, strict=True)))
        if not inserted:
            return None
        record = session_record(row)
        yield from self._announce(signals.session_created, record=record)
        return record

    def _repeated(self, row: Row) -> Steps[SessionRecord]:
        """A retried write returns what the first one stored."""
        id = row[0]
        stored = yield self._select(Session, (BY_ID, id))
        if not stored or not same_content(Session, stored[0], row, CONTENT):
            raise IdConflictError("Session", id)
        return session_record(stored[0], "keep")
