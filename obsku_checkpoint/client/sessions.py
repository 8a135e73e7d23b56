"""Sessions over HTTP: make, find, change and delete."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import method
from obsku_checkpoint.client.base import HTTPStore
from obsku_checkpoint.client.request import body, path
from obsku_checkpoint.client.response import record, records
from obsku_checkpoint.client.retries import Steps
from obsku_checkpoint.errors import IdConflictError, SessionNotFoundError
from obsku_checkpoint.protocols import UNSET, OnCorrupt, Unset
from obsku_checkpoint.records import SessionRecord


class Sessions(HTTPStore):
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
        columns = validation.session(
            id=id, workspace_id=workspace_id, title=title, directory=directory, metadata=metadata
        )
        return (yield from self._create(columns))

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
        columns = validation.session(
            id=validation.key("id", session_id),
            workspace_id=workspace_id,
            title=title,
            directory=directory,
            metadata=metadata,
        )
        stored = yield from self._find(session_id, "raise")
        if stored is None:
            try:
                stored = yield from self._create(columns)
            except IdConflictError:  # another was faster
                stored = yield from self._find(session_id, "raise")
        if stored is None:  # and deleted it again: the caller's next try makes it
            raise SessionNotFoundError(session_id)
        return stored

    @method
    def get_session(self, session_id: str, *, on_corrupt: OnCorrupt = "raise") -> Steps[SessionRecord | None]:
        validation.on_corrupt(on_corrupt)
        if not validation.can_exist("session_id", session_id):
            return None
        return (yield from self._find(session_id, on_corrupt))

    @method
    def list_sessions(
        self,
        workspace_id: str | None = None,
        *,
        before: datetime | SessionRecord | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[SessionRecord]]:
        shown = yield from self._list_of_sessions("sessions/", workspace_id, before, None, limit, on_corrupt)
        return records(SessionRecord, shown, on_corrupt)

    @method
    def search_sessions(
        self,
        query: str,
        workspace_id: str | None = None,
        *,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> Steps[list[SessionRecord]]:
        if not validation.can_exist("query", query):
            return []
        shown = yield from self._list_of_sessions("sessions/", workspace_id, None, query, limit, on_corrupt)
        return records(SessionRecord, shown, on_corrupt)

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
        absent = SessionNotFoundError(session_id)
        if not validation.can_exist("session_id", session_id):
            raise absent
        shown = yield from self._ask(
            "PATCH", path("sessions", session_id), body=body(changes), errors={"session_not_found": absent}
        )
        return record(SessionRecord, shown, "keep")  # it is written: a corrupt column must not hide that

    @method
    def delete_session(self, session_id: str) -> Steps[bool]:
        if not validation.can_exist("session_id", session_id):
            return False
        return (yield from self._ask("DELETE", path("sessions", session_id))) is not None

    # -- steps that several methods take

    def _find(self, id: str, on_corrupt: OnCorrupt) -> Steps[SessionRecord | None]:
        shown = yield from self._ask("GET", path("sessions", id))
        return None if shown is None else record(SessionRecord, shown, on_corrupt)

    def _create(self, columns: dict[str, Any]) -> Steps[SessionRecord]:
        conflict = IdConflictError("Session", columns["id"])
        shown = yield from self._ask("POST", "sessions/", body=body(columns), errors={"id_conflict": conflict})
        return record(SessionRecord, shown, "keep")

    def _list_of_sessions(
        self,
        path: str,
        workspace_id: str | None,
        before: datetime | SessionRecord | None,
        query: str | None,
        limit: int | None,
        on_corrupt: OnCorrupt,
    ) -> Steps[list[Any]]:
        validation.on_corrupt(on_corrupt)
        moment, before_id = validation.before(before)
        params = {
            "workspace_id": workspace_id,
            "search": query,
            "updated_before": validation.iso("before", moment),
            "before_id": before_id,
        }
        if workspace_id is not None and not validation.can_exist("workspace_id", workspace_id):
            return []
        return (yield from self._list(path, params, validation.limit(limit)))
