"""Tagged objects of a parsed text become values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final, NoReturn

from obsku_checkpoint.codec import digits, tags
from obsku_checkpoint.codec.paths import SEGMENT, Link, path
from obsku_checkpoint.codec.tags import TAG, TaggedDict
from obsku_checkpoint.errors import CheckpointCorruptionError

_CONTAINERS: Final = frozenset({list, dict})

#: items of a list that are gone through without a look at their types before
_FEW: Final = 4


def decode(tree: Any) -> Any:
    """Replace the tagged objects of a parsed text, inner ones first."""
    decoders = tags.registry().decoders
    root = [tree]
    nodes: list[Any] = [root]
    #: node, key and item of each; not as tuples, of so many of which Python looks through all of its objects again
    found: list[Any] = []
    big: list[tuple[Any, Any, dict[str, Any]]] = []
    for node in nodes:
        entries: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
        for key, item in entries:
            kind = type(item)
            if kind is list:
                inner = item
                while len(inner) == 1 and type(inner[0]) is list:  # at once, since two characters make each
                    inner = inner[0]
                if inner and (len(inner) <= _FEW or _holds_objects(inner)):
                    nodes.append(inner)
            elif kind is dict:
                if TAG not in item:
                    if item:
                        nodes.append(item)
                elif len(item) == 2 and type(item.get("value")) is str and type(item[TAG]) is str:
                    # The most frequent ones, with nothing inside.
                    if len(item["value"]) > digits.UNCOUNTED and item[TAG] == "BigInt":
                        big.append((node, key, item))
                    else:
                        node[key] = _untag(item, decoders, root)
                else:
                    nodes.append(item)
                    found += node, key, item
    nodes.clear()  # so that each object goes as its value comes, and there is no garbage to look for
    _read_big(big)
    while found:
        item, key, node = found.pop(), found.pop(), found.pop()
        node[key] = _untag(item, decoders, root)
    return root[0]


def _holds_objects(items: list[Any]) -> bool:
    """Whether there may be an object among the items of a list, or of the lists in it."""
    kinds = set(map(type, items))
    if list not in kinds:
        return dict in kinds
    lists = items if len(kinds) == 1 else [item for item in items if type(item) is list]
    return dict in kinds or not _CONTAINERS.isdisjoint(map(type, chain.from_iterable(lists)))


def _read_big(big: list[tuple[Any, Any, dict[str, Any]]]) -> None:
    counts = [digits.count(item["value"]) if digits.is_integer(item["value"]) else None for _, _, item in big]
    longest = digits.longest(count for count in counts if count is not None)
    for (node, key, item), count in zip(big, counts, strict=True):
        node[key] = TaggedDict(item) if count is None or count > longest else digits.read(item["value"])


def _untag(item: dict[str, Any], decoders: dict[str, Callable[[Any], Any]], root: list[Any]) -> Any:
    tag = item[TAG]
    if type(tag) is not str or tag not in decoders:
        return TaggedDict(item)
    if not tags.has_shape(item):
        if tag not in tags.SHARED:
            return TaggedDict(item)
        _refuse(root, item, "has exactly __type and value", None)
    try:
        return decoders[tag](item["value"])
    except tags.ForeignError:
        return TaggedDict(item)
    except tags.MalformedError as error:
        _refuse(root, item, error.reason, None)
    except Exception as error:  # noqa: BLE001 - whatever an application's decoder raises
        _refuse(root, item, f"its decoder failed: {type(error).__name__}", error)


def _refuse(root: list[Any], item: dict[str, Any], reason: str, cause: Exception | None) -> NoReturn:
    """Raise for a tagged object, whose ancestors are all still as they were parsed."""
    value = item.get("value")
    preview = value if type(value) is str else type(value).__name__
    stack: list[Link] = [(root, 0, None, 0, None)]
    while True:
        link = stack.pop()
        node = link[0]
        for key, child in node.items() if type(node) is dict else enumerate(node):
            if child is item:
                where = path(link, key)
                raise CheckpointCorruptionError(where, f"{item[TAG][:SEGMENT]}: {reason}", preview) from cause
            if type(child) in _CONTAINERS:
                stack.append((child, 0, link, key, None))
