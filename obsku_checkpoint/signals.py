"""Signals of the store, sent after the commit of the write; the counterpart of the npm package's ``onCheckpoint``.

The sender is the store's class. Receivers get ``using`` (the database alias), and but for a deletion ``record`` (what
the store's method returns). A receiver that raises is logged under ``obsku_checkpoint.signals``; the write stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.dispatch import Signal

logger = logging.getLogger(__name__)

#: ``record``: a `SessionRecord`
session_created = Signal()
#: ``record``: a `MessageRecord`
message_added = Signal()
#: ``record``: a `CheckpointRecord`
checkpoint_saved = Signal()
#: ``session_id``, of a session that the store, API or admin has deleted (Django's ``QuerySet.delete()`` does not
#: send it)
session_deleted = Signal()
#: ``record``: the new session's `SessionRecord`; ``checkpoint_id`` or ``message_id``: what it was forked from, the
#: other one is None
session_forked = Signal()


def log_failures(answers: Iterable[tuple[Any, Any]]) -> None:
    """Log what receivers have raised: the write stays."""
    for receiver, answer in answers:
        if isinstance(answer, Exception):
            logger.error("Signal receiver %r failed", receiver, exc_info=answer)
