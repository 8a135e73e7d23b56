"""How an id stands in a path of the REST API. Knows no Django.

An id may be any text; a segment of a path may not: servers decode ``%2F`` before the path is looked up, and clients
resolve ``.`` and ``..``. So ``~2F`` stands for a slash, ``~7E`` for the tilde itself (any byte of UTF-8 can be written
so), and a lone ``~`` for the empty id. Ids made by this package need none of it.
"""

from __future__ import annotations

from urllib.parse import unquote

#: ids that are a path's own words where they stand bare
RESERVED = frozenset({".", "..", "latest", "summaries", "search"})


class IdConverter:
    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return "" if value == "~" else unquote(value.replace("%", "%25").replace("~", "%"))

    def to_url(self, value: str) -> str:
        if not value:
            return "~"
        if value in RESERVED:
            return f"~{ord(value[0]):02X}{value[1:]}"
        return value.replace("~", "~7E").replace("/", "~2F")
