"""What JavaScript sees in a value, in a form in which both sides can be compared without loss.

None, booleans and texts stand for themselves. All else is a pair of its kind and its content: ``number`` (the sixteen
hexadecimal digits of its 64 bits), ``array`` and ``Set`` (items), ``object`` and ``Map`` (pairs of key and value),
``Date`` (milliseconds since 1970), ``Buffer`` (base64). What is undefined is left out. Two values are equal if their
forms are, where neither the entries of an object nor the items of a Set have an order.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from obsku_checkpoint import codec
from obsku_checkpoint.codec import TaggedDict
from obsku_checkpoint.records import CheckpointRecord, EntityRecord, FactRecord, MessageRecord, SessionRecord

Form = Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def form(value: Any) -> Form:
    """The form of what JavaScript sees in a Python value that is stored as JSON-plus."""
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) >= 2**53:
            return _tagged("BigInt", str(value))
        case float() if not math.isfinite(value):
            return _tagged("Number", "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
        case int() | float():
            return number(value)
        case Decimal():
            return _tagged("Decimal", str(value))
        case UUID():
            return _tagged("UUID", str(value))
        case datetime():
            return ["Date", (value - EPOCH) // MILLISECOND]
        case bytes() | bytearray() | memoryview():
            return ["Buffer", base64.b64encode(value).decode()]
        case set() | frozenset():
            return _unordered("Set", map(_element, value))
        case list() | tuple():
            return ["array", [form(item) for item in value]]
        case TaggedDict():
            return _only_there(value) if value["__type"] in ("Date", "Set", "Map") else _object(value.items())
        case dict() if type(value) is codec.Map or _is_map(value):
            return ["Map", [[_key(key), form(item)] for key, item in value.items()]]
        case dict():
            return _object(value.items())
    raise TypeError(f"{type(value).__name__} is not a value of JSON-plus")


def number(value: float) -> Form:
    return ["number", struct.pack(">d", value).hex()]


def integer(one: Form) -> int:
    """The integer that a number is."""
    (value,) = struct.unpack(">d", bytes.fromhex(one[1]))
    assert value == int(value)
    return int(value)


def part(one: Form, name: str) -> Form:
    """What an object has under this name; None where it has nothing."""
    return dict(one[1]).get(name)


def normal(received: Form) -> Form:
    """The same form with one order for what has none."""
    return _mapped(received, lambda one: one)


def rewritten(one: Form) -> Form:
    """What is left of it when JavaScript has written it: its JSON has no -0, and no point in a number that is whole.

    From 2**53 on the latter is read here as the integer that its digits are: as many as tell the number from others,
    and then zeros.
    """
    return _mapped(one, _rewritten_number)


def _rewritten_number(one: Form) -> Form:
    if not (isinstance(one, list) and one[0] == "number"):
        return one
    (value,) = struct.unpack(">d", bytes.fromhex(one[1]))
    return form(int(Decimal(repr(value)))) if value == 0 or 2**53 <= abs(value) < 10**21 else one


def _mapped(one: Form, leaf: Callable[[Form], Form]) -> Form:
    match one:
        case ["object", entries]:
            return _object_of({name: _mapped(item, leaf) for name, item in entries})
        case ["Set", items]:
            return _unordered("Set", (_mapped(item, leaf) for item in items))
        case ["Map", entries]:
            return ["Map", [[_mapped(key, leaf), _mapped(item, leaf)] for key, item in entries]]
        case ["array", items]:
            return ["array", [_mapped(item, leaf) for item in items]]
    return leaf(one)


def difference(there: Form, here: Form, path: str = "") -> str:
    """The first place where two forms differ; empty where they are equal."""
    if there == here:
        return ""
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        items = enumerate(zip(there, here, strict=True))
        return next(filter(None, (difference(*pair, f"{path}[{index}]") for index, pair in items)))
    return f"at {path} there is {there!r:.500} there, and {here!r:.500} here"


def count(one: Form) -> int:
    """How many values are in it, itself included."""
    match one:
        case ["object" | "Map", entries]:
            return 1 + sum(count(key) + count(item) for key, item in entries)
        case ["Set" | "array", items]:
            return 1 + sum(map(count, items))
    return 1


def record_form(record: SessionRecord | MessageRecord | CheckpointRecord | EntityRecord | FactRecord) -> Form:
    """The form of the npm package's record of the same row, which has camelCase names and nothing for NULL."""
    entries = []
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, datetime) and field.name in ("created_at", "updated_at"):
            value = (value - EPOCH) // MILLISECOND
        elif field.name == "cycle_state" and value is not None:  # it reads no other keys
            value = {"backEdge": value["backEdge"], "iteration": value["iteration"]}
        if value is not None:
            head, *rest = field.name.split("_")
            entries.append((head + "".join(map(str.title, rest)), value))
    return _object(entries)


def _only_there(value: TaggedDict) -> Form:
    """A date, set or map that Python cannot represent is read as the object that is stored."""
    match value:
        case {"__type": "Date", "value": text}:
            year, rest = int(text[: text.index("-", 1)]), text[text.index("-", 1) :]
            assert not 1 <= year <= 9999, text
            periods, within = divmod(year - 2000, 400)  # after 400 years the calendar repeats
            milliseconds = (datetime.fromisoformat(f"{2000 + within}{rest}") - EPOCH) // MILLISECOND
            return ["Date", milliseconds + periods * 146_097 * 86_400_000]
        case {"__type": "Set", "value": items}:
            return _unordered("Set", map(_element, items))
        case {"__type": "Map", "value": pairs}:
            return ["Map", [[_key(key), form(item)] for key, item in pairs]]
    raise TypeError(f"the tag {value['__type']}")


def _key(key: Any) -> Form:
    """The npm package decodes no key of a map."""
    return _plain(_zero(json.loads(codec.dumps(key))))


def _element(value: Any) -> Form:
    return form(_zero(value))


def _zero(value: Any) -> Any:
    """Of a set and of the keys of a map, no zero has a sign in JavaScript."""
    return 0 if isinstance(value, float) and value == 0 else value


def _plain(value: Any) -> Form:
    """The form of JSON as it is, with nothing decoded."""
    match value:
        case dict():
            return _object_of({name: _plain(item) for name, item in value.items()})
        case list():
            return ["array", [_plain(item) for item in value]]
        case int() | float() if not isinstance(value, bool):
            return number(value)
    return value


def _is_map(value: dict[Any, Any]) -> bool:
    return any(type(key) is not str or key in ("__type", "__proto__") for key in value)


def _tagged(tag: str, text: str) -> Form:
    return _object_of({"__type": tag, "value": text})


def _object(entries: Iterable[tuple[str, Any]]) -> Form:
    return _object_of({name: form(item) for name, item in entries})


def _object_of(forms: dict[str, Form]) -> Form:
    match forms:
        case {"__type": "Set", "value": ["array", items]}:  # a set in the key of a map, which nobody decodes
            forms = {**forms, "value": _unordered("array", items)}
    return _unordered("object", ([name, item] for name, item in forms.items()))


def _unordered(kind: str, items: Iterable[Form]) -> Form:
    return [kind, sorted(items, key=json.dumps)]
