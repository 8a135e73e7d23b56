"""The lines of an export become rows again: each session with all that hangs on it, or not at all; each fact; and each
item of a memory with its vectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

import orjson
from django.db import DataError, IntegrityError, transaction

from obsku_checkpoint import conf
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.export import HEADER
from obsku_checkpoint.maintenance.rows import Line, RowReader, StoredRow, line_of_rejection
from obsku_checkpoint.maintenance.staging import Staging
from obsku_checkpoint.store import failures

#: bytes of lines that become rows in one transaction; the session in which they are exceeded is finished
BATCH = 8 * 2**20
THERE_WITH_OTHER_ROWS = "it is there already, with other rows"


@dataclass(slots=True, kw_only=True)
class ImportResult:
    """What an import has done, or with ``dry_run`` would have."""

    #: table -> rows that were written
    rows: dict[str, int] = field(default_factory=dict)
    #: sessions, facts and items that were there already, with the same rows
    unchanged: int = 0
    #: sessions whose messages got other ids, since another session has one of theirs
    renumbered: int = 0
    #: sessions, facts and items that were left out
    rejected: int = 0


@dataclass(slots=True)
class _Unit:
    """A session with all that hangs on it, a fact, or an item with its vectors: written as a whole, or not at all."""

    number: int
    name: str
    #: the table of its first line, and the id there
    root: str
    id: Any
    #: the number of its first line
    line: int
    #: where its lines are in the spool
    begin: int
    end: int
    fault: InvalidRecordError | None = None
    #: table of the line before, and its key
    last: tuple[str, tuple[object, ...]] = ("", ())


Numbered = Iterator[tuple[int, bytes]]


def import_lines(
    lines: Iterable[bytes],
    using: str | None = None,
    *,
    rejects: IO[bytes] | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Write what an export holds, in constant memory; ``obsku_checkpoint.maintenance.export`` describes its lines.

    Whatever is there already with the same rows is passed over, so importing twice changes nothing. A message keeps
    its id unless another session has it: then all messages of its session get new ones, in the same order. A fact
    whose session is not there loses the reference.

    A session with a line that cannot be read, that is there with other rows, or that the database refuses, is an
    `InvalidRecordError`, whose field names the line; the sessions before it are written. With ``rejects`` the import
    goes on instead, and such sessions' lines are written there, each session below a line that says why: what is
    mended in that file can be imported. ``progress`` is called with the number of each hundredth line. Sends no
    signals.
    """
    using = using or conf.current().DATABASE
    importer = _Import(using, rejects, dry_run=dry_run)
    numbered = enumerate(lines, 1)
    with failures.in_our_words(using):
        importer.run(_with_progress(numbered, progress) if progress else numbered)
    return importer.result


def _with_progress(numbered: Numbered, progress: Callable[[int], None]) -> Numbered:
    for number, line in numbered:
        if number % 100 == 0:
            progress(number)
        yield number, line


class _Import:
    def __init__(self, using: str, rejects: IO[bytes] | None, *, dry_run: bool) -> None:
        self._using = using
        self._rejects = rejects
        self._dry_run = dry_run
        self._reader = RowReader(using)
        self._rejected_before = False
        self._renumbered: set[str] = set()
        self.result = ImportResult()

    def run(self, lines: Numbered) -> None:
        more = True
        while more:
            with TemporaryFile() as spool:
                lines, more = self._batch(lines, spool)

    def _batch(self, lines: Numbered, spool: IO[bytes]) -> tuple[Numbered, bool]:
        """Write some whole units; return what is left of the lines, and whether there is more."""
        units: list[_Unit] = []
        try:
            with transaction.atomic(using=self._using):
                staging = Staging(self._using, self._renumbered)
                following = self._fill(lines, units, staging, spool)
                faulty = [unit for unit in units if unit.fault]
                merged = staging.merge({unit.number for unit in faulty})
                transaction.set_rollback(self._dry_run, using=self._using)
        except (IntegrityError, DataError) as error:
            following = self._following
            self._one_by_one(units, spool, str(error).strip().partition("\n")[0])
        else:
            for table, count in merged.rows.items():
                self.result.rows[table] = self.result.rows.get(table, 0) + count
            self.result.unchanged += len(merged.unchanged)
            self.result.renumbered += len(merged.renumbered)
            for unit in units:
                if unit.number in merged.differing:
                    unit.fault = InvalidRecordError(f"line {unit.line}: {unit.name}", THERE_WITH_OTHER_ROWS)
            for unit in units:
                if unit.fault:
                    self._reject(unit, unit.fault, spool)
        return (itertools.chain([following], lines), True) if following else (lines, False)

    def _one_by_one(self, units: list[_Unit], spool: IO[bytes], reason: str) -> None:
        """The database refuses a row of a unit: the others are written without it."""
        if len(units) == 1:
            (unit,) = units
            fault = InvalidRecordError(f"line {unit.line}: {unit.name}", f"is refused by the database: {reason}")
            self._reject(unit, unit.fault or fault, spool)
            return
        for unit in units:
            spool.seek(unit.begin)
            lines = spool.read(unit.end - unit.begin).splitlines(keepends=True)
            with TemporaryFile() as own:
                self._batch(enumerate(lines, unit.line), own)

    def _reject(self, unit: _Unit, fault: InvalidRecordError, spool: IO[bytes]) -> None:
        self.result.rejected += 1
        if self._rejects is None:
            raise fault
        if not self._rejected_before:
            self._rejects.write(orjson.dumps(HEADER, option=orjson.OPT_APPEND_NEWLINE))
            self._rejected_before = True
        self._rejects.write(line_of_rejection(unit.line, str(fault)))
        spool.seek(unit.begin)
        left = unit.end - unit.begin
        while left and (piece := spool.read(min(left, 2**20))):
            self._rejects.write(piece)
            left -= len(piece)

    # -- lines

    def _fill(
        self, lines: Numbered, units: list[_Unit], staging: Staging, spool: IO[bytes]
    ) -> tuple[int, bytes] | None:
        """Stage whole units until there are enough; return the line after them."""
        self._following: tuple[int, bytes] | None = None
        end = 0
        for number, text in lines:
            line = self._reader.read(text, number) if text.strip() else Line("")
            if line.row is None and line.fault is None:
                continue
            begins = line.table in self._reader.roots
            if begins and units and (end > BATCH or (units[-1].fault and self._rejects is None)):
                self._following = number, text
                break
            if begins or not units:
                units.append(_unit(line, number, end, len(units)))
            unit = units[-1]
            end += spool.write(text if text.endswith(b"\n") else text + b"\n")
            unit.end = end
            fault = line.fault or (_misplaced(unit, line.row, number) if line.row else None)
            unit.fault = unit.fault or fault
            if line.row and not fault:
                unit.last = line.table, line.row.key
                staging.add(line.row.table, line.row.values, unit.number, len(text))
        return self._following


def _unit(line: Line, number: int, begin: int, count: int) -> _Unit:
    id, place = None, ""
    if line.row:
        table, values = line.row.table, line.row.values
        id = line.row.owner
        place = " ".join(str(values[position]) for position in table.positions(table.place))
    return _Unit(count, f"{line.table} {place}".strip(), line.table, id, number, begin, begin)


def _misplaced(unit: _Unit, row: StoredRow, number: int) -> InvalidRecordError | None:
    """What is wrong about where a row stands."""
    table, key = unit.last
    field = f"line {number}: {row.table.name}"
    if row.table.name == row.table.root:
        return None
    if row.table.root != unit.root:
        return None if unit.fault else InvalidRecordError(field, f"stands below no line of {row.table.root}")
    if row.table.owner and row.owner != unit.id and unit.id is not None:
        return InvalidRecordError(field, f"is of {row.owner}, and stands below {unit.id}")
    if row.table.name == table and row.key == key:
        return InvalidRecordError(field, f"is there twice: {key[0]}")
    return None
