"""Which files of a directory are scanned, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

MAX_BYTES = 1_000_000
#: the reason noted for binary files
NOT_TEXT = "skipped: not text"

SKIPPED_DIRECTORIES = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".eggs"}
)
#: a directory that holds one of these is a cache or a virtual environment, whatever its name
MARKERS = ("CACHEDIR.TAG", "pyvenv.cfg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Why a file was not scanned, or not fully."""

    file: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"file": self.file, "reason": self.reason}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(file=value["file"], reason=value["reason"])


@dataclass(slots=True)
class Listing:
    #: paths relative to the directory, "/" between their parts, in the order of scanning
    files: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def list_files(directory: str) -> Listing:
    """All regular files under ``directory``, in an order that is the same every time.

    Symbolic links are not followed: what they point to is in the directory anyway, or is none of its business, and
    links can form circles.
    """
    listing = Listing()
    for entry, path in _walk(Path(directory), listing):
        try:
            size = entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            listing.notes.append(Note(file=path, reason=f"not readable: {error.strerror}"))
            continue
        if size > MAX_BYTES:
            reason = f"skipped: {size / 1_000_000:.1f} MB, more than {MAX_BYTES // 1_000_000} MB"
            listing.notes.append(Note(file=path, reason=reason))
        elif size:
            listing.files.append(path)
    return listing


def _walk(root: Path, listing: Listing) -> Iterator[tuple[os.DirEntry[str], str]]:
    # A stack instead of recursion: directories can be nested deeper than Python's calls.
    stack = [""]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            listing.notes.append(Note(file=folder or ".", reason=f"not readable: {error.strerror}"))
            continue
        if folder and any(entry.name in MARKERS for entry in entries):
            continue
        below = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED_DIRECTORIES:
                    below.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield entry, path
        stack += reversed(below)
