"""What the columns of messages may hold, as `obsku_checkpoint.validation` for the others. Knows no Django."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from obsku_checkpoint import validation
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.records import Role, ToolCall, ToolResult
from obsku_checkpoint.shapes import check, check_of

ROLES = get_args(Role)

#: by what the calls, results and messages of others are known, and the function of `obsku_checkpoint.messages` that
#: converts the messages that they are in
CONVERTERS = {
    "function": "from_openai_chat",
    "tool_call_id": "from_openai_chat",
    "call_id": "from_openai_responses",
    "tool_use_id": "from_anthropic",
    "args": "from_langchain",
    "data": "from_langchain",
    "part_kind": "from_pydantic_ai",
    "parts": "from_pydantic_ai",
}


def message(
    path: str,
    role: Any,
    content: Any = None,
    tool_calls: Any = None,
    tool_results: Any = None,
    tokens_in: Any = None,
    tokens_out: Any = None,
) -> list[Any]:
    """What the columns `MESSAGE` of a message store; ``path`` leads to it where it is one of several."""
    prefix = f"{path}." if path else ""
    return [
        validation.one_of(f"{prefix}role", role, ROLES),
        validation.said(f"{prefix}content", content),
        _tool_calls(f"{prefix}tool_calls", tool_calls),
        _tool_results(f"{prefix}tool_results", tool_results),
        _tokens(f"{prefix}tokens_in", tokens_in),
        _tokens(f"{prefix}tokens_out", tokens_out),
    ]


MESSAGE = tuple(inspect.signature(message).parameters)[1:]


def messages(value: Any) -> list[list[Any]]:
    """The same of many: an iterable of mappings with the names of `MESSAGE`."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InvalidRecordError("messages", f"takes an iterable of mappings, not {type(value).__name__}")
    return [one_message(f"messages[{index}]", one) for index, one in enumerate(value)]


def one_message(path: str, value: Any) -> list[Any]:
    if not isinstance(value, Mapping):
        raise InvalidRecordError(path, f"takes a mapping, not {type(value).__name__}")
    for name in value:
        if name not in MESSAGE:
            error = InvalidRecordError(f"{path}.{name}", f"is unknown; known are {', '.join(MESSAGE)}")
            raise _with_converter(error, value)
    if "role" not in value:
        raise InvalidRecordError(f"{path}.role", "is missing")
    return message(path, **value)


def _tool_calls(field: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        check(field, value, _CALLS)
    except InvalidRecordError as error:
        raise _with_converter(error, value) from None
    return validation.json_plus(field, value)


def _tool_results(field: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        check(field, value, _RESULTS)
    except InvalidRecordError as error:
        raise _with_converter(error, value) from None
    return validation.json_plus(
        field, [_with_content(f"{field}[{index}]", result) for index, result in enumerate(value)]
    )


def _with_converter(error: InvalidRecordError, value: Any) -> InvalidRecordError:
    """The error, and what converts the value where it has the shape of somebody else's."""
    for one in value if isinstance(value, list | tuple) else [value]:
        for key, converter in CONVERTERS.items() if isinstance(one, Mapping) else ():
            if key in one:
                advice = f"obsku_checkpoint.messages.{converter} converts messages that have {key!r}"
                return InvalidRecordError(error.field, f"{error.reason}; {advice}")
    return error


def _with_content(path: str, result: ToolResult) -> ToolResult:
    """The npm package refuses a result without ``content``: where only ``data`` is given, it is the data's JSON."""
    if "content" in result:
        return result
    if "data" not in result:
        raise InvalidRecordError(f"{path}.content", "is missing")
    return {**result, "content": validation.json_plus(f"{path}.data", result["data"])}


def _tokens(field: str, value: Any) -> int | None:
    return None if value is None else validation.integer(field, value, low=0)


_CALLS = check_of(list[ToolCall], validation.SCALARS)
_RESULTS = check_of(list[ToolResult], validation.SCALARS)
