"""What is in the database, against what the writers asked for and were told."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import psycopg

from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.torture.journal import Write, read
from tests.workload import Precious

#: that are said in words
SAID = 20


@dataclass(slots=True)
class Report:
    #: (way, figure) -> how often; the figures whose names are in `FAULTS` must be 0
    figures: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: the first of the faults in words
    said: list[str] = field(default_factory=list)
    faults: int = 0

    @property
    def acknowledged(self) -> int:
        """Writes of which a writer was told that they are done."""
        return sum(count for (_, figure), count in self.figures.items() if figure == "acknowledged")

    def count(self, way: str, figure: str) -> None:
        self.figures[way, figure] += 1

    def fault(self, way: str, figure: str, what: object) -> None:
        self.count(way, figure)
        self.faults += 1
        if len(self.said) < SAID:
            self.said.append(f"{figure}, {way}: {what}")


@dataclass(slots=True)
class Database:
    """What is stored. A token leads to the rows that carry it, each as its id and its time."""

    rows: dict[str, list[tuple[Any, int]]] = field(default_factory=lambda: defaultdict(list))
    #: id -> directory
    sessions: dict[str, str] = field(default_factory=dict)
    #: session -> content and time of its messages, in their order
    transcripts: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    #: those of a fork that were copied
    copies: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    #: id -> session and time
    checkpoints: dict[str, tuple[str, int]] = field(default_factory=dict)
    #: session -> the checkpoint of which it is a fork
    parents: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def check(url: str, journals: Iterable[Path], precious: Sequence[Precious]) -> Report:
    report = Report()
    writes: dict[str, Write] = {}
    for journal in sorted(journals):
        for line in read(journal, writes):
            way = line.pop("way")
            if "read" not in line:
                report.fault(way, "wrong" if "wrong" in line else "other errors", line)
            elif line["maybe_written"]:
                report.fault(way, "wrong", f"{line['read']} says that it may have written")
    with psycopg.connect(url) as connection:
        stored = _stored(connection, writes, report, {one.session.id for one in precious})
        _versions(connection, report)
    deleted = {
        write.about
        for write in writes.values()
        if write.method == "delete_session"
        and write.about not in stored.sessions
        and (write.told != "failed" or write.maybe_written)
    }
    for write in writes.values():
        _judge(write, stored, deleted, report)
    _order(writes.values(), stored, report)
    _updates(writes.values(), stored, deleted, report)
    with PostgresCheckpointStore(url) as store:
        for one in precious:
            messages, checkpoints = store.get_messages(one.session.id), store.list_checkpoints(one.session.id)
            if (store.get_session(one.session.id), messages, checkpoints) != (
                one.session,
                one.messages,
                [one.checkpoint],
            ):
                report.fault("nobody", "wrong", f"the precious session {one.session.id} has changed")
    return report


def _stored(connection: psycopg.Connection, writes: dict[str, Write], report: Report, precious: set[str]) -> Database:
    """All rows. One that no call asked for is a fault."""
    stored = Database()
    for id, title, directory, time in connection.execute("SELECT id, title, directory, created_at FROM sessions"):
        stored.sessions[id] = directory
        if title in writes:
            stored.rows[title].append((id, time))
        elif id not in precious and not id.startswith("shared-"):
            report.fault("nobody", "wrong", f"the session {id} {title!r}")
    checkpoints = "SELECT id, session_id, node_id, parent_id, source, created_at, node_results FROM checkpoints"
    for id, session, token, parent, source, time, results in connection.execute(checkpoints):
        stored.checkpoints[id] = session, time
        if session in precious:
            continue
        if token not in writes or f'"{token}"' not in results:
            report.fault("nobody", "wrong", f"the checkpoint {id}")
        elif source == "fork":
            stored.parents[session].append(parent)
        elif writes[token].about == session:
            stored.rows[token].append((id, time))
        else:
            report.fault(writes[token].way, "wrong", f"the checkpoint {id} in session {session}")
    messages = "SELECT id, session_id, content, created_at FROM messages ORDER BY session_id, created_at, id"
    for id, session, content, time in connection.execute(messages):
        stored.transcripts[session].append((content, time))
        token = content.partition("/")[0]
        if session in precious:
            continue
        if token not in writes:
            report.fault("nobody", "wrong", f"the message {id}")
        elif writes[token].about == session:
            stored.rows[token].append((id, time))
        else:
            stored.copies[session].append((content, time))
    for session in stored.copies.keys() - stored.parents.keys():
        report.fault("nobody", "wrong", f"messages of another session in {session}, which is not a fork")
    return stored


def _versions(connection: psycopg.Connection, report: Report) -> None:
    """1, 2, 3, … in each namespace; of a fork from that of the copied checkpoint on."""
    gaps = """
        SELECT session_id, namespace, array_agg(version ORDER BY version)
        FROM checkpoints
        GROUP BY session_id, namespace
        HAVING max(version) - min(version) + 1 <> count(*) OR min(version) <> 1 AND NOT bool_or(source = 'fork')
    """
    for session, namespace, versions in connection.execute(gaps):
        report.fault("all", "gaps", f"{session} {namespace!r}: {versions}")


def _judge(write: Write, stored: Database, deleted: set[str], report: Report) -> None:
    """One write: is it there if it was acknowledged, whole, once; and is there nothing if it says so?"""
    report.count(write.way, "calls")
    if write.told == "acknowledged":
        report.count(write.way, "acknowledged")
    if write.method == "update_session":
        return  # which is judged with the others of its session
    if write.method == "delete_session":
        rows, whole = [], True
        written = write.about not in stored.sessions
    elif write.about in deleted or deleted.intersection(write.ids):
        return  # of which nothing can be left
    else:
        rows = stored.rows.get(write.token, [])
        whole = len(rows) == write.rows
        written = bool(rows)
        if write.method == "fork":
            whole = whole and _fork_is_whole(rows[0][0], write.about, stored)
    if len(rows) > write.rows:
        report.fault(write.way, "twice", write)
    elif written and not whole:
        report.fault(write.way, "half", write)
    match write.told:
        case "acknowledged":
            if not written or set(write.ids) - {id for id, _ in rows}:
                report.fault(write.way, "lost", write)
        case "failed":
            figure = "maybe" if write.maybe_written else "not"
            report.count(write.way, figure)
            if written and write.maybe_written:
                report.count(write.way, f"{figure}: written")
            elif written:
                report.fault(write.way, f"{figure}: written", write)
        case None:
            report.count(write.way, "killed")
            if written:
                report.count(write.way, "killed: written")


def _fork_is_whole(fork: str, checkpoint: str, stored: Database) -> bool:
    """It has exactly the messages that were written before the checkpoint, and the checkpoint."""
    if checkpoint not in stored.checkpoints:
        return False
    original, end = stored.checkpoints[checkpoint]
    wanted = [(content, time) for content, time in stored.transcripts[original] if time <= end]
    return stored.copies[fork] == wanted and stored.parents[fork] == [checkpoint]


def _order(writes: Iterable[Write], stored: Database, report: Report) -> None:
    """The rows that a client wrote into a session one after the other have times one after the other."""
    last: dict[tuple[str, str], int] = {}
    for write in writes:
        if write.told == "acknowledged" and write.method in ("add_message", "add_messages", "save_checkpoint"):
            times = [time for _, time in sorted(stored.rows.get(write.token, []), key=itemgetter(0))]
            before = last.get((write.client, write.about), 0)
            if any(later <= earlier for earlier, later in itertools.pairwise([before, *times])):
                report.fault(write.way, "order", write)
            last[write.client, write.about] = max([before, *times])


def _updates(writes: Iterable[Write], stored: Database, deleted: set[str], report: Report) -> None:
    """A session has its last acknowledged directory, or one of an update of which nobody knows."""
    updates = defaultdict(list)
    for write in writes:
        if write.method == "update_session" and write.about not in deleted:
            updates[write.about].append(write)
    for session, its in updates.items():
        directory = stored.sessions.get(session)
        acknowledged = [write.token for write in its if write.told == "acknowledged"]
        doubtful = [write.token for write in its if write.told is None or write.maybe_written]
        if acknowledged and directory not in [acknowledged[-1], *doubtful]:
            report.fault(its[-1].way, "lost", f"{session} has the directory {directory}: {its}")
        elif not acknowledged and directory in {write.token for write in its} - {*doubtful}:
            report.fault(its[-1].way, "not: written", f"{session} has the directory {directory}: {its}")
