"""What the store knows of earlier runs, for a person to read. All of it is asked through the store's protocol."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from example_project.scan.agent import WORKSPACE
from example_project.scan.report import Paint, count, cut, plain, printable
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, NodeResult, SessionRecord, SessionSummary
from obsku_checkpoint.run_state import read

#: how many sessions are listed where nothing else is asked for
LISTED = 20


def table(summaries: Iterable[SessionSummary], *, paint: Paint = plain) -> str:
    """Sessions in figures, in the order given."""
    lines = []
    for summary in summaries:
        session = summary.session
        figures = (
            f"{session.updated_at:%Y-%m-%d %H:%M}",
            count(summary.message_count, "message"),
            count(summary.checkpoint_count, "checkpoint"),
            duration(summary.duration),
        )
        lines += [f"{session.id}  {paint(printable(session.title or ''), 'title')}", f"    {', '.join(figures)}"]
        if summary.last_message:
            lines.append(f"    {printable(summary.last_message.content or '')}")
    return "\n".join(lines) or "There is no scan yet. Start one: manage.py scan PATH"


def show(store: CheckpointStore, session: SessionRecord, *, paint: Paint = plain) -> str:
    """One session: its figures, its transcript, its checkpoints, and the forks around it."""
    checkpoints = store.list_checkpoints(session.id)[::-1]
    lines = [paint(printable(session.title or session.id), "title"), *_figures(store, session, checkpoints)]
    lines += ["", paint("Transcript", "title"), *map(message_line, store.iter_messages(session.id))]
    lines += ["", paint("Checkpoints", "title"), *map(checkpoint_line, checkpoints)]
    if len(family := list(family_tree(store, session, checkpoints))) > 1:
        lines += ["", paint("Forks", "title"), *family]
    return "\n".join(lines)


def message_line(message: MessageRecord) -> str:
    calls = "".join(f"  -> {call['name']}({_arguments(call['input'])})" for call in message.tool_calls or ())
    results = "<- " if message.tool_results else ""
    return _fitted(
        f"  {_clock(message.created_at)}  {message.role:<9}  {results}{printable(message.content or '')}{calls}"
    )


def checkpoint_line(checkpoint: CheckpointRecord) -> str:
    node = checkpoint.node_id or ""
    state = read(checkpoint)
    result = state.results.get(node)
    text = in_words(node, result) if result else f"next: {', '.join(state.pending)}"
    name = node if result else checkpoint.source
    forked = "  (fork)" if checkpoint.source == "fork" else ""
    return f"{_fitted(f'  {checkpoint.id} {checkpoint.step:>3} {name:<6} {text}', margin=len(forked))}{forked}"


def in_words(node: str, result: NodeResult) -> str:
    """What a node came to, or where it stands."""
    if "interrupt" in result:
        return f"asks: {result['interrupt']['reason']}"
    if result["status"] == "pending":
        answers = [str(given["answer"]) for given in result.get("answers", [])]
        return f"answered: {', '.join(answers)}" if answers else "to do"
    if result["status"] != "completed":
        return f"{result['status']}: {result['error']}" if "error" in result else result["status"]
    match node, result.get("output"):
        case "list", {"files": files, "python": python}:
            text = f"{count(files, 'file')}, {python:,} of them Python"
        case "search" | "parse", {"done": done, "of": total, "findings": findings}:
            text = f"{done:,} of {count(total, 'file')}, {count(findings, 'finding')}"
        case "rank", {"severities": severities}:
            text = ", ".join(f"{number} {severity}" for severity, number in severities.items()) or "nothing found"
        case "report", {"summary": summary}:
            text = summary
        case _, output:
            text = str(output)
    return printable(text)


def family_tree(store: CheckpointStore, session: SessionRecord, checkpoints: list[CheckpointRecord]) -> Iterator[str]:
    """The session's first ancestor with everything that was forked from it, by whatever way."""
    ancestors = store.get_lineage(checkpoints[-1].id) if checkpoints else []
    first = store.get_session(ancestors[-1].session_id) if ancestors else session
    children: dict[str, list[SessionRecord]] = {}
    # Oldest first, so that the forks stand in the order in which they were made.
    for other in reversed(store.list_sessions(WORKSPACE)):
        origin = (other.metadata or {}).get("forked_from")
        if origin:
            children.setdefault(origin["session"], []).append(other)
    # A stack of (session, what leads to it); a parent may be gone, which only shortens the tree.
    stack = [(first or session, 0)]
    while stack:
        member, depth = stack.pop()
        branch = f"{'   ' * (depth - 1)}└─ " if depth else ""
        here = "  <- this one" if member.id == session.id else ""
        yield f"  {branch}{printable(member.title or '')}  {member.id}{here}"
        stack += [(child, depth + 1) for child in reversed(children.get(member.id, []))]


def duration(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _figures(store: CheckpointStore, session: SessionRecord, checkpoints: list[CheckpointRecord]) -> Iterator[str]:
    yield f"  session    {session.id}"
    yield f"  directory  {printable(session.directory)}"
    yield f"  ruleset    {session.metadata['ruleset']}"
    pending = read(checkpoints[-1]).pending if checkpoints else ["everything"]
    yield f"  state      {'to do: ' + ', '.join(pending) if pending else 'finished'}"
    if summary := store.get_session_summary(session.id):
        messages, saved = count(summary.message_count, "message"), count(summary.checkpoint_count, "checkpoint")
        yield f"  written    {messages} and {saved} in {duration(summary.duration)}"


def _arguments(input: Any) -> str:
    if not isinstance(input, dict):
        return printable(str(input))
    return ", ".join(f"{name}={printable(str(value))}" for name, value in input.items())


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def _fitted(line: str, *, margin: int = 0) -> str:
    """As much of the line as the terminal shows in one; what is not on a terminal is cut at 110 characters."""
    return cut(line, shutil.get_terminal_size((110, 24)).columns - margin)
