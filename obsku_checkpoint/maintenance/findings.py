"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    #: what it is about: ``unreadable``, ``shape``, ``time``, ``order``, ``version``, ``lineage``, ``dangling``,
    #: ``sequence`` or ``schema``
    kind: str
    sentence: str
    #: a ``note`` is worth a look, and may be meant: a parent that was pruned, a call whose agent was stopped
    level: Literal["fault", "note"] = "fault"
    table: str = ""
    id: str | int | None = None
    session_id: str | None = None
    column: str = ""
    #: nothing else can be checked: the table is missing, or another application's
    unusable: bool = False

    def __str__(self) -> str:
        row = f" {self.id}" if self.id is not None else ""
        column = f".{self.column}" if self.column else ""
        session = f" (session {self.session_id})" if self.session_id is not None else ""
        return f"{self.level}: {self.table}{column}{row}{session}: {self.sentence}"
