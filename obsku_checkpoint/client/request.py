"""What is sent: where a record is found, and how its columns stand in a body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from obsku_checkpoint.records import JSON_PLUS
from obsku_checkpoint.url_ids import IdConverter


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """``path`` is relative to the API's URL."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    #: whether carrying it out twice comes to the same as once
    repeatable: bool = True


def path(kind: str, id: str, rest: str = "") -> str:
    """Of one record: ``sessions/{id}/{rest}``."""
    return f"{kind}/{quote(IdConverter().to_url(id), safe='')}/{rest}"


def body(columns: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    """JSON of a record's columns as `obsku_checkpoint.validation` gives them, or of several records'."""
    if isinstance(columns, Mapping):
        return orjson.dumps(_spliced(columns))
    return orjson.dumps([_spliced(each) for each in columns])


def _spliced(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: orjson.Fragment(value) if (name in JSON_PLUS or name == "embedding") and value is not None else value
        for name, value in columns.items()
    }
