"""What comes back: records, and the store's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import httpx
import orjson

from obsku_checkpoint.client.retries import problem_of
from obsku_checkpoint.codec import loads_or_corrupt
from obsku_checkpoint.errors import (
    AccessDeniedError,
    CheckpointCorruptionError,
    CheckpointStoreError,
    InvalidRecordError,
    InvalidResponseError,
    SessionInUseError,
)
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import (
    JSON_PLUS,
    MOMENTS,
    TABLES,
    CheckpointRecord,
    CorruptValue,
    EntityRecord,
    FactRecord,
    MessageRecord,
    Scored,
    SessionRecord,
)

T = TypeVar("T", SessionRecord, MessageRecord, CheckpointRecord, EntityRecord, FactRecord)
#: what the API says where there is no such record
ABSENT = frozenset(
    {"session_not_found", "checkpoint_not_found", "message_not_found", "entity_not_found", "fact_not_found"}
)
FOREIGN = "is it the API that answers there?"


def content(response: httpx.Response, errors: Mapping[str, CheckpointStoreError]) -> Any:
    """The JSON of a successful answer ({} where it is empty), None where there is no such record.

    ``errors`` are what to raise, by the ``code`` of a refusal. Other refusals raise `InvalidRecordError` (400, 413,
    414), `AccessDeniedError` (401, 403), `SessionInUseError` and `CheckpointCorruptionError` (409 with the codes
    ``session_in_use`` and ``corrupt``) or `InvalidResponseError`, where what answers does not speak as the API does; a
    failure of the server's (5xx) raises `CheckpointStoreError` itself.
    """
    if response.is_success:
        return _json(response) if response.content else {}
    problem = problem_of(response)
    code, detail = str(problem.get("code")), str(problem.get("detail", response.reason_phrase))
    if code in errors:
        raise errors[code]
    if code in ABSENT:
        return None
    match response.status_code:
        case 400 if problem:
            field, reasons = next(iter(problem.items()))
            raise InvalidRecordError(field, " ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons))
        case 401 | 403:
            raise AccessDeniedError(detail)
        case 409 if code == "session_in_use":
            raise SessionInUseError(str(problem.get("id")), str(problem.get("by")))
        case 409 if code == "corrupt":
            raise CheckpointCorruptionError("$", detail)
        case 413 | 414:
            raise InvalidRecordError("request", f"is longer than the server takes: {detail}")
    if response.is_server_error:
        raise CheckpointStoreError(f"{_asked(response)} answers {response.status_code}")
    raise _unexpected(response)


def record(kind: type[T], shown: Any, on_corrupt: OnCorrupt) -> T:
    """A record as the API shows it; ``corrupt`` holds its values that the server cannot decode."""
    values = dict(zip(kind.__slots__, members(shown, *kind.__slots__), strict=True))
    corrupt = _object(shown.get("corrupt", {}))
    for name in kind.__slots__:
        value = values[name]
        if name in corrupt:
            text, reason = members(corrupt[name], "text", "reason")
            value = CorruptValue(text=str(text), reason=str(reason))
        elif name in MOMENTS:
            value = _moment(value)
        elif name in JSON_PLUS and value is not None:
            value = _decoded(value)
        if on_corrupt == "raise" and isinstance(value, CorruptValue):
            raise CheckpointCorruptionError("$", value.reason, value.text, TABLES[kind], str(values["id"]), name)
        values[name] = value
    return kind(**values)


def records(kind: type[T], shown: Any, on_corrupt: OnCorrupt) -> list[T]:
    return [record(kind, each, on_corrupt) for each in items(shown)]


def scored(kind: type[T], shown: Any, on_corrupt: OnCorrupt) -> list[Scored[T]]:
    found = (members(each, "record", "score") for each in items(shown))
    return [Scored(record=record(kind, one, on_corrupt), score=float(score)) for one, score in found]


def members(shown: Any, *names: str) -> list[Any]:
    """The values of an object in an answer; `InvalidResponseError` where it is none, or lacks one of them."""
    if missing := [name for name in names if name not in _object(shown)]:
        raise InvalidResponseError(f"the answer lacks {', '.join(missing)}: {FOREIGN}")
    return [shown[name] for name in names]


def items(shown: Any) -> list[Any]:
    """The elements of an array in an answer; `InvalidResponseError` where it is none."""
    if not isinstance(shown, list):
        raise InvalidResponseError(f"the answer has {type(shown).__name__} where an array belongs: {FOREIGN}")
    return shown


def _object(shown: Any) -> dict[str, Any]:
    if not isinstance(shown, dict):
        raise InvalidResponseError(f"the answer has {type(shown).__name__} where an object belongs: {FOREIGN}")
    return shown


def _moment(shown: Any) -> datetime:
    try:
        return datetime.fromisoformat(shown)
    except (TypeError, ValueError):
        raise InvalidResponseError(f"the answer has a time that is not ISO 8601: {FOREIGN}") from None


def _decoded(shown: Any) -> Any:
    """A column's value. This process may have registered types that the server has not, so each is decoded alone."""
    try:
        text = orjson.dumps(shown).decode()
    except TypeError:  # a lone surrogate
        text = json.dumps(shown)
    return loads_or_corrupt(text)


def _json(response: httpx.Response) -> Any:
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise _unexpected(response)
    try:
        shown = orjson.loads(response.content)
    except orjson.JSONDecodeError:  # of lone surrogates, too, which JSON-plus may hold
        try:
            shown = json.loads(response.content)
        except (ValueError, RecursionError):
            raise _unexpected(response) from None
    if shown is None:  # which would be taken for no record
        raise _unexpected(response)
    return shown


def _unexpected(response: httpx.Response) -> InvalidResponseError:
    return InvalidResponseError(
        f"{_asked(response)} answers {response.status_code}, but not as the API does: {FOREIGN}"
    )


def _asked(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.copy_with(userinfo=b'', query=None)}"
