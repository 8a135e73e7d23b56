"""Read sessions from a file that `export` has written."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from obsku_checkpoint.maintenance import files
from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.importing import ImportResult, import_lines


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="compressed if it ends in .gz or .zst; - is standard input")
    parser.add_argument("--rejects", metavar="FILE", help="where sessions go that cannot be read, instead of an error")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    rejects = options["rejects"]
    with files.reading(options["file"]) as lines, files.writing(rejects) if rejects else nullcontext() as rejected:
        result = import_lines(
            lines,
            using,
            rejects=rejected,
            dry_run=options["dry_run"],
            progress=lambda count: output.progress(count, "lines"),
        )
    output.result(asdict(result), _sentence(result, rejects, dry_run=options["dry_run"]))


def _sentence(result: ImportResult, rejects: str | None, *, dry_run: bool) -> str:
    rows = ", ".join(f"{count:,} {table}" for table, count in result.rows.items()) or "no rows"
    parts = [f"{'Would be written' if dry_run else 'Written'}: {rows}."]
    if result.unchanged:
        parts.append(f"There already, unchanged: {result.unchanged:,}.")
    if result.renumbered:
        parts.append(f"Sessions whose messages have new ids: {result.renumbered:,}.")
    if result.rejected:
        parts.append(f"Left out, see {rejects}: {result.rejected:,}.")
    return " ".join(parts)
