"""Stores that are through before a test gets impatient, and what a server would answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import httpx
import pytest

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.testing import SyncOverAsync

MOMENT = "2026-01-02T03:04:05.678Z"
SESSION: dict[str, Any] = {
    "id": "s",
    "workspace_id": None,
    "title": None,
    "directory": "/repo",
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "metadata": None,
}
MESSAGE: dict[str, Any] = {
    "id": 1,
    "session_id": "s",
    "role": "user",
    "content": "hello",
    "tool_calls": None,
    "tool_results": None,
    "tokens_in": None,
    "tokens_out": None,
    "created_at": MOMENT,
}
CHECKPOINT: dict[str, Any] = {
    "id": "c",
    "session_id": "s",
    "namespace": "",
    "parent_id": None,
    "version": 1,
    "step": 1,
    "node_id": None,
    "node_results": {},
    "pending_nodes": [],
    "cycle_state": None,
    "source": "loop",
    "created_at": MOMENT,
}
#: read once: that takes longer than most tests here
CERTIFICATES = httpx.create_ssl_context()
Open = Callable[..., CheckpointStore]


@pytest.fixture(params=["sync", "async"])
def open_store(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes stores as `HTTPCheckpointStore` does; they work by their methods, or by the async twins."""
    with ExitStack() as stack:

        def make(url: str, **options: Any) -> CheckpointStore:
            store = stack.enter_context(HTTPCheckpointStore(url, **{"verify": CERTIFICATES, **options}))
            if request.param == "sync":
                return store
            adapter = stack.enter_context(SyncOverAsync(store))
            stack.callback(adapter.close)
            return cast("CheckpointStore", adapter)

        yield make
