"""A fork takes the originals of its messages along: importing this module sees to it."""

from __future__ import annotations

from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.store.calls import Write
from obsku_checkpoint.store.extensions import Forked, on_fork

#: a fork's messages are the first ones of its origin, in the same order
COPY_ORIGINALS = """
INSERT INTO originals (row_id, format, data)
SELECT copy.id, o.format, o.data
FROM (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM messages WHERE session_id = %(fork)s
) copy JOIN (
    SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM messages WHERE session_id = %(origin)s
) first ON first.place = copy.place JOIN originals o ON o.row_id = first.id
RETURNING row_id
"""

OF_CHECKPOINT = "SELECT session_id FROM checkpoints WHERE id = %(checkpoint_id)s"
OF_MESSAGE = "SELECT session_id FROM messages WHERE id = %(message_id)s"


def copy_originals(forked: Forked) -> Steps[None]:
    if forked.message_id is None:
        [[origin]] = yield OF_CHECKPOINT, {"checkpoint_id": forked.checkpoint_id}
    else:
        [[origin]] = yield OF_MESSAGE, {"message_id": forked.message_id}
    yield Write(COPY_ORIGINALS, {"origin": origin, "fork": forked.session_id})


on_fork["originals"] = copy_originals
