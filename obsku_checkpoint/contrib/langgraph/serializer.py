"""LangGraph's msgpack, strictly: a type that is not allowed is refused when it is written and when it is read.

LangGraph's own serializer gives a dict, or an integer, for a type that it may not construct, and by default constructs
whatever the stored data names. Here nothing is constructed that is not allowed, and nothing turns into something else.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import importlib
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Self

import ormsgpack
from django.utils.module_loading import import_string
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS, SAFE_MSGPACK_TYPES
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import SendProtocol, _DeltaSnapshot
from langgraph.store.base import Item

from obsku_checkpoint import conf
from obsku_checkpoint.errors import CheckpointCorruptionError, ConfigurationError, SerializationError

OPTIONS = (
    ormsgpack.OPT_NON_STR_KEYS
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
    | ormsgpack.OPT_REPLACE_SURROGATES
)
Names = frozenset[tuple[str, ...]]


class StrictSerializer(JsonPlusSerializer):
    """LangGraph's safe types, and those that are allowed besides; the format is that of `JsonPlusSerializer`."""

    def __init__(self, allowed: Iterable[tuple[str, ...] | type] = ()) -> None:
        """``allowed`` are classes, or (module, name) of classes."""
        super().__init__(allowed_msgpack_modules=tuple(allowed) or None)
        self._allowed: Names = SAFE_MSGPACK_TYPES | frozenset(self._allowed_msgpack_modules or ())  # type: ignore[arg-type]  # never True

    def with_msgpack_allowlist(self, extra_allowlist: Iterable[tuple[str, ...] | type]) -> Self:
        """A serializer that allows these as well: LangGraph's `compile` asks for it."""
        return type(self)([*(self._allowed - SAFE_MSGPACK_TYPES), *extra_allowlist])

    # -- writing

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        if obj is None:
            return "null", b""
        if isinstance(obj, (bytes, bytearray)):
            return super().dumps_typed(obj)
        packing = _Packing(self._allowed)
        try:
            return "msgpack", packing.packed(obj)
        except ormsgpack.MsgpackEncodeError as error:
            raise (packing.refusal or SerializationError("$", str(error))) from error

    # -- reading

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, stored = data
        if kind != "msgpack":
            return super().loads_typed(data)
        unpacking = _Unpacking(self._allowed)
        try:
            return unpacking.unpacked(stored)
        except ValueError as error:
            raise (unpacking.refusal or CheckpointCorruptionError("$", str(error))) from error


class _Packing:
    """One value on its way to msgpack, which says nothing of why it stopped."""

    __slots__ = ("_allowed", "refusal")

    def __init__(self, allowed: Names) -> None:
        self._allowed = allowed
        self.refusal: SerializationError | None = None

    def packed(self, value: Any) -> bytes:
        return ormsgpack.packb(value, default=self._extension, option=OPTIONS)

    def _extension(self, value: Any) -> Any:
        """What msgpack has no form for. The contents of containers come here again, those of plain types need not."""
        kind = type(value)
        if kind is _DeltaSnapshot:
            return ormsgpack.Ext(jsonplus.EXT_DELTA_SNAPSHOT, self.packed(value.value))
        if isinstance(value, BaseException):
            return repr(value)
        content = _content(value)
        if content is None:
            extension = jsonplus._msgpack_default(value)
            if not _is_array(kind):
                self._checked(kind)
            return extension
        return ormsgpack.Ext(content[0], self.packed(self._checked(kind) + content[1:]))

    def _checked(self, kind: type) -> tuple[str, str]:
        """The name of a type that may be written."""
        name = (kind.__module__, kind.__name__)
        if name not in self._allowed and kind is not re.Pattern:
            self._refuse(_refusal(*name))
        if not _can_be_found(kind):
            self._refuse(f"{'.'.join(name)} cannot be imported by its name, so it could not be read")
        return name

    def _refuse(self, reason: str) -> NoReturn:
        self.refusal = SerializationError("$", reason)
        raise self.refusal


class _Unpacking:
    """One value on its way from msgpack."""

    __slots__ = ("_allowed", "refusal")

    def __init__(self, allowed: Names) -> None:
        self._allowed = allowed
        self.refusal: CheckpointCorruptionError | None = None

    def unpacked(self, stored: bytes) -> Any:
        return ormsgpack.unpackb(stored, ext_hook=self._construct, option=ormsgpack.OPT_NON_STR_KEYS)

    def _construct(self, code: int, stored: bytes) -> Any:
        if code == jsonplus.EXT_DELTA_SNAPSHOT:
            return _DeltaSnapshot(self.unpacked(stored))
        if code == jsonplus.EXT_NUMPY_ARRAY:
            return jsonplus._msgpack_ext_hook(code, stored)
        module, name, content, *rest = self.unpacked(stored)
        if (module, name) not in self._allowed:
            self._refuse(_refusal(module, name))
        try:
            return _constructed(code, module, name, content, rest)
        except Exception as error:  # noqa: BLE001 - whatever a constructor raises
            self._refuse(f"{module}.{name} cannot be made of what is stored: {error!r}")

    def _refuse(self, reason: str) -> NoReturn:
        self.refusal = self.refusal or CheckpointCorruptionError("$", reason)
        raise self.refusal


def _refusal(module: str, name: str) -> str:
    return f"the type {module}.{name} is not allowed: add it to OBSKU_CHECKPOINT['LANGGRAPH_TYPES']"


def _content(value: Any) -> tuple[Any, ...] | None:
    """Code, content and method of the types that hold values of any type, in LangGraph's order of asking."""
    if callable(getattr(value, "model_dump", None)):
        return jsonplus.EXT_PYDANTIC_V2, value.model_dump(), "model_validate_json"
    if callable(getattr(value, "get_secret_value", None)):
        return jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, value.get_secret_value()
    if callable(getattr(value, "dict", None)):
        return jsonplus.EXT_PYDANTIC_V1, value.dict()
    if callable(getattr(value, "_asdict", None)):
        return jsonplus.EXT_CONSTRUCTOR_KW_ARGS, value._asdict()
    if isinstance(value, set | frozenset | collections.deque):
        return jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, tuple(value)
    if isinstance(value, enum.Enum):
        return jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, value.value
    if isinstance(value, SendProtocol):
        timeout = getattr(value, "timeout", None)
        arguments = (value.node, value.arg) if timeout is None else (value.node, value.arg, timeout)
        return jsonplus.EXT_CONSTRUCTOR_POS_ARGS, arguments
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return jsonplus.EXT_CONSTRUCTOR_KW_ARGS, fields
    if isinstance(value, Item):
        return jsonplus.EXT_CONSTRUCTOR_KW_ARGS, {slot: getattr(value, slot) for slot in value.__slots__}
    return None


def _is_array(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.ndarray)


@functools.lru_cache(1024)
def _can_be_found(kind: type) -> bool:
    return kind is re.Pattern or getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind


@functools.lru_cache(1024)
def _found(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _constructed(code: int, module: str, name: str, content: Any, rest: list[Any]) -> Any:
    kind: Callable[..., Any] = _found(module, name)
    match code:
        case jsonplus.EXT_PYDANTIC_V2 | jsonplus.EXT_PYDANTIC_V1:  # first, since messages are such
            return _model(kind, content)
        case jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG:
            return kind(content)
        case jsonplus.EXT_CONSTRUCTOR_POS_ARGS if (module, name) == ("langgraph.types", "Send"):
            return kind(*content[:2]) if len(content) == 2 else kind(*content[:2], timeout=content[2])
        case jsonplus.EXT_CONSTRUCTOR_POS_ARGS:
            return kind(*content)
        case jsonplus.EXT_CONSTRUCTOR_KW_ARGS:
            return kind(**content)
        case jsonplus.EXT_METHOD_SINGLE_ARG if (module, name, *rest) in SAFE_MSGPACK_METHODS:
            return getattr(kind, rest[0])(content)
        case _:
            raise ValueError(f"a form that is not known ({code})")


def _model(kind: Any, content: dict[str, Any]) -> Any:
    """A model whose validation has changed since is made without, as LangGraph does."""
    try:
        return kind(**content)
    except ValueError:
        return (kind.model_construct if hasattr(kind, "model_construct") else kind.construct)(**content)


def strict(serde: SerializerProtocol | None) -> SerializerProtocol:
    """The serializer to use for the one given: LangGraph's own is made strict, also inside its encryption."""
    if getattr(serde, "pickle_fallback", False) or getattr(getattr(serde, "serde", None), "pickle_fallback", False):
        raise ConfigurationError("serde has pickle_fallback, and reading a pickle runs whatever code it names")
    if serde is None:
        return StrictSerializer(_configured())
    if type(serde) is EncryptedSerializer:
        return EncryptedSerializer(serde.cipher, strict(serde.serde))
    if type(serde) is JsonPlusSerializer:
        listed = serde._allowed_msgpack_modules
        return StrictSerializer([*_configured(), *(listed if isinstance(listed, set) else ())])
    return serde


def _configured() -> list[type]:
    types = []
    for path in conf.current().LANGGRAPH_TYPES:
        try:
            types.append(import_string(path))
        except ImportError as error:
            raise ConfigurationError(f"OBSKU_CHECKPOINT['LANGGRAPH_TYPES'] has {path!r}: {error}") from error
    return types
