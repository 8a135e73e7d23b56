"""What comes back: records, and the store's errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import httpx
import orjson

from obsku_checkpoint import codec
from obsku_checkpoint.errors import (
    AccessDeniedError,
    CheckpointCorruptionError,
    CheckpointStoreError,
    ConfigurationError,
    InvalidRecordError,
)
from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import CheckpointRecord, CorruptValue, MessageRecord, SessionRecord

T = TypeVar("T", SessionRecord, MessageRecord, CheckpointRecord)
TABLES = {SessionRecord: "sessions", MessageRecord: "messages", CheckpointRecord: "checkpoints"}
MOMENTS = frozenset({"created_at", "updated_at"})
#: what the API says where there is no such record
ABSENT = frozenset({"session_not_found", "checkpoint_not_found"})


def content(response: httpx.Response, errors: Mapping[str, CheckpointStoreError]) -> Any:
    """What a successful answer holds ({} where it is empty), None where there is no such record.

    ``errors`` are what to raise, by the ``code`` of a refusal. Other refusals raise `InvalidRecordError` (400, 413,
    414), `AccessDeniedError` (401, 403), `CheckpointCorruptionError` (409 with the code ``corrupt``) or
    `ConfigurationError`, where what answers does not speak as the API does; a failure of the server's (5xx) raises
    `CheckpointStoreError` itself.
    """
    if response.is_success:
        return _json(response) if response.content else {}
    problem = _problem(response)
    code, detail = str(problem.get("code")), str(problem.get("detail", response.reason_phrase))
    if code in errors:
        raise errors[code]
    if code in ABSENT:
        return None
    match response.status_code:
        case 400 if problem:
            field, reasons = next(iter(problem.items()))
            raise InvalidRecordError(field, " ".join(reasons) if isinstance(reasons, list) else str(reasons))
        case 401 | 403:
            raise AccessDeniedError(detail)
        case 409 if code == "corrupt":
            raise CheckpointCorruptionError("$", detail)
        case 413 | 414:
            raise InvalidRecordError("request", f"is longer than the server takes: {detail}")
    if response.is_server_error:
        raise CheckpointStoreError(f"{_asked(response)} answers {response.status_code}")
    raise _unexpected(response)


def record(kind: type[T], shown: dict[str, Any], on_corrupt: OnCorrupt) -> T:
    """A record as the API shows it; ``corrupt`` holds its values that cannot be decoded."""
    corrupt = shown.get("corrupt", {})
    values = {}
    for name in kind.__slots__:
        value = shown[name]
        if name in corrupt:
            value = CorruptValue(text=corrupt[name]["text"], reason=corrupt[name]["reason"])
            if on_corrupt == "raise":
                place = (TABLES[kind], str(shown["id"]), name)
                raise CheckpointCorruptionError("$", value.reason, value.text, *place)
        elif name in MOMENTS:
            value = datetime.fromisoformat(value)
        values[name] = value
    return kind(**values)


def _json(response: httpx.Response) -> Any:
    if response.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        raise _unexpected(response)
    return codec.loads(response.content)


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The body of a refusal; {} where it is not the API's, but a proxy's, say."""
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _unexpected(response: httpx.Response) -> ConfigurationError:
    return ConfigurationError(
        f"{_asked(response)} answers {response.status_code}, but not as the API does: is it mounted there?"
    )


def _asked(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.copy_with(userinfo=b'', query=None)}"
