"""Sizes, growth, the largest sessions, tokens and their cost, waiting and failed runs."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from obsku_checkpoint.maintenance.commands.arguments import positive
from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.figures import DAYS, Stats, stats
from obsku_checkpoint.maintenance.metrics import prometheus_text
from obsku_checkpoint.maintenance.sizes import Growth, LargeSession
from obsku_checkpoint.maintenance.spending import Spending
from obsku_checkpoint.printable import plain

#: characters of a cell
CELL = 40


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--days", type=positive, metavar="N", default=DAYS, help=f"today and those before; {DAYS}")
    parser.add_argument("--prometheus", action="store_true", help="today's figures in the text format of Prometheus")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    figures = stats(using, days=options["days"])
    text = prometheus_text(figures).rstrip("\n") if options["prometheus"] else "\n\n".join(_tables(figures))
    output.result(asdict(figures), text)


def _tables(figures: Stats) -> Iterator[str]:
    """For a person: ``~`` stands before what is an estimate."""
    yield _table(
        ["Table", "Rows", "Bytes"],
        [[one.table, _count(one.rows, one.estimated), _bytes(one.bytes)] for one in figures.tables]
        + [["the whole database", "", _bytes(figures.database_bytes)]],
    )
    yield _table(["Day (UTC)", *_names(figures.growth)], list(_growth(figures.growth)))
    yield _table(
        ["Largest sessions", "Title", "Workspace", "Messages", "Checkpoints", "Bytes"],
        [list(_session(one)) for one in figures.largest],
    )
    yield _table(
        ["Day (UTC)", "Workspace", "Messages", "Tokens in", "Tokens out", "Cost", "Tokens without a price"],
        [list(_spending(one)) for one in figures.spending],
    )
    standing = figures.standing
    since = f", since {standing.since:%Y-%m-%d %H:%M} UTC" if standing.since else ""
    yield (
        f"Of the {standing.sessions:,} sessions that were written to last{since}:"
        f" {standing.waiting:,} wait for a person, {standing.failed:,} have a failed node"
        + (f", {standing.unsearched:,} have results too large to be searched for one." if standing.unsearched else ".")
    )


def _names(growth: Sequence[Growth]) -> list[str]:
    return list(dict.fromkeys(one.table for one in growth))


def _growth(growth: Sequence[Growth]) -> Iterator[list[str]]:
    for day in sorted({one.day for one in growth}):
        rows = {one.table: _count(one.rows, one.estimated) for one in growth if one.day == day}
        yield [day.isoformat(), *(rows.get(name, "0") for name in _names(growth))]


def _session(one: LargeSession) -> Iterator[str]:
    yield from (one.id, one.title or "", _workspace(one.workspace_id))
    yield from (f"{count:,}" for count in (one.messages, one.checkpoints))
    yield _count(one.bytes, one.estimated)


def _spending(one: Spending) -> Iterator[str]:
    yield one.day.isoformat()
    yield "(all others)" if one.others else _workspace(one.workspace_id)
    yield from (f"{value:,}" for value in (one.messages, one.tokens_in, one.tokens_out))
    yield "" if one.cost is None else f"{one.cost:,.2f}"
    yield _count(one.unpriced) if one.unpriced else ""


def _workspace(name: str | None) -> str:
    return "-" if name is None else name or "“”"


def _count(count: int, estimated: bool = False) -> str:
    return f"{'~' if estimated else ''}{count:,}"


def _bytes(size: int | None) -> str:
    return "" if size is None else f"{size:,}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In columns; numbers stand at the right."""
    cells = [[plain(cell, CELL) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if row is not cells[0] and cell.strip("~")[:1].isdigit() and place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
