"""The addresses of the pages, and the ids in them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.admin.utils import quote, unquote
from django.urls import reverse

#: ids that no segment of a path can be, and that Django's `quote` leaves as they are; it writes no lone "_"
_ODD = {"": "_", ".": "_.", "..": "_.."}
_READ = {written: id for id, written in _ODD.items()}


def in_path(id: str) -> str:
    """How an id stands in an address of the admin."""
    return _ODD.get(id) or quote(id)


def from_path(segment: str) -> str:
    """The id that `in_path` has written, or Django's own `quote`. No id holds a NUL."""
    return _READ.get(segment, unquote(segment)).replace("\x00", "")


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses within one admin site, by its name."""

    site: str

    def sessions(self) -> str:
        return self._reverse("session_changelist")

    def waiting(self) -> str:
        return self._reverse("session_waiting")

    def figures(self) -> str:
        return self._reverse("session_figures")

    def session(self, id: str, page: str = "change") -> str:
        """A page of a session: ``change`` (the overview), ``transcript``, ``timeline``, …"""
        return self._reverse(f"session_{page}", id)

    def message(self, session_id: str, id: int) -> str:
        """The place of a message in the transcript."""
        return f"{self.session(session_id, 'transcript')}?at={id}#message-{id}"

    def checkpoint(self, id: str, page: str = "change") -> str:
        """A page of a checkpoint: ``change`` (the checkpoint itself), ``compare``, ``fork``, ``answer``."""
        return self._reverse(f"checkpoint_{page}", id)

    def known(self, kind: str, id: str) -> str:
        """The page of an ``entity`` or a ``fact``."""
        return self._reverse(f"{kind}_change", id)

    def _reverse(self, name: str, *ids: str) -> str:
        return reverse(f"{self.site}:obsku_checkpoint_{name}", args=[in_path(id) for id in ids])
