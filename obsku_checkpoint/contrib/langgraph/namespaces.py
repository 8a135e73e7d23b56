"""Namespaces of the long-term memory as they are stored: the JSON of their labels."""

from __future__ import annotations

import json
from collections.abc import Sequence

from obsku_checkpoint import validation


def stored(namespace: Sequence[str]) -> str:
    return validation.key("namespace", json.dumps(list(namespace), ensure_ascii=False, separators=(",", ":")))


def bounds(namespace: Sequence[str]) -> dict[str, str]:
    """The namespace itself (``prefix``), and between which texts all stand that begin with it."""
    prefix = stored(namespace)
    opened = prefix[:-1]
    if not namespace:
        return {"prefix": prefix, "below": "[", "beyond": "\\"}
    return {"prefix": prefix, "below": f"{opened},", "beyond": f"{opened}-"}


def is_one(text: str) -> bool:
    """Whether it is the text that is stored for some namespace."""
    try:
        labels = json.loads(text)
    except ValueError:
        return False
    return isinstance(labels, list) and all(isinstance(label, str) for label in labels) and stored(labels) == text
