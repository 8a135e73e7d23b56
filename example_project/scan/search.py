"""Reads files, parses the Python ones, and applies the rules: in batches, so that each can be saved when it is done."""

from __future__ import annotations

import ast
import codecs
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from example_project.scan.files import NOT_TEXT, Note
from example_project.scan.python_rules import find_dangers
from example_project.scan.rules import RULES, Finding
from example_project.scan.text_rules import excerpt, find_secrets

BATCH_FILES = 25
BATCH_SECONDS = 0.2
#: a line with this comment is left alone
IGNORE = "# nosec"
PYTHON = (".py", ".pyi", ".pyw")


@dataclass(slots=True)
class Batch:
    """Files that are finished, and all that was found in them."""

    files: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def search_files(
    directory: str,
    files: Sequence[str],
    rules: frozenset[str],
    *,
    batch_files: int = BATCH_FILES,
    batch_seconds: float = BATCH_SECONDS,
    delay: float = 0.0,
    to_first_finding: bool = False,
) -> Iterator[Batch]:
    """Search the files in order; a batch is full after so many files, or so many seconds, whichever comes first.

    ``delay`` waits so many seconds after each file, for those who want to watch; with ``to_first_finding`` a batch is
    full with the first file in which something is found, too.
    """
    batch, started = Batch(), time.monotonic()
    for path in files:
        search_file(directory, path, rules, batch)
        time.sleep(delay)
        full = len(batch.files) >= batch_files or time.monotonic() - started >= batch_seconds
        if full or (to_first_finding and batch.findings):
            yield batch
            batch, started = Batch(), time.monotonic()
    if batch.files:
        yield batch


def search_file(directory: str, path: str, rules: frozenset[str], batch: Batch) -> None:
    """Search one file and add it, its findings and its notes to the batch. No file, however odd, is an error."""
    batch.files.append(path)
    try:
        data = Path(directory, path).read_bytes()
    except OSError as error:
        batch.notes.append(Note(file=path, reason=f"not readable: {error.strerror}"))
        return
    text = _text(data)
    if text is None:
        batch.notes.append(Note(file=path, reason=NOT_TEXT))
        return
    kinds = {RULES[rule].kind for rule in rules}
    places = set(find_secrets(text)) if "secret" in kinds else set()
    if path.endswith(PYTHON) and "code" in kinds:
        places.update(_dangers(data, path, batch))
    lines = text.split("\n")
    for rule, number in sorted(places, key=lambda place: (place[1], place[0])):
        line = lines[number - 1] if number <= len(lines) else ""
        if rule in rules and IGNORE not in line:
            batch.findings.append(Finding(rule=rule, file=path, line=number, excerpt=excerpt(line)))


def _text(data: bytes) -> str | None:
    """The text in the data; None for a binary file. Bytes that are not UTF-8 become U+FFFD."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    elif b"\0" in data:
        return None
    else:
        text = data.decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _dangers(data: bytes, path: str, batch: Batch) -> list[tuple[str, int]]:
    try:
        with warnings.catch_warnings():
            # Python warns of odd escapes in the scanned code, which is not ours to mend.
            warnings.simplefilter("ignore")
            # Bytes, because the file itself may say how it is encoded.
            tree = ast.parse(data, filename=path)
        return list(find_dangers(tree, path))
    except SyntaxError as error:
        where = f" (line {error.lineno}: {error.msg})" if error.lineno else f" ({error.msg})"
        batch.notes.append(Note(file=path, reason=f"could not parse{where}"))
    except (ValueError, RecursionError, MemoryError) as error:
        batch.notes.append(Note(file=path, reason=f"could not parse ({type(error).__name__})"))
    return []
