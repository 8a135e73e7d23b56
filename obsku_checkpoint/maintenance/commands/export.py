"""Write sessions and memories to a file, as JSON lines."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from obsku_checkpoint.maintenance import files
from obsku_checkpoint.maintenance.commands.arguments import timestamp
from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.export import export_lines


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the file, compressed if it ends in .gz or .zst; - is standard output"
    )
    parser.add_argument("--workspace", metavar="W", help="the sessions, the facts and the memory of this workspace")
    parser.add_argument("--session", metavar="ID", action="append", help="this session; may be given several times")
    parser.add_argument("--since", metavar="TIME", type=timestamp, help="what was written since, in ISO 8601")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    written = 0
    lines = export_lines(
        using, workspace_id=options["workspace"], session_ids=options["session"], since=options["since"]
    )
    with files.writing(options["file"]) as file:
        for line in lines:
            file.write(line)
            written += 1
            output.progress(written, "lines")
    if options["file"] != files.STANDARD:
        rows = written - 1
        output.result({"file": options["file"], "rows": rows}, f"{rows:,} rows were written to {options['file']}.")
