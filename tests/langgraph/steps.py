"""Checkpoints by hand."""

from __future__ import annotations

import itertools
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint
from langgraph.checkpoint.base.id import uuid6

from obsku_checkpoint.contrib.langgraph import DjangoSaver

_numbers = itertools.count()


def new_thread(name: str = "thread") -> str:
    return f"{name}-{next(_numbers)}"


def config_of(thread_id: str, namespace: str = "", checkpoint_id: str | None = None, **more: Any) -> RunnableConfig:
    configurable = {"thread_id": thread_id, "checkpoint_ns": namespace, **more}
    return {"configurable": configurable | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}


def checkpoint_of(values: dict[str, Any], versions: dict[str, Any], id: str | None = None) -> Checkpoint:
    return {
        "v": 4,
        "id": id or str(uuid6()),
        "ts": "2026-11-26T12:00:00+00:00",
        "channel_values": values,
        "channel_versions": versions,
        "versions_seen": {},
        "updated_channels": None,
    }


def put(
    saver: DjangoSaver, config: RunnableConfig, values: dict[str, Any], *, id: str | None = None, **metadata: Any
) -> RunnableConfig:
    """A checkpoint with these values, each new, after the config's."""
    versions: dict[str, Any] = {channel: saver.get_next_version(None, None) for channel in values}
    said: Any = {"source": "loop", "step": 1, "parents": {}, **metadata}
    return saver.put(config, checkpoint_of(values, versions, id), said, versions)


def values_at(saver: DjangoSaver, config: RunnableConfig) -> dict[str, Any]:
    saved = saver.get_tuple(config)
    assert saved is not None
    return saved.checkpoint["channel_values"]
