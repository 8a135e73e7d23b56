"""Threads of LangGraph's own savers are moved in: of PostgreSQL, and of an SQLite file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from django.utils.module_loading import import_string
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, CheckpointTuple

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph.saver import DjangoSaver
from obsku_checkpoint.contrib.langgraph.sql_clearing import ENTRIES
from obsku_checkpoint.extras import require
from obsku_checkpoint.foreign_databases import is_postgres

Progress = Callable[[int, str], None]


class Key(NamedTuple):
    thread_id: str
    namespace: str
    checkpoint_id: str


class Source(Protocol):
    def checkpoints(self) -> Iterator[Key]:
        """Of all checkpoints, thread by thread, in the order of their ids."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None: ...

    def task_paths(self, key: Key) -> Mapping[str, str]:
        """Task -> its path, of the tasks that wrote to the checkpoint."""


def import_from(
    source: str,
    using: str | None = None,
    *,
    schema: str | None = None,
    threads: Sequence[str] | None = None,
    workspace_id: str | None = None,
    directory: str = "langgraph",
    dry_run: bool = False,
    progress: Progress = lambda done, what: None,
) -> dict[str, int]:
    """Copy the checkpoints, with their writes, of a PostgreSQL connection string or the path of an SQLite file.

    Those that are here already are passed over, so that an import that was interrupted goes on, and one that is made
    again changes nothing. Types that are not allowed are a `CheckpointCorruptionError`, and nothing of their checkpoint
    is written. Returns how many threads and checkpoints came, or would come, and how many were here.
    """
    saver = DjangoSaver(using, workspace_id=workspace_id, directory=directory)
    figures = {"threads": 0, "checkpoints": 0, "here_already": 0}
    with _opened(source, schema) as opened:
        thread: str | None = None
        here: set[tuple[str, str]] = set()
        versions: dict[tuple[str, str], Mapping[str, Any]] = {}
        for key in opened.checkpoints():
            if threads is not None and key.thread_id not in threads:
                continue
            if key.thread_id != thread:
                thread, versions = key.thread_id, {}
                here = saver._run(partial(_keys_here, key.thread_id))
                figures["threads"] += 1
            if key[1:] in here:
                figures["here_already"] += 1
                continue
            figures["checkpoints"] += 1
            if not dry_run:
                _copy(saver, opened, key, versions)
            progress(figures["checkpoints"], "checkpoints")
    return figures


def _keys_here(thread_id: str) -> Steps[set[tuple[str, str]]]:
    rows = yield ENTRIES, {"session_id": thread_id}
    return {(row[0], row[1]) for row in rows}


def _copy(saver: DjangoSaver, source: Source, key: Key, versions: dict[tuple[str, str], Mapping[str, Any]]) -> None:
    config: RunnableConfig = {
        "configurable": {
            "thread_id": key.thread_id,
            "checkpoint_ns": key.namespace,
            "checkpoint_id": key.checkpoint_id,
        }
    }
    saved = source.get_tuple(config)
    if saved is None:
        return  # it was deleted meanwhile
    paths = source.task_paths(key)
    # The writes first: where the checkpoint is, all of it is.
    for task_id, writes in _by_task(saved).items():
        saver.put_writes(config, writes, task_id, paths.get(task_id, ""))
    parent = saved.parent_config["configurable"]["checkpoint_id"] if saved.parent_config else None
    known = versions.get((key.namespace, parent or ""), {})
    now = saved.checkpoint["channel_versions"]
    versions[key.namespace, key.checkpoint_id] = now
    new = {channel: version for channel, version in now.items() if known.get(channel) != version}
    place = {"thread_id": key.thread_id, "checkpoint_ns": key.namespace, "checkpoint_id": parent}
    saver.put({"configurable": place}, saved.checkpoint, saved.metadata, new)


def _by_task(saved: CheckpointTuple) -> dict[str, list[tuple[str, Any]]]:
    """Those that LangGraph keeps once a task stand last, so that the places of the others are their own."""
    tasks: dict[str, list[tuple[str, Any]]] = {}
    for task_id, channel, value in saved.pending_writes or ():
        tasks.setdefault(task_id, []).append((channel, value))
    for writes in tasks.values():
        writes.sort(key=lambda write: write[0] in WRITES_IDX_MAP)
    return tasks


def _opened(source: str, schema: str | None) -> contextlib.AbstractContextManager[Source]:
    """By name, so that each kind of source needs its own packages only."""
    kind = "postgres" if is_postgres(source, schema) else "sqlite"
    require("", f"langgraph.checkpoint.{kind}")
    opened: contextlib.AbstractContextManager[Source] = import_string(f"{__package__}.importing_{kind}.opened")(
        source, schema
    )
    return opened
