"""What is deleted with sessions: told as numbers, one statement each, without reading a row.

The database itself deletes what hangs on a session; facts lose their source and stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from obsku_checkpoint.models import Checkpoint, Entity, Fact, Message, Session


def numbers(database: str, session_ids: Sequence[str]) -> dict[str, int]:
    """What to call it -> how many."""
    counts = {
        str(model._meta.verbose_name_plural): model._base_manager.using(database)
        .filter(session_id__in=session_ids)
        .count()
        for model in (Message, Checkpoint, Entity)
    }
    facts = Fact._base_manager.using(database).filter(source_session_id__in=session_ids).count()
    kept = {"facts that stay, without their source": facts} if facts else {}
    return {str(Session._meta.verbose_name_plural): len(session_ids)} | counts | kept
