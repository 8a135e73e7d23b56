"""The state of a checkpoint, for people: read within bounds, and nothing of it is constructed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import ormsgpack
from django.db import connections
from langgraph.checkpoint.serde import jsonplus

from obsku_checkpoint.contrib.langgraph.blobs import HASH_BYTES, ITEMS
from obsku_checkpoint.contrib.langgraph.encoding import INTEGER
from obsku_checkpoint.contrib.langgraph.sql import sql_of
from obsku_checkpoint.contrib.langgraph.sql_clearing import OF_RECORD
from obsku_checkpoint.contrib.langgraph.sql_reading import PAYLOAD_VIEW, VALUES_VIEW, elements_view

#: bytes of a serialized value up to which it is read, channels, and elements of a list that is stored by element
BYTES, CHANNELS, ELEMENTS = 20_000, 200, 10
#: values of types of their own within each other
DEPTH = 20


class ChannelValue(NamedTuple):
    channel: str
    #: as LangGraph says it: ``msgpack``, ``null``, …; ``list`` of one that is stored by element
    type: str
    #: as it is stored; None of a small value, which stands in the checkpoint itself, and of a list: its elements are
    #: stored once for all checkpoints
    bytes: int | None
    #: as far as it is read: types of LangGraph's and of the project's are ``{name: content}``
    value: Any
    #: elements that were not read
    left_out: int
    #: False where it is too large, encrypted, or not as LangGraph stores it
    is_read: bool


def state(using: str, record_id: str) -> list[ChannelValue]:
    """The values of the channels of the checkpoint that a record is of, by name; empty where it is of none."""
    sql = sql_of(using)
    with connections[using].cursor() as cursor:
        cursor.execute(OF_RECORD, {"record_id": record_id})
        if not (found := cursor.fetchall()):
            return []
        place = dict(zip(("session_id", "namespace", "checkpoint_id"), found[0], strict=False))
        cursor.execute(PAYLOAD_VIEW, {**place, "bytes": BYTES})
        ((channels, kind, payload),) = cursor.fetchall()
        values = _inline(kind, payload, [name for name, version in json.loads(channels).items() if version is None])
        cursor.execute(sql.said(VALUES_VIEW), {**place, "bytes": BYTES, "limit": CHANNELS})
        for channel, kind, size, data in cursor.fetchall():
            if kind == ITEMS:
                cursor.execute(*_elements(place["session_id"], bytes(data)))
                values.append(_list(channel, bytes(data), {bytes(hash): rest for hash, *rest in cursor.fetchall()}))
            else:
                values.append(ChannelValue(channel, kind.removeprefix(INTEGER), size, *_read(kind, data)))
    return sorted(values)[:CHANNELS]


def _inline(kind: str, payload: Any, channels: list[str]) -> list[ChannelValue]:
    """The values that stand in the checkpoint itself."""
    saved, _, is_read = _read(kind, payload)
    values = saved.get("values") if isinstance(saved, dict) else None
    known: Mapping[str, Any] = values if isinstance(values, dict) else {}
    return [
        ChannelValue(channel, kind, None, known.get(channel), 0, is_read and channel in known)
        for channel in channels[:CHANNELS]
    ]


def _elements(session_id: str, hashes: bytes) -> tuple[str, list[Any]]:
    """The statement for the first elements of a list, and its parameters."""
    first = [hashes[at : at + HASH_BYTES] for at in range(0, min(len(hashes), ELEMENTS * HASH_BYTES), HASH_BYTES)]
    return elements_view(len(first)), [BYTES, session_id, *first]


def _list(channel: str, hashes: bytes, elements: Mapping[bytes, Any]) -> ChannelValue:
    count = len(hashes) // HASH_BYTES
    values: list[Any] = []
    for at in range(0, min(count, ELEMENTS) * HASH_BYTES, HASH_BYTES):
        kind, size, data = elements.get(hashes[at : at + HASH_BYTES], ("", 0, None))
        value, _, is_read = _read(kind, data)
        values.append(value if is_read else f"({size} bytes)")
    return ChannelValue(channel, "list", None, values, count - len(values), is_read=True)


def _read(kind: str, data: Any) -> tuple[Any, int, bool]:
    """The value, what is left out of it, and whether it could be read."""
    if data is None:
        return None, 0, False
    try:
        match kind:
            case "null":
                return None, 0, True
            case "bytes" | "bytearray":
                return bytes(data), 0, True
            case "msgpack":
                return _unpacked(bytes(data)), 0, True
            case "int/msgpack":
                return int(_unpacked(bytes(data)), 16), 0, True
    except (ValueError, TypeError, RecursionError):
        pass
    return None, 0, False


def _unpacked(data: bytes, depth: int = 0) -> Any:
    def named(code: int, content: bytes) -> Any:
        if depth >= DEPTH:
            raise ValueError("too many types within each other")
        if code == jsonplus.EXT_DELTA_SNAPSHOT:
            return {"_DeltaSnapshot": _unpacked(content, depth + 1)}
        if code == jsonplus.EXT_NUMPY_ARRAY:
            return {"numpy.ndarray": content}
        module, name, inside, *_ = _unpacked(content, depth + 1)
        return {f"{module}.{name}": inside}

    return ormsgpack.unpackb(data, ext_hook=named, option=ormsgpack.OPT_NON_STR_KEYS)
