"""The shapes inside JSON columns: checks and JSON schemas, both made of the types in `records`. Knows no Django.

A check knows no path: the error that it raises gets one on its way out, so that what is right costs no text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from obsku_checkpoint.codec import Map
from obsku_checkpoint.codec.digits import SAFE
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.records import ToolResult

#: takes a value and raises `InvalidRecordError`, whose field is the path from the value on
Check = Callable[[Any], object]


def check(field: str, value: Any, shape: Check) -> None:
    """Raise `InvalidRecordError`, naming the field, where the value has another shape."""
    try:
        shape(value)
    except InvalidRecordError as error:
        raise _within(field, error) from None


def _within(place: str, error: InvalidRecordError) -> InvalidRecordError:
    return InvalidRecordError(place + error.field, error.reason)


def check_of(kind: Any, scalars: Mapping[Any, Check]) -> Check:
    """The check of a ``TypedDict``, list, dict or literal, or one of ``scalars``.

    Keys that a ``TypedDict`` does not name are the caller's: they may hold anything.
    """
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return _shape([(name, check_of(hint, scalars), _is_required(hint)) for name, hint in hints.items()])
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (NotRequired, Annotated):
        return check_of(arguments[0], scalars)
    if origin is Literal:
        return _one_of(arguments)
    if origin is list:
        return _list_of(check_of(arguments[0], scalars))
    if origin is dict:
        return _object if arguments[1] is Any else _dict_of(check_of(arguments[1], scalars))
    return scalars[kind]


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of the same; the text in an ``Annotated`` is its description."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return {
            "type": "object",
            "properties": {name: schema_of(hint) for name, hint in hints.items()},
            "required": [name for name, hint in hints.items() if _is_required(hint)],
            **({"anyOf": [{"required": [name]} for name in ("content", "data")]} if kind is ToolResult else {}),
        }
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return schema_of(arguments[0])
    if origin is Annotated:
        return {**schema_of(arguments[0]), "description": arguments[1]}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    return _SCALARS[kind]


_SCALARS: dict[Any, dict[str, Any]] = {
    Any: {},
    str: {"type": "string"},
    int: {"type": "integer", "format": "int32"},
    # JavaScript reads them exactly.
    int | float: {"type": "number", "minimum": -SAFE, "maximum": SAFE},
}


def _is_required(hint: Any) -> bool:
    return get_origin(hint) is not NotRequired


def _shape(checks: list[tuple[str, Check, bool]]) -> Check:
    def shape(value: Any) -> None:
        _plain_object(value)
        for name, one, required in checks:
            if name in value:
                try:
                    one(value[name])
                except InvalidRecordError as error:
                    raise _within(f".{name}", error) from None
            elif required:
                raise InvalidRecordError(f".{name}", "is missing")

    return shape


def _one_of(choices: tuple[str, ...]) -> Check:
    def shape(value: Any) -> None:
        if value not in choices:
            raise InvalidRecordError("", f"must be one of {', '.join(choices)}")

    return shape


def _list_of(one: Check) -> Check:
    def shape(value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise InvalidRecordError("", f"takes a list, not {type(value).__name__}")
        for index, item in enumerate(value):
            try:
                one(item)
            except InvalidRecordError as error:
                raise _within(f"[{index}]", error) from None

    return shape


def _dict_of(one: Check) -> Check:
    def shape(value: Any) -> None:
        _plain_object(value)
        for name, item in value.items():
            try:
                one(item)
            except InvalidRecordError as error:
                raise _within(f".{name}", error) from None

    return shape


def _object(value: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidRecordError("", f"takes a dict, not {type(value).__name__}")
    for name in value:
        if type(name) is not str and not isinstance(name, str):
            raise InvalidRecordError("", f"takes text as keys, not {type(name).__name__}")


def _plain_object(value: Any) -> None:
    """Refuse a dict that is written as a map, in which JavaScript finds none of the keys."""
    _object(value)
    if type(value) is not dict and isinstance(value, Map):
        raise InvalidRecordError("", "takes a dict, not a codec.Map")
    if "__type" in value or "__proto__" in value:
        raise InvalidRecordError("", "must not have the key __type or __proto__")
