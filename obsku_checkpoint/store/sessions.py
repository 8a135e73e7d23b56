"""Sessions: make, find, change and delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from obsku_checkpoint import signals, validation
from obsku_checkpoint.clock import clock
from obsku_checkpoint.errors import IdConflictError, SessionNotFoundError
from obsku_checkpoint.fields import first_millisecond
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.models import Session
from obsku_checkpoint.protocols import UNSET, OnCorrupt, Unset
from obsku_checkpoint.records import SessionRecord
from obsku_checkpoint.store.calls import DatabaseStore
from obsku_checkpoint.store.rows import Row, session_record
from obsku_checkpoint.store.same import same_content
from obsku_checkpoint.store.selects import BY_ID

if TYPE_CHECKING:
    from obsku_checkpoint.querysets import SessionQuerySet

NEWEST_FIRST = "updated_at DESC, id DESC"
CONTENT = ("workspace_id", "title", "directory", "metadata")


class Sessions(DatabaseStore):
    def create_session(
        self,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionRecord:
        row = self._new_session(id, directory, title, workspace_id, metadata)
        return self._inserted(row) or self._repeated(row)

    def get_or_create_session(
        self,
        session_id: str,
        directory: str,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> SessionRecord:
        row = self._new_session(session_id, directory, title, workspace_id, metadata)
        stored = self.get_session(session_id) or self._inserted(row) or self.get_session(session_id)
        if stored is None:  # deleted between the two: the caller's next try makes it
            raise SessionNotFoundError(session_id)
        return stored

    def get_session(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> SessionRecord | None:
        if not validation.can_exist("session_id", session_id):
            return None
        validation.on_corrupt(on_corrupt)
        with self._call():
            rows = self._select(Session, (BY_ID, session_id))
        return session_record(rows[0], on_corrupt) if rows else None

    def list_sessions(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[SessionRecord]:
        validation.on_corrupt(on_corrupt)
        conditions: list[Sequence[Any]] = []
        if workspace_id is not None:
            if not validation.can_exist("workspace_id", workspace_id):
                return []
            conditions.append(("workspace_id = %s", workspace_id))
        if (moment := validation.moment("before", before)) is not None:
            conditions.append(("updated_at < %s", first_millisecond(moment)))
        with self._call():
            rows = self._select(Session, *conditions, order=NEWEST_FIRST, limit=validation.limit(limit))
        return [session_record(row, on_corrupt) for row in rows]

    def search_sessions(
        self,
        query: str,
        workspace_id: str | None = None,
        *,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[SessionRecord]:
        wanted = validation.can_exist("query", query)
        if workspace_id is not None:
            wanted = validation.can_exist("workspace_id", workspace_id) and wanted
        if not wanted:
            return []
        validation.on_corrupt(on_corrupt)
        sessions = self._sessions.in_workspace(workspace_id).matching(query).newest_first()
        with self._call():
            rows = self._rows(sessions[: validation.limit(limit)])
        return [session_record(row, on_corrupt) for row in rows]

    def update_session(
        self,
        session_id: str,
        *,
        title: str | Unset | None = UNSET,
        directory: str | Unset = UNSET,
        workspace_id: str | Unset | None = UNSET,
        metadata: dict[str, Any] | Unset | None = UNSET,
    ) -> SessionRecord:
        changes = validation.session_changes(
            title=title, directory=directory, workspace_id=workspace_id, metadata=metadata
        )
        if not validation.can_exist("session_id", session_id):
            raise SessionNotFoundError(session_id)
        with self._call():
            row = self._statements.update_session(session_id, changes, clock.activity(session_id))
        if row is None:
            raise SessionNotFoundError(session_id)
        return session_record(row, "keep")  # it is written: a corrupt column must not hide that

    def delete_session(self, session_id: str) -> bool:
        if not validation.can_exist("session_id", session_id):
            return False
        with self._call():
            return self._statements.delete_session(session_id)

    # -- rows

    @property
    def _sessions(self) -> SessionQuerySet:
        return Session.objects.using(self.using).all()

    def _new_session(
        self, id: str | None, directory: str, title: str | None, workspace_id: str | None, metadata: Any
    ) -> Row:
        id = new_id() if id is None else validation.key("id", id)
        now = clock.activity(id)
        return [
            id,
            validation.optional_key("workspace_id", workspace_id),
            validation.optional_text("title", title),
            validation.text("directory", directory),
            now,
            now,
            validation.metadata(metadata),
        ]

    def _inserted(self, row: Row) -> SessionRecord | None:
        with self._call():
            inserted = self._statements.insert_session(row)
        if not inserted:
            return None
        record = session_record(row)
        signals.send_after_commit(signals.session_created, type(self), using=self.using, record=record)
        return record

    def _repeated(self, row: Row) -> SessionRecord:
        """A retried write returns what the first one stored."""
        id = row[0]
        with self._call():
            stored = self._select(Session, (BY_ID, id))
        if not stored or not same_content(Session, stored[0], row, CONTENT):
            raise IdConflictError("Session", id)
        return session_record(stored[0], "keep")
