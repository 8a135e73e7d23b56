"""Where a value is in a document, for the messages of errors: ``$.when[2]["a b"]``, bounded in length."""

from __future__ import annotations

import json
from typing import Any, Final

from obsku_checkpoint.codec.surrogates import unguard

SEGMENT: Final = 40
_SEGMENTS: Final = 12

# Where a walk is: (container, its level, link of its parent, key in it, the container as the caller gave it).
Link = tuple[Any, int, Any, Any, Any]


def path(link: Link, key: Any) -> str:
    """Return the path of the value under a key. The outermost link is the holder of the root."""
    keys = []
    while link[2] is not None:
        keys.append(key)
        _, _, link, key, _ = link
    segments = [_segment(k) for k in reversed(keys)]
    if len(segments) > _SEGMENTS:
        half = _SEGMENTS // 2
        segments = [*segments[:half], "…", *segments[-half:]]
    return "$" + "".join(segments)


def _segment(key: int | str) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    key = unguard(key)
    plain = key.isidentifier()
    if len(key) > SEGMENT:
        key = key[:SEGMENT] + "…"
    return f".{key}" if plain else f"[{json.dumps(key, ensure_ascii=not key.isprintable())}]"
