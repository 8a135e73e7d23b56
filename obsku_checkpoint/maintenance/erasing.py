"""What came from a person or a customer goes: sessions, what hangs on them, and facts that they are the source of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from django.db import connections, transaction

from obsku_checkpoint import conf
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.tables import FACTS, SESSIONS, Table, of_workspace, quoted, tables
from obsku_checkpoint.models import Fact, Session
from obsku_checkpoint.store import DjangoCheckpointStore, failures

#: ids of sessions in memory
SESSIONS_AT_ONCE = 1000


def erase(
    using: str | None = None,
    *,
    session_ids: Sequence[str] | None = None,
    workspace_id: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Delete the sessions named, or all of a workspace, with all that hangs on them and the facts that came from them.

    Of a workspace, its facts without a session go as well, and what adapters keep of it beside sessions, as LangGraph's
    long-term memory. Each session goes in a transaction of its own, as
    `delete_session` deletes: by the rules of models that refer to it, with the signal ``session_deleted``. A session
    that is in use is a `SessionInUseError`; those before it are gone, and erasing can be repeated. What forks have
    copied belongs to them, and stays. Returns table -> rows; with ``dry_run`` nothing is deleted.
    """
    if (session_ids is None) == (workspace_id is None):
        raise InvalidRecordError("session_ids", "is given, or else workspace_id")
    using = using or conf.current().DATABASE
    erased: dict[str, int] = {}
    with failures.in_our_words(using):
        ours = {name: table for name, table in tables(using).items() if table.root in (SESSIONS, FACTS)}
        ids = iter(dict.fromkeys(session_ids)) if session_ids is not None else _of_workspace(using, workspace_id)
        for done, id in enumerate(ids, 1):
            for table, count in _erase_session(using, ours, id, dry_run=dry_run).items():
                erased[table] = erased.get(table, 0) + count
            if progress:
                progress(done)
        if workspace_id is not None:
            facts = Fact.objects.using(using).filter(workspace_id=workspace_id)
            own = facts.exclude(source_session__workspace_id=workspace_id) if dry_run else facts
            erased[FACTS] = erased.get(FACTS, 0) + (own.count() if dry_run else own.delete()[0])
            for model in of_workspace(using):
                rows = model._default_manager.using(using).filter(workspace_id=workspace_id)
                erased[model._meta.db_table] = rows.count() if dry_run else rows.delete()[0]
    return {table: count for table, count in erased.items() if count}


def _of_workspace(using: str, workspace_id: str | None) -> Iterator[str]:
    sessions = Session.objects.using(using).in_workspace(workspace_id)
    return chain.from_iterable(sessions.pages_of_ids(SESSIONS_AT_ONCE))


def _erase_session(using: str, ours: dict[str, Table], id: str, *, dry_run: bool) -> dict[str, int]:
    store = DjangoCheckpointStore(using)
    with transaction.atomic(using=using):
        counts = {name: _count(using, table, id) for name, table in ours.items()}
        if counts[SESSIONS] and not dry_run:
            Fact.objects.using(using).filter(source_session_id=id).delete()
            store.delete_session(id)
    return counts


def _count(using: str, table: Table, session_id: str) -> int:
    name = quoted(using, table.name)
    if table.name == FACTS:
        condition = "source_session_id = %s"
    elif table.owner:
        condition = f"{quoted(using, table.owner)} = %s"
    else:
        message = table.reference.name if table.reference else ""
        condition = f"{quoted(using, message)} IN (SELECT id FROM messages WHERE session_id = %s)"
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {name} WHERE {condition}", [session_id])
        return int(cursor.fetchone()[0])
