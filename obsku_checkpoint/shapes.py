"""The shapes inside JSON columns: checks and JSON schemas, both made of the types in `records`. Knows no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from obsku_checkpoint.codec import Map
from obsku_checkpoint.errors import InvalidRecordError

#: takes a value's path and the value, and raises `InvalidRecordError`
Check = Callable[[str, Any], object]

_MAP_KEYS = frozenset({"__type", "__proto__"})


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
    int | float: {"type": "number"},
}


def _is_required(hint: Any) -> bool:
    return get_origin(hint) is not NotRequired


def _shape(checks: list[tuple[str, Check, bool]]) -> Check:
    def check(path: str, value: Any) -> None:
        _plain_object(path, value)
        for name, one, required in checks:
            if name in value:
                one(f"{path}.{name}", value[name])
            elif required:
                raise InvalidRecordError(f"{path}.{name}", "is missing")

    return check


def _one_of(choices: tuple[str, ...]) -> Check:
    def check(path: str, value: Any) -> None:
        if value not in choices:
            raise InvalidRecordError(path, f"must be one of {', '.join(choices)}")

    return check


def _list_of(one: Check) -> Check:
    def check(path: str, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise InvalidRecordError(path, f"takes a list, not {type(value).__name__}")
        for index, item in enumerate(value):
            one(f"{path}[{index}]", item)

    return check


def _dict_of(one: Check) -> Check:
    def check(path: str, value: Any) -> None:
        _plain_object(path, value)
        for name, item in value.items():
            one(f"{path}.{name}", item)

    return check


def _object(path: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidRecordError(path, f"takes a dict, not {type(value).__name__}")
    for name in value:
        if not isinstance(name, str):
            raise InvalidRecordError(path, f"takes text as keys, not {type(name).__name__}")


def _plain_object(path: str, value: Any) -> None:
    """Refuse a dict that is written as a map, in which JavaScript finds none of the keys."""
    _object(path, value)
    if isinstance(value, Map):
        raise InvalidRecordError(path, "takes a dict, not a codec.Map")
    if not _MAP_KEYS.isdisjoint(value):
        raise InvalidRecordError(path, "must not have the key __type or __proto__")
