"""A serialized value as it stands in the tables. Knows no LangGraph: forks copy states where that is not installed."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

#: the type of a blob of hashes, and the length of each
ITEMS, HASH_BYTES = "items", 16


class Stored(NamedTuple):
    type: str
    data: bytes


def hash_of(stored: Stored) -> bytes:
    return hashlib.blake2b(stored.data, digest_size=HASH_BYTES, person=stored.type.encode()[:16]).digest()
