"""What columns may hold: each function takes a field's name and a value and gives back what is stored.

Knows no Django. Raises `InvalidRecordError` (or `SerializationError` for values inside a JSON column), naming the
field.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, get_args

from obsku_checkpoint import codec
from obsku_checkpoint.errors import InvalidRecordError, SerializationError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.records import CycleState, NodeResult, SessionRecord, Source
from obsku_checkpoint.shapes import Check, check, check_of
from obsku_checkpoint.unset import UNSET

logger = logging.getLogger(__name__)

#: bytes of UTF-8; PostgreSQL's B-tree takes entries of 2,704 bytes, and ours hold an id and a namespace
MAX_KEY_BYTES = 1024
#: characters of what stands in every list of sessions or checkpoints
MAX_TITLE = MAX_DIRECTORY = 4096
MAX_NODE_ID = 1024
INT32, INT64 = 2**31 - 1, 2**63 - 1

SOURCES = get_args(Source)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]+")


def text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRecordError(field, f"takes text, not {type(value).__name__}")
    stored = str.__str__(value)  # the text of a subclass, whatever it calls itself
    if stored.isascii() and "\x00" not in stored:  # nearly all of them, without a call
        return stored
    if not _is_storable(stored) and (found := _UNSTORABLE.search(stored)):
        kind = "a NUL character" if found[0][0] == "\x00" else "a lone surrogate"
        raise InvalidRecordError(field, f"holds {kind} at position {found.start()}, which a text column cannot hold")
    return stored


def _is_storable(value: str) -> bool:
    """Whether a text column can hold it; however long it is, in a tenth of the time that the expression takes."""
    if "\x00" in value:
        return False
    if value.isascii():  # nearly all of them
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _at_most(characters: int, field: str, value: Any) -> str:
    stored = text(field, value)
    if len(stored) > characters:
        raise InvalidRecordError(field, f"is longer than {characters} characters")
    return stored


def title(field: str, value: Any) -> str | None:
    return None if value is None else _at_most(MAX_TITLE, field, value)


def short_text(field: str, value: Any) -> str:
    return _at_most(MAX_TITLE, field, value)


def _directory(field: str, value: Any) -> str:
    return _at_most(MAX_DIRECTORY, field, value)


def _node_id(field: str, value: Any) -> str | None:
    return None if value is None else _at_most(MAX_NODE_ID, field, value)


def key(field: str, value: Any) -> str:
    """Text that stands in an index."""
    stored = text(field, value)
    if len(stored) > MAX_KEY_BYTES // 4 and len(stored.encode()) > MAX_KEY_BYTES:
        raise InvalidRecordError(field, f"is longer than {MAX_KEY_BYTES} bytes")
    return stored


def optional_key(field: str, value: Any) -> str | None:
    return None if value is None else key(field, value)


def _id(field: str, value: Any) -> str:
    return new_id() if value is None else key(field, value)


def can_exist(field: str, value: Any) -> bool:
    """Whether a stored id can equal this one; False saves a look-up that the database would refuse."""
    if not isinstance(value, str):
        raise InvalidRecordError(field, f"takes text, not {type(value).__name__}")
    return _is_storable(value)


def said(field: str, value: Any, of: str = "message") -> str | None:
    """What was said. Models and tools do emit what PostgreSQL cannot hold, and an agent must not die of it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRecordError(field, f"takes text, not {type(value).__name__}")
    stored = str.__str__(value)
    if _is_storable(stored):
        return stored
    mended = _UNSTORABLE.sub(lambda found: "\ufffd" * len(found[0]), stored.replace("\x00", "\u2400"))
    replaced = stored.count("\x00") + mended.count("\ufffd") - stored.count("\ufffd")
    logger.warning("%d characters that a text column cannot hold were replaced in a %s's %s", replaced, of, field)
    return mended


def integer(field: str, value: Any, low: int = -INT32 - 1, high: int = INT32) -> int:
    if type(value) is not int:
        raise InvalidRecordError(field, f"takes an integer, not {type(value).__name__}")
    if not low <= value <= high:
        raise InvalidRecordError(field, f"must be from {low} to {high}")
    return value


def _version(field: str, value: Any) -> int | None:
    return None if value is None else integer(field, value, low=1)


def limit(value: Any) -> int | None:
    return None if value is None else integer("limit", value, low=0, high=2**63 - 1)


def window(last_turns: Any, max_tokens: Any, after_id: Any) -> None:
    """The bounds of a window of messages, of which at least one is given."""
    for field, value in (("last_turns", last_turns), ("max_tokens", max_tokens)):
        if value is not None:
            integer(field, value, low=0, high=2**63 - 1)
    if after_id is not None:
        raise InvalidRecordError("after_id", "cannot be combined with last_turns or max_tokens, which keep the newest")


def moment(field: str, value: Any) -> datetime | None:
    if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
        raise InvalidRecordError(field, "takes an aware datetime")
    return value


def before(value: Any) -> tuple[datetime | None, str | None]:
    """Where a list of sessions begins: below a time, or after a session of the list, which is its time and its id."""
    if isinstance(value, SessionRecord):
        return moment("before", value.updated_at), value.id
    if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
        raise InvalidRecordError("before", "takes an aware datetime or a SessionRecord")
    return value, None


def iso(field: str, value: Any) -> str | None:
    """The moment as ISO 8601."""
    checked = moment(field, value)
    return None if checked is None else checked.isoformat()


def on_corrupt(value: Any) -> str:
    return one_of("on_corrupt", value, ("raise", "keep"))


def how_to_repair(value: Any) -> str:
    return one_of("how", value, ("error", "drop"))


def message_id(field: str, value: Any) -> int:
    return integer(field, value, low=-(2**63), high=2**63 - 1)


def source(value: Any) -> str:
    return one_of("source", value, SOURCES)


def json_plus(field: str, value: Any) -> str:
    """The value's JSON-plus text; a `SerializationError` names the path from the field on."""
    try:
        return codec.dumps(value)
    except SerializationError as error:
        raise SerializationError(field + error.path.removeprefix("$"), error.reason) from error


def metadata(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidRecordError("metadata", f"takes a dict, not {type(value).__name__}")
    return json_plus("metadata", value)


def node_results(value: Any) -> str:
    if not isinstance(value, Mapping):
        raise InvalidRecordError("node_results", f"takes a mapping, not {type(value).__name__}")
    results = value if isinstance(value, dict) else dict(value)
    check("node_results", results, _NODES)
    return json_plus("node_results", results)


def pending_nodes(value: Any) -> str:
    if value is None:
        return "[]"
    check("pending_nodes", value, _NAMES)
    return json_plus("pending_nodes", value)


def cycle_state(value: Any) -> str | None:
    if value is None:
        return None
    check("cycle_state", value, _CYCLE)
    return json_plus("cycle_state", value)


def session(**given: Any) -> dict[str, Any]:
    """What the columns of a new session store, but for its times. ``id=None`` makes one."""
    return {name: column(name, given[name]) for name, column in _SESSION.items()}


def session_changes(**given: Any) -> dict[str, Any]:
    """The columns of a session that are to be changed: those that are not `UNSET`."""
    return {name: _SESSION[name](name, value) for name, value in given.items() if value is not UNSET}


def checkpoint(**given: Any) -> dict[str, Any]:
    """What the columns of a new checkpoint store, but for its session and time. ``id=None`` makes one.

    ``version=None`` stays: the store takes the next one.
    """
    return {name: column(name, given[name]) for name, column in CHECKPOINT.items()}


_SESSION: dict[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "workspace_id": optional_key,
    "title": title,
    "directory": _directory,
    "metadata": lambda _, value: metadata(value),
}
CHECKPOINT: dict[str, Callable[[str, Any], Any]] = {
    "id": _id,
    "namespace": key,
    "parent_id": optional_key,
    "version": _version,
    "step": integer,
    "node_id": _node_id,
    "node_results": lambda _, value: node_results(value),
    "pending_nodes": lambda _, value: pending_nodes(value),
    "cycle_state": lambda _, value: cycle_state(value),
    "source": lambda _, value: source(value),
}


def one_of(field: str, value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InvalidRecordError(field, f"must be one of {', '.join(choices)}")
    return choices[choices.index(value)]


def _any(value: Any) -> None:
    """Whatever JSON-plus can write."""


def _text(value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidRecordError("", f"takes text, not {type(value).__name__}")


def _milliseconds(value: Any) -> None:
    if type(value) not in (int, float):
        raise InvalidRecordError("", f"takes milliseconds since 1970 as a number, not {type(value).__name__}")
    if not abs(value) < 2**53:
        raise InvalidRecordError("", "must be less than 2**53, which JavaScript reads exactly")


SCALARS: dict[Any, Check] = {Any: _any, str: _text, int: partial(integer, ""), int | float: _milliseconds}
_NODES, _CYCLE = check_of(dict[str, NodeResult], SCALARS), check_of(CycleState, SCALARS)
_NAMES = check_of(list[str], SCALARS)
