"""Delete old checkpoints, by age and by count, and sessions that have been idle for long."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from obsku_checkpoint.maintenance.commands.arguments import age, positive
from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.pruning import prune


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--older-than", type=age, metavar="AGE", help="delete checkpoints of this age or older: 30d, 12h, 90m"
    )
    parser.add_argument("--keep-last", type=positive, metavar="N", help="keep the newest N of each namespace")
    parser.add_argument(
        "--idle-sessions", type=age, metavar="AGE", help="delete whole sessions that nothing was written to for so long"
    )
    parser.add_argument("--workspace", metavar="W", help="only in this workspace")
    parser.add_argument("--namespace", metavar="N", help="only checkpoints of this namespace")
    parser.add_argument(
        "--session", action="append", metavar="ID", help="only checkpoints of this session; may be repeated"
    )
    parser.add_argument("--force", action="store_true", help="delete also what forks came from, and what asks a person")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    names = ("older_than", "keep_last", "idle_sessions", "namespace", "force", "dry_run")
    figures = prune(
        using,
        workspace_id=options["workspace"],
        session_ids=options["session"],
        progress=output.progress,
        **{name: options[name] for name in names},
    )
    done = "Would be deleted" if options["dry_run"] else "Deleted"
    rows = f"{figures['checkpoints']:,} checkpoints ({figures['bytes']:,} bytes), {figures['sessions']:,} sessions"
    output.result(figures, f"{done}: {rows}.")
