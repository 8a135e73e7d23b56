"""Remove the old checkpoints of a framework's threads; their sessions and transcripts stay."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from obsku_checkpoint.maintenance.commands.arguments import age, positive
from obsku_checkpoint.maintenance.commands.output import Output

#: framework -> what does it; by name, since its packages may be missing
FRAMEWORKS = {"langgraph": "obsku_checkpoint.contrib.langgraph.retention.prune"}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--from", choices=sorted(FRAMEWORKS), required=True, help="whose threads")
    parser.add_argument("--older-than", type=age, metavar="AGE", help="threads that rest for so long: 30d, 12h, 90m")
    parser.add_argument("--keep", type=positive, default=1, metavar="N", help="how many stay of each namespace; 1")
    parser.add_argument("--workspace", metavar="W", help="the threads of this workspace")
    parser.add_argument(
        "--batch", type=positive, default=200, metavar="N", help="threads that are looked up at once; 200"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    figures = import_string(FRAMEWORKS[options["from"]])(
        using,
        older_than=options["older_than"],
        keep=options["keep"],
        workspace_id=options["workspace"],
        batch=options["batch"],
        dry_run=options["dry_run"],
        progress=output.progress,
    )
    done = "Would be removed" if options["dry_run"] else "Removed"
    output.result(
        figures,
        f"{done}: {figures['checkpoints']:,} checkpoints of {figures['threads']:,} threads,"
        f" {figures['bytes']:,} bytes of values; {figures['expired_items']:,} items of the memory.",
    )
