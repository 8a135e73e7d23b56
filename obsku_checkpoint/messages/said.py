"""What a message says, and what is the same for all shapes: texts, arguments, the JSON of values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from obsku_checkpoint import codec, message_validation
from obsku_checkpoint.errors import CheckpointCorruptionError, InvalidRecordError
from obsku_checkpoint.records import CorruptValue, MessageRecord

#: a message as mapping, as `CheckpointStore.add_messages` takes it
NewMessage = dict[str, Any]


class Said(NamedTuple):
    """A message of a store, read. Its results follow its calls, which follow its content."""

    path: str
    role: str
    content: str
    calls: list[dict[str, Any]]
    results: list[dict[str, Any]]
    tokens_in: int | None
    tokens_out: int | None


def said(messages: Iterable[MessageRecord | Mapping[str, Any]]) -> Iterator[Said]:
    """Those that say something."""
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        get = _record(message) if isinstance(message, MessageRecord) else _mapping(path, message)
        one = Said(
            path,
            get["role"],
            get["content"] or "",
            get["tool_calls"] or [],
            get["tool_results"] or [],
            get["tokens_in"],
            get["tokens_out"],
        )
        if one.content or one.calls or one.results:
            yield one


def _record(message: MessageRecord) -> dict[str, Any]:
    values = {name: getattr(message, name) for name in message_validation.MESSAGE}
    for name, value in values.items():
        if isinstance(value, CorruptValue):
            raise CheckpointCorruptionError("$", value.reason, value.text, "messages", str(message.id), name)
    return values


def _mapping(path: str, message: Any) -> dict[str, Any]:
    columns = dict(zip(message_validation.MESSAGE, message_validation.one_message(path, message), strict=True))
    for name in ("tool_calls", "tool_results"):
        columns[name] = None if columns[name] is None else codec.loads(columns[name])
    return columns


# -- values


def plain(value: Any) -> Any:
    """A value of JSON-plus in its tagged form."""
    return json.loads(codec.dumps(value))


def tagged(path: str, value: Any) -> Any:
    """The value of JSON-plus that a plain one stands for."""
    try:
        return codec.loads(json.dumps(value))
    except (TypeError, ValueError, CheckpointCorruptionError) as error:
        raise InvalidRecordError(path, f"is not JSON: {error}") from None


def arguments(path: str, text: Any) -> dict[str, Any]:
    """The input of a call whose arguments are a JSON text."""
    try:
        value = codec.loads(text) if text else {}
    except (TypeError, CheckpointCorruptionError) as error:
        raise InvalidRecordError(path, f"is not the JSON of an object: {error}") from None
    return inputs(path, value)


def inputs(path: str, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise InvalidRecordError(path, f"is not an object, but {type(value).__name__}")
    return value


def call(path: str, name: Any, id: Any, input: dict[str, Any]) -> dict[str, Any]:
    return {"name": text(f"{path}.name", name), "toolUseId": text(f"{path}.id", id), "input": input}


# -- the other shape


def objects(path: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, object) of each element of a list."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InvalidRecordError(path, f"takes a list, not {type(value).__name__}")
    for index, one in enumerate(value):
        if not isinstance(one, Mapping):
            raise InvalidRecordError(f"{path}[{index}]", f"takes an object, not {type(one).__name__}")
        yield f"{path}[{index}]", dict(one)


def text(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRecordError(path, f"takes text, not {type(value).__name__}")
    return value


def texts(path: str, value: Any, kinds: Mapping[str, str]) -> list[str]:
    """The texts of a content that is a text, or a list of texts and of parts; ``kinds`` are the ``type`` of parts that
    are texts, and the key of their text.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable):
        raise InvalidRecordError(path, f"takes text or a list of parts, not {type(value).__name__}")
    found = []
    for index, part in enumerate(value):
        at = f"{path}[{index}]"
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, Mapping) and part.get("type") in kinds:
            key = kinds[part["type"]]
            found.append(text(f"{at}.{key}", part.get(key)))
        else:
            raise cannot_hold(at, part.get("type") if isinstance(part, Mapping) else type(part).__name__)
    return found


def cannot_hold(path: str, kind: Any) -> InvalidRecordError:
    return InvalidRecordError(path, f"is {kind!r}, which a message cannot hold")


def has_no_place(path: str, what: str, shape: str) -> InvalidRecordError:
    return InvalidRecordError(path, f"has no place in {shape}: {what}")


def only_assistants_call(one: Said, shape: str) -> None:
    if one.calls and one.role != "assistant":
        raise has_no_place(f"{one.path}.tool_calls", f"only an assistant calls tools, not the role {one.role}", shape)


def text_of(one: Said, shape: str) -> str:
    """The content. What a tool says is in its results; a content beside these is for people."""
    if one.role == "tool" and one.content and not one.results:
        raise has_no_place(f"{one.path}.content", "what a tool says is the content of a tool result", shape)
    return "" if one.role == "tool" else one.content
