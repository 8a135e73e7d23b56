"""Checkpoints are read: the newest, one of them, a list, and the history of a delta channel."""

from __future__ import annotations

import builtins
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple, DeltaChannelHistory, PendingWrite, writes_sort_key

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import Steps, method, twin
from obsku_checkpoint.contrib.langgraph.base import Place, Saver
from obsku_checkpoint.contrib.langgraph.blobs import ITEMS, Stored, hash_of
from obsku_checkpoint.contrib.langgraph.encoding import filter_json
from obsku_checkpoint.contrib.langgraph.sql_reading import HISTORY, ITEMS_OF_THREAD
from obsku_checkpoint.store.calls import BinaryRead

#: checkpoints that a list reads at once: the first page is for whoever wants the newest
PAGES = (16, 64)

Row = Sequence[Any]


class Reading(Saver):
    @method
    def get_tuple(self, config: RunnableConfig) -> Steps[CheckpointTuple | None]:
        """The checkpoint that the config names, or the newest of its namespace; None where there is none."""
        place = self._place(config)
        values = {name: value for name, value in place._asdict().items() if value is not None and name != "writer"}
        rows = yield BinaryRead(self._sql.read(1, *values), values)
        tuples = self._tuples(rows)
        return tuples[0] if tuples else None

    aget_tuple = twin(get_tuple)  # type: ignore[arg-type]  # the checker takes self for the base's

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first; of all threads where there is no config.

        ``filter``: each key's value equals that of the metadata; a key that is missing there is None. ``before``: only
        those with ids less than the config's.
        """
        pages = _Pages(self._chosen(config, filter, before), limit)
        while (size := pages.next_size()) > 0:
            page = self._page(pages.values, size)
            yield from page
            pages.turned(page, size)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Async twin of `list`."""
        pages = _Pages(self._chosen(config, filter, before), limit)
        while (size := pages.next_size()) > 0:
            page = await self._apage(pages.values, size)
            for one in page:
                yield one
            pages.turned(page, size)

    def _chosen(
        self, config: RunnableConfig | None, filter: dict[str, Any] | None, before: RunnableConfig | None
    ) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        if config is not None:
            place = self._place(config)
            chosen = {name: value for name, value in place._asdict().items() if value is not None and name != "writer"}
            if config["configurable"].get("checkpoint_ns") is None:
                del chosen["namespace"]
        elif self.workspace_id is not None:
            chosen["workspace_id"] = self.workspace_id
        if filter:
            chosen["filter"] = filter_json(filter)
        if before and (checkpoint_id := before["configurable"].get("checkpoint_id")):
            chosen["before"] = validation.key("before", checkpoint_id)
        return chosen

    @method
    def _page(self, values: Mapping[str, Any], size: int) -> Steps[builtins.list[CheckpointTuple]]:
        conditions = [name for name in values if not name.startswith("after_")]
        rows = yield BinaryRead(self._sql.read(size, *conditions), values)
        return self._tuples(rows)

    _apage = twin(_page)

    def _tuples(self, rows: Sequence[Row]) -> builtins.list[CheckpointTuple]:
        """The checkpoints that the rows of `READ` say, newest first."""
        checkpoints: builtins.list[Row] = []
        blobs: dict[tuple[Any, ...], Stored] = {}
        items: dict[bytes, Stored] = {}
        writes: dict[tuple[Any, ...], builtins.list[Row]] = defaultdict(list)
        for row in rows:
            kind = row[0]
            if kind == 3:  # nearly all of them
                items[row[10]] = Stored(row[7], row[8])
            elif kind == 2:
                writes[tuple(row[1:4])].append(row)
            elif kind == 1:
                blobs[tuple(row[1:5])] = Stored(row[7], row[8])
            else:
                checkpoints.append(row)
        checkpoints.sort(key=lambda row: (row[3], row[1], row[2]), reverse=True)
        return [self._tuple(row, blobs, writes[tuple(row[1:4])], items) for row in checkpoints]

    def _tuple(
        self,
        row: Row,
        blobs: Mapping[tuple[Any, ...], Stored],
        writes: builtins.list[Row],
        items: Mapping[bytes, Stored],
    ) -> CheckpointTuple:
        _, session_id, namespace, checkpoint_id, parent_id, channels, metadata, kind, payload, *_ = row
        encoding = self._encoding
        saved = encoding.read((checkpoint_id, "payload"), Stored(kind, bytes(payload)), {})
        values = {}
        for channel, version in json.loads(channels).items():
            if version is None:
                values[channel] = saved["values"][channel]
            elif (blob := blobs.get((session_id, namespace, channel, version))) is not None:
                values[channel] = encoding.read((checkpoint_id, channel), blob, items)
        writes.sort(key=lambda write: writes_sort_key(write[5], write[4], write[9]))
        return CheckpointTuple(
            config=self._config(session_id, namespace, checkpoint_id),
            checkpoint=cast("Checkpoint", saved["checkpoint"] | {"channel_values": values}),
            metadata=saved.get("metadata") or json.loads(metadata),
            parent_config=self._config(session_id, namespace, parent_id) if parent_id else None,
            pending_writes=[
                (write[4], write[6], encoding.read((checkpoint_id, write[6]), Stored(write[7], bytes(write[8])), {}))
                for write in writes
            ],
        )

    # -- delta channels

    @method
    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Steps[Mapping[str, DeltaChannelHistory]]:
        """What the ancestors of a checkpoint wrote to each channel, oldest first, since the nearest one that holds a
        value of it, which is the ``seed``.
        """
        if not channels:
            return {}
        place = self._place(config)
        parameters = {**place._asdict(), "channels": json.dumps([*channels])}
        rows = yield BinaryRead(self._sql.said(HISTORY), parameters)
        items: dict[bytes, Stored] = {}
        if any(row[0] == 1 and row[3] == ITEMS for row in rows):
            found = yield BinaryRead(ITEMS_OF_THREAD, parameters)
            items = {hash_of(stored): stored for stored in (Stored(kind, bytes(data)) for kind, data in found)}
        return {channel: self._history(place, channel, rows, items) for channel in channels}

    aget_delta_channel_history = twin(get_delta_channel_history)  # type: ignore[arg-type]  # the checker takes self for the base's

    def _history(
        self, place: Place, channel: str, rows: Sequence[Row], items: Mapping[bytes, Stored]
    ) -> DeltaChannelHistory:
        encoding, at = self._encoding, (place.checkpoint_id or "", channel)
        writes = [row for row in rows if row[0] == 0 and row[2] == channel]
        writes.sort(key=lambda row: (-row[1], *writes_sort_key(row[6], row[5], row[7])))
        pending: builtins.list[PendingWrite] = [
            (row[5], channel, encoding.read(at, Stored(row[3], bytes(row[4])), {})) for row in writes
        ]
        history: DeltaChannelHistory = {"writes": pending}
        for kind, _, name, type, data, *_ in rows:
            if kind and name == channel:
                value = encoding.read(at, Stored(type, bytes(data)), items)
                history["seed"] = value["values"][channel] if kind == 2 else value
        return history


class _Pages:
    """Where a list stands, and how much of it is still wanted."""

    def __init__(self, values: dict[str, Any], limit: int | None) -> None:
        self.values = values
        self._left = validation.limit(limit)
        self._size = PAGES[0]
        self._ended = False

    def next_size(self) -> int:
        if self._ended:
            return 0
        return self._size if self._left is None else min(self._size, self._left)

    def turned(self, page: Sequence[CheckpointTuple], size: int) -> None:
        self._ended = len(page) < size
        self._size = PAGES[1]
        if self._left is not None:
            self._left -= len(page)
        if page:
            last = page[-1].config["configurable"]
            self.values |= {
                "after": last["checkpoint_id"],
                "after_session": last["thread_id"],
                "after_namespace": last["checkpoint_ns"],
            }
