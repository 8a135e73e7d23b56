"""Delete sessions with all that hangs on them, and the facts that came from them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.erasing import erase


def add_arguments(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--session", metavar="ID", action="append", help="this session; may be given several times")
    which.add_argument("--workspace", metavar="W", help="all sessions and facts of this workspace")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    erased = erase(
        using,
        session_ids=options["session"],
        workspace_id=options["workspace"],
        dry_run=options["dry_run"],
        progress=lambda done: output.progress(done, "sessions"),
    )
    rows = ", ".join(f"{count:,} {table}" for table, count in erased.items()) or "nothing"
    output.result(erased, f"{'Would be erased' if options['dry_run'] else 'Erased'}: {rows}.")
