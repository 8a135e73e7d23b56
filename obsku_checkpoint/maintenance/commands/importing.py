"""Read sessions and memories from a file that `export` has written, or from the store of a framework."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

from django.utils.module_loading import import_string

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance import files
from obsku_checkpoint.maintenance.agents_sessions import agents_lines
from obsku_checkpoint.maintenance.chat import chat_lines
from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.importing import ImportResult, import_lines

#: by name, since its packages may be missing
LANGGRAPH = "obsku_checkpoint.contrib.langgraph.importing.import_from"
#: what is imported -> the options that it takes; None is an export. The name of another program is the directory of its
#: sessions, unless one is given
SOURCES: dict[str | None, Collection[str]] = {
    None: ("rejects",),
    "chat": ("rejects", "workspace", "directory"),
    "langgraph": ("schema", "thread", "workspace", "directory"),
    "openai-agents": ("rejects", "schema", "thread", "workspace", "directory"),
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the file, compressed if it ends in .gz or .zst; - is standard input"
    )
    parser.add_argument("--rejects", metavar="FILE", help="write what cannot be read to this file, and go on")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    others = parser.add_argument_group("from another program")
    others.add_argument(
        "--from",
        choices=[name for name in SOURCES if name],
        help="FILE is a PostgreSQL connection string or an SQLite file of a framework, or JSON of OpenAI's chat",
    )
    others.add_argument("--schema", metavar="S", help="the schema of its tables in PostgreSQL")
    others.add_argument("--thread", metavar="ID", action="append", help="this thread only; may be given several times")
    others.add_argument("--workspace", metavar="W", help="the workspace of the sessions that are made")
    others.add_argument(
        "--directory", metavar="D", help="the directory of the sessions that are made; by default the framework's name"
    )


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    _check_options(options)
    if options["from"] == "langgraph":
        _run_from_langgraph(using, options, output)
        return
    rejects = options["rejects"]
    with _lines(using, options) as lines, files.writing(rejects) if rejects else nullcontext() as rejected:
        result = import_lines(
            lines,
            using,
            rejects=rejected,
            dry_run=options["dry_run"],
            progress=lambda count: output.progress(count, "lines"),
        )
    output.result(asdict(result), _sentence(result, rejects, dry_run=options["dry_run"]))


def _check_options(options: Mapping[str, Any]) -> None:
    """None that would change nothing, such as a workspace for an export, whose sessions have theirs."""
    source = options["from"]
    for name in sorted({name for taken in SOURCES.values() for name in taken}.difference(SOURCES[source])):
        if options[name] is not None:
            raise InvalidRecordError(f"--{name}", f"says nothing about {source or 'a file of export'}")


@contextmanager
def _lines(using: str, options: Mapping[str, Any]) -> Iterator[Iterable[bytes]]:
    """Of an export, or of what is made one of."""
    place = {"workspace_id": options["workspace"], "directory": options["directory"] or options["from"]}
    if options["from"] == "openai-agents":
        yield agents_lines(options["file"], using, schema=options["schema"], session_ids=options["thread"], **place)
        return
    with files.reading(options["file"]) as lines:
        yield chat_lines(lines, using, **place) if options["from"] == "chat" else lines


def _run_from_langgraph(using: str, options: Mapping[str, Any], output: Output) -> None:
    figures = import_string(LANGGRAPH)(
        options["file"],
        using,
        schema=options["schema"],
        threads=options["thread"],
        workspace_id=options["workspace"],
        directory=options["directory"] or options["from"],
        dry_run=options["dry_run"],
        progress=output.progress,
    )
    output.result(
        figures,
        f"{'Would be written' if options['dry_run'] else 'Written'}: {figures['checkpoints']:,} checkpoints of"
        f" {figures['threads']:,} threads. There already: {figures['here_already']:,}.",
    )


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
