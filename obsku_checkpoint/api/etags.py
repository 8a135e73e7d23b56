"""A session's ETag: what was edited, and when it was last active.

Agents advance ``updated_at`` all the time. Two people who edit a session must not overwrite each other, but an
agent at work must not make every edit fail: so ``If-Match`` compares the first part only, the digest of what a PATCH
can change. The whole tag changes with everything that GET shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from django.utils.http import parse_etags

EDITABLE = ("workspace_id", "title", "directory", "metadata", "corrupt")


def etag(shown: Mapping[str, Any]) -> str:
    """The strong ETag of a session as it is shown."""
    content = orjson.dumps([shown.get(name) for name in EDITABLE])
    return f'"{hashlib.sha256(content).hexdigest()[:32]}-{shown["updated_at"]}"'


def matches(if_match: str, shown: Mapping[str, Any]) -> bool:
    """Whether the header names this state of the session, activity aside. Weak tags match nothing, as in RFC 9110."""
    digest = etag(shown).partition("-")[0]
    tags = parse_etags(if_match)
    return "*" in tags or any(tag.partition("-")[0] == digest for tag in tags)
