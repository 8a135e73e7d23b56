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
    #: Python's name, or the serializer's for a value that is not read
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
                value, is_read = _read(kind, data)
                values.append(ChannelValue(channel, _type(kind, value, is_read=is_read), size, value, 0, is_read))
    return sorted(values, key=lambda value: value.channel)[:CHANNELS]


def _inline(kind: str, payload: Any, channels: list[str]) -> list[ChannelValue]:
    """The values that stand in the checkpoint itself."""
    saved, _ = _read(kind, payload)
    values = saved.get("values") if isinstance(saved, dict) else None
    known: Mapping[str, Any] = values if isinstance(values, dict) else {}
    found = []
    for channel in channels[:CHANNELS]:
        value, is_read = known.get(channel), channel in known
        found.append(ChannelValue(channel, _type(kind, value, is_read=is_read), None, value, 0, is_read))
    return found


def _elements(session_id: str, hashes: bytes) -> tuple[str, list[Any]]:
    """The statement for the first elements of a list, and its parameters."""
    first = [hashes[at : at + HASH_BYTES] for at in range(0, min(len(hashes), ELEMENTS * HASH_BYTES), HASH_BYTES)]
    return elements_view(len(first)), [BYTES, session_id, *first]


def _list(channel: str, hashes: bytes, elements: Mapping[bytes, Any]) -> ChannelValue:
    count = len(hashes) // HASH_BYTES
    values: list[Any] = []
    for at in range(0, min(count, ELEMENTS) * HASH_BYTES, HASH_BYTES):
        kind, size, data = elements.get(hashes[at : at + HASH_BYTES], ("", 0, None))
        value, is_read = _read(kind, data)
        values.append(value if is_read else f"({size} bytes)")
    return ChannelValue(channel, "list", None, values, count - len(values), is_read=True)


def _type(kind: str, value: Any, *, is_read: bool) -> str:
    if not is_read:
        return kind.removeprefix(INTEGER)
    return "null" if value is None else type(value).__name__


def _read(kind: str, data: Any) -> tuple[Any, bool]:
    """The value, and whether it could be read."""
    if data is None:
        return None, False
    try:
        match kind:
            case "null":
                return None, True
            case "bytes" | "bytearray":
                return bytes(data), True
            case "msgpack":
                return _unpacked(bytes(data)), True
            case "int/msgpack":
                return int(_unpacked(bytes(data)), 16), True
    except (ValueError, TypeError, RecursionError):
        pass
    return None, False


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
