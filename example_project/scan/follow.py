"""A session as it goes on, line by line, whichever process is at work on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from example_project.scan.history import checkpoint_line, message_line
from obsku_checkpoint.api.stream.feed import BEGINNING
from obsku_checkpoint.api.stream.poller import poller
from obsku_checkpoint.records import MessageRecord
from obsku_checkpoint.run_state import read

SECONDS = 60.0


async def lines(using: str, session_id: str) -> AsyncGenerator[str, None]:
    """What there is, then what comes; up to the checkpoint after which nothing is left to do."""
    asked = poller(using)
    with asked.listen(session_id, asked.feed.cursor(BEGINNING)) as listener:
        while True:
            found = await listener.changes(SECONDS)
            if found is None:
                continue
            if not found.exists:
                yield "The session was deleted."
                return
            for event in found.events:
                if isinstance(event.record, MessageRecord):
                    yield message_line(event.record)
                    continue
                yield checkpoint_line(event.record)
                if not read(event.record).pending:
                    return
