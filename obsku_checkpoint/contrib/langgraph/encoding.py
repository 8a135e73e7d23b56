"""A checkpoint as rows, and rows as a checkpoint. Knows no SQL.

A value is stored once for each version of its channel, as a blob. Small plain values stand in the checkpoint's payload
instead. A channel that is a list of some length is a blob of hashes, and each of its elements is stored once a thread:
so a conversation of n turns takes n elements, not n².
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import ChannelVersions, Checkpoint
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from obsku_checkpoint.contrib.langgraph.blobs import HASH_BYTES, ITEMS, Stored, hash_of
from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError, SerializationError

#: what the type of an integer begins with that is too long for msgpack
INTEGER = "int/"
#: elements from which on a list is stored by element
MIN_ITEMS = 8
#: how msgpack begins an array whose length follows in 32 bits
ARRAY = b"\xdd"
#: characters up to which a text stands in the payload
INLINE_CHARACTERS = 64

TABLE = "langgraph_checkpoints"


@dataclass(slots=True)
class Rows:
    """What a checkpoint comes to."""

    payload: Stored
    #: channel -> version of its blob, None where the value stands in the payload; of channels that hold a value
    channels: dict[str, str | None]
    #: (channel, version, type, data)
    blobs: list[tuple[str, str, str, bytes]]
    #: hash -> element, of all lists that are part of it
    items: dict[bytes, Stored]
    #: JSON
    metadata: str


class Encoding:
    def __init__(self, serde: SerializerProtocol, max_bytes: int) -> None:
        """``max_bytes`` of one serialized value."""
        self.serde = serde
        self.max_bytes = max_bytes
        self.encrypts = isinstance(serde, EncryptedSerializer)

    # -- writing

    def value(self, channel: str, value: Any) -> Stored:
        """Raises `SerializationError`, and `InvalidRecordError` for a value that is too large, naming the channel."""
        long = type(value) is int and not -(2**63) <= value < 2**64
        try:
            stored = Stored(*self.serde.dumps_typed(f"{value:x}" if long else value))
        except SerializationError as error:
            raise SerializationError(channel, error.reason) from error
        except (TypeError, ValueError) as error:
            raise SerializationError(channel, str(error)) from error
        self._check_size(channel, len(stored.data))
        return Stored(INTEGER + stored.type, stored.data) if long else stored

    def rows(self, checkpoint: Checkpoint, metadata: Mapping[str, Any], new_versions: ChannelVersions) -> Rows:
        inline: dict[str, Any] = {}
        channels: dict[str, str | None] = {}
        blobs: list[tuple[str, str, str, bytes]] = []
        items: dict[bytes, Stored] = {}
        versions = checkpoint["channel_versions"]
        for channel, value in checkpoint["channel_values"].items():
            version = versions.get(channel)
            if version is None or _is_small(value):
                inline[channel] = value
                channels[channel] = None
                continue
            channels[channel] = str(version)
            if channel in new_versions:
                blobs.append((channel, str(new_versions[channel]), *self._blob(channel, value, items)))
        text, exact = _json(metadata)
        payload = {
            "checkpoint": {name: value for name, value in checkpoint.items() if name != "channel_values"},
            "values": inline,
            **({} if exact else {"metadata": dict(metadata)}),
        }
        return Rows(self.value("checkpoint", payload), channels, sorted(blobs), items, text)

    def _blob(self, channel: str, value: Any, items: dict[bytes, Stored]) -> Stored:
        if self.encrypts or type(value) is not list or len(value) < MIN_ITEMS:
            return self.value(channel, value)
        hashes = []
        size = 0
        for element in value:
            stored = self.value(channel, element)
            size += len(stored.data)
            digest = hash_of(stored)
            items[digest] = stored
            hashes.append(digest)
        self._check_size(channel, size)
        return Stored(ITEMS, b"".join(hashes))

    def _check_size(self, channel: str, size: int) -> None:
        if size > self.max_bytes:
            raise InvalidRecordError(channel, f"has a value of {size} bytes, and {self.max_bytes} are the limit")

    # -- reading

    def read(self, place: tuple[str, str], stored: Stored, items: Mapping[bytes, Stored]) -> Any:
        """The value. ``place`` is the id of a checkpoint, and the channel, for `CheckpointCorruptionError`."""
        try:
            if stored.type == ITEMS:
                data = stored.data
                return self._list([items[data[at : at + HASH_BYTES]] for at in range(0, len(data), HASH_BYTES)])
            if stored.type.startswith(INTEGER):
                return int(self.serde.loads_typed((stored.type.removeprefix(INTEGER), stored.data)), 16)
            return self.serde.loads_typed(stored)
        except KeyError as error:
            raise CheckpointCorruptionError("$", "an element is missing", "", TABLE, *place) from error
        except CheckpointCorruptionError as error:
            raise CheckpointCorruptionError(error.path, error.reason, error.preview, TABLE, *place) from error
        except (ValueError, TypeError, NotImplementedError) as error:
            raise CheckpointCorruptionError("$", str(error), "", TABLE, *place) from error

    def _list(self, elements: list[Stored]) -> list[Any]:
        if isinstance(self.serde, JsonPlusSerializer) and {kind for kind, _ in elements} == {"msgpack"}:
            # One array of msgpack's instead of as many values: reading that takes half as long.
            array = ARRAY + len(elements).to_bytes(4) + b"".join([data for _, data in elements])
            found: list[Any] = self.serde.loads_typed(("msgpack", array))
            return found
        return [self.serde.loads_typed(element) for element in elements]


def _is_small(value: Any) -> bool:
    kind = type(value)
    return (
        value is None
        or kind is bool
        or kind is float
        or (kind is int and -(2**63) <= value < 2**63)
        or (kind is str and len(value) <= INLINE_CHARACTERS)
    )


# -- metadata


def _json(metadata: Mapping[str, Any]) -> tuple[str, bool]:
    """The metadata as JSON that both databases take, and whether it says all: what it cannot hold becomes text."""
    plain = _Plain()
    cleaned = plain.object(metadata)
    return json.dumps(cleaned, ensure_ascii=False, sort_keys=True, separators=(",", ":")), plain.exact


def filter_json(conditions: Mapping[str, Any]) -> str:
    return _json(conditions)[0]


class _Plain:
    def __init__(self) -> None:
        self.exact = True

    def object(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        return {
            self._text(key) if isinstance(key, str) else self._other(key): self._value(one)
            for key, one in value.items()
        }

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or (kind is int and -(2**53) < value < 2**53):
            return value
        if kind is str:
            return self._text(value)
        if kind is float and math.isfinite(value):
            return value
        if kind is dict:
            return self.object(value)
        if kind is list:
            return [self._value(one) for one in value]
        return self._other(value)

    def _text(self, value: str) -> str:
        if value.isascii() and "\0" not in value:
            return value
        cleaned = value.replace("\0", "\u2400").encode("utf-8", "replace").decode()
        self.exact = self.exact and cleaned == value
        return cleaned

    def _other(self, value: Any) -> str:
        self.exact = False
        return self._text(str(value))
