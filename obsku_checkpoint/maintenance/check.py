"""What is wrong with stored rows, and with the tables that hold them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.utils.module_loading import import_string

from obsku_checkpoint import conf, fields, message_validation, validation
from obsku_checkpoint.errors import InvalidRecordError, SerializationError
from obsku_checkpoint.maintenance.findings import Finding
from obsku_checkpoint.maintenance.schema import schema_findings
from obsku_checkpoint.maintenance.tables import of_workspace
from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.store import failures, session_clock
from obsku_checkpoint.tool_pairs import Pairing

#: app -> what looks at the memory that it keeps beside sessions
ADAPTERS = {"obsku_checkpoint.contrib.langgraph": "obsku_checkpoint.maintenance.langgraph_memory.findings"}

#: rows, and ids of sessions, in memory
ROWS = 100
SESSIONS = 1000
#: message ids have 32 bits; beyond this part of them it is time to think of it
NEARLY_USED_UP = 0.8
LAST_MESSAGE_ID = 2**31 - 1


def check(
    using: str | None = None, *, sample: int | None = None, progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """What is wrong, as it is found: of the tables, of each session and its rows, of facts, and of adapters' memories.

    ``sample`` looks at that many sessions, chosen at random, instead of all. ``progress`` is called with the sessions
    that were looked at, and how many there are. Memory grows with the checkpoints of one session: their ids.
    """
    using = using or conf.current().DATABASE
    with failures.in_our_words(using):
        unusable = False
        for finding in schema_findings(using):
            unusable |= finding.unusable
            yield finding
        if unusable:
            return
        yield from _sequence(using)
        total = Session.objects.using(using).count()
        ids = _session_ids(using) if sample is None else _chosen(_session_ids(using), sample)
        for count, id in enumerate(ids, 1):
            yield from _session(using, id)
            if progress:
                progress(count, total if sample is None else min(sample, total))
        if sample is None:
            yield from each(Fact.objects.using(using), lambda fact: {})
            for app, path in ADAPTERS.items():
                if apps.is_installed(app) and of_workspace(using):
                    yield from import_string(path)(using)


def _session_ids(using: str) -> Iterator[str]:
    return chain.from_iterable(Session.objects.using(using).all().pages_of_ids(SESSIONS))


def _chosen(ids: Iterator[str], count: int) -> list[str]:
    """Some of them at random, each with the same chance (reservoir sampling)."""
    chosen = list(islice(ids, count))
    for seen, id in enumerate(ids, count):
        if (place := random.randrange(seen + 1)) < count:
            chosen[place] = id
    return chosen


def _sequence(using: str) -> Iterator[Finding]:
    highest = Message.objects.using(using).aggregate(highest=models.Max("id"))["highest"] or 0
    last = highest
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_sequence_last_value(pg_get_serial_sequence('messages', 'id')::regclass)")
            last = cursor.fetchone()[0] or 0
    if last < highest:
        yield Finding("sequence", failures.SEQUENCE_BEHIND, table="messages", column="id")
    if max(last, highest) > LAST_MESSAGE_ID * NEARLY_USED_UP:
        share = max(last, highest) / LAST_MESSAGE_ID
        yield Finding("sequence", f"{share:.0%} of all ids of messages are used up", table="messages", column="id")


def _session(using: str, id: str) -> Iterator[Finding]:
    yield from each(
        Session.objects.using(using).filter(pk=id),
        lambda row: validation.session(
            id=row.id,
            workspace_id=row.workspace_id,
            title=row.title,
            directory=row.directory,
            metadata=row.metadata,
        ),
    )
    yield from _messages(using, id)
    yield from _checkpoints(using, id)
    yield from each(Entity.objects.using(using).filter(session_id=id), lambda row: {})


def _messages(using: str, session_id: str) -> Iterator[Finding]:
    pairing, latest, in_order = Pairing(), None, True

    def seen(row: Message) -> None:
        nonlocal latest, in_order
        pairing.take(row.pk, row.tool_calls, row.tool_results)
        if not isinstance(row.created_at, CorruptValue):
            in_order = in_order and (latest is None or latest <= row.created_at)
            latest = row.created_at
        message_validation.message(
            "", row.role, row.content, row.tool_calls, row.tool_results, row.tokens_in, row.tokens_out
        )

    yield from each(Message.objects.using(using).in_session(session_id).order_by("id"), seen)
    if not in_order:
        yield Finding("order", "times are not in the order of ids", "note", "messages", session_id=session_id)
    for one in pairing.unpaired():
        what = "has no result" if one.kind == "call" else "has no call"
        yield Finding(
            "dangling", f"the {one.kind} {one.tool_use_id} {what}", "note", "messages", one.message_id, session_id
        )


def _checkpoints(using: str, session_id: str) -> Iterator[Finding]:
    parents: dict[str, str | None] = {}
    versions: Counter[tuple[str, int]] = Counter()

    def seen(row: Checkpoint) -> None:
        parents[row.id] = row.parent_id
        versions[row.namespace, row.version] += 1
        validation.checkpoint(**{name: getattr(row, name) for name in validation.CHECKPOINT})

    yield from each(Checkpoint.objects.using(using).in_session(session_id).order_by("namespace", "version"), seen)
    first: dict[str, int] = {}
    for (namespace, version), count in versions.items():
        place: dict[str, Any] = {"table": "checkpoints", "session_id": session_id}
        if count > 1:
            yield Finding("version", f"{count} rows have the version {version} of {namespace!r}", **place)
        # A fork begins with the version of its checkpoint, and a prune leaves the newest ones.
        if version > first.setdefault(namespace, version) and (namespace, version - 1) not in versions:
            yield Finding("version", f"version {version - 1} of {namespace!r} is missing", "note", **place)
    yield from _lineage(using, session_id, parents)


def _lineage(using: str, session_id: str, parents: Mapping[str, str | None]) -> Iterator[Finding]:
    sound: set[str] = set()
    for id in parents:
        walked: dict[str, None] = {}
        at: str | None = id
        while at is not None and at in parents and at not in sound and at not in walked:
            walked[at] = None
            at = parents[at]
        if at is not None and at in walked:
            sentence = f"is its own ancestor: {' <- '.join(walked)}"
            yield Finding("lineage", sentence, "fault", "checkpoints", at, session_id)
        sound.update(walked)
    elsewhere = sorted({parent for parent in parents.values() if parent is not None and parent not in parents})
    for start in range(0, len(elsewhere), ROWS):
        some = elsewhere[start : start + ROWS]
        there = set(Checkpoint.objects.using(using).filter(id__in=some).values_list("id", flat=True))
        for parent in some:
            if parent not in there:
                yield Finding("lineage", f"the parent {parent} is gone", "note", "checkpoints", None, session_id)


def each(rows: Any, seen: Callable[[Any], object], *, to_come: Collection[str] = ()) -> Iterator[Finding]:
    """What is wrong with each row: a column that cannot be read, a time, a shape that a reader would refuse.

    ``to_come``: times that may be ahead of now.
    """
    horizon = fields.from_milliseconds(session_clock.now()["horizon"])  # which no clock follows
    table = rows.model._meta.db_table
    for row in rows.iterator(ROWS):
        place = {"table": table, "id": row.pk, "session_id": getattr(row, "session_id", None)}
        corrupt = False
        for field in rows.model._meta.concrete_fields:
            value = getattr(row, field.attname)
            if isinstance(value, CorruptValue):
                corrupt = True
                yield Finding("unreadable", value.reason, column=str(field.column), **place)
            elif (
                isinstance(field, fields.MillisecondsField) and field.name not in to_come and value and value > horizon
            ):
                yield Finding("time", f"is ahead of now: {value.isoformat()}", column=str(field.column), **place)
        try:
            seen(row)
        except (InvalidRecordError, SerializationError) as error:
            if not corrupt:
                yield Finding("shape", str(error), **place)
