"""Signals of the store, sent after the commit of the write; the counterpart of the npm package's ``onCheckpoint``.

The sender is the store's class. Receivers get ``record`` (what the store's method returns) and ``using`` (the
database alias). A receiver that raises is logged under ``obsku_checkpoint.signals``; the write stays.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.dispatch import Signal

logger = logging.getLogger(__name__)

#: ``record``: a `SessionRecord`
session_created = Signal()
#: ``record``: a `MessageRecord`
message_added = Signal()
#: ``record``: a `CheckpointRecord`
checkpoint_saved = Signal()
#: ``record``: the new session's `SessionRecord`; ``checkpoint_id``: the checkpoint it was forked from
session_forked = Signal()


def send_after_commit(signal: Signal, sender: type, *, using: str, **arguments: Any) -> None:
    if not signal.has_listeners(sender):
        return

    def send() -> None:
        for receiver, answer in signal.send_robust(sender, using=using, **arguments):
            if isinstance(answer, Exception):
                logger.error("Signal receiver %r failed", receiver, exc_info=answer)

    connection = transaction.get_connection(using)
    if connection.in_atomic_block or connection.get_autocommit():
        transaction.on_commit(send, using=using)
    else:  # the caller commits by hand, and Django cannot say when
        send()
