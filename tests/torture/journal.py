"""What a writer asks for and what it is told: a file of JSON lines for each process, which outlasts the process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


class Journal:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, **line: Any) -> None:
        """One write of the system, so that a process that is killed leaves whole lines, whatever thread was at work."""
        os.write(self._file, json.dumps(line).encode() + b"\n")


@dataclass(slots=True)
class Write:
    """One write of a client. ``token`` stands in each of its rows."""

    token: str
    #: by which store, in which form, and whether through the pooler
    way: str
    client: str
    method: str
    #: the session's id; of a fork the checkpoint's
    about: str
    #: how many it is to make
    rows: int
    #: None: its process was killed before the answer came
    told: Literal["acknowledged", "failed"] | None = None
    #: of the rows, if it was acknowledged
    ids: list[Any] = field(default_factory=list)
    #: of the error, if it failed
    maybe_written: bool = False


def read(path: Path, found: dict[str, Write]) -> Iterator[dict[str, Any]]:
    """Adds the writes of a journal, in the order of asking, and yields the other lines.

    A write that was repeated with its id counts as one: what the first try has not done, the second may have.
    """
    way = path.stem.rpartition("-")[0]
    for text in path.read_text().splitlines():
        line = json.loads(text)
        if token := line.pop("ask", None):
            found[token] = Write(token=token, way=way, **line)
        elif token := line.pop("again", None):
            found[token].told = None
        elif token := line.pop("done", None):
            found[token].told, found[token].ids = "acknowledged", line["ids"]
        elif token := line.pop("failed", None):
            write = found[token]
            write.told, write.maybe_written = "failed", write.maybe_written or line["maybe_written"]
        else:
            yield {"way": way, **line}
