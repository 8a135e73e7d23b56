"""Resume: all that a later process needs to go on with the last active session."""

from __future__ import annotations

from obsku_checkpoint.protocols import OnCorrupt
from obsku_checkpoint.records import Resumption
from obsku_checkpoint.store.checkpoints import Checkpoints
from obsku_checkpoint.store.messages import Messages
from obsku_checkpoint.store.sessions import Sessions


class Resume(Sessions, Messages, Checkpoints):
    def continue_latest(self, workspace_id: str | None = None, *, on_corrupt: OnCorrupt = "raise") -> Resumption | None:
        for session in self.list_sessions(workspace_id, limit=1, on_corrupt=on_corrupt):
            return Resumption(
                session=session,
                messages=self.get_messages(session.id, on_corrupt=on_corrupt),
                checkpoint=self.get_latest_checkpoint(session.id, on_corrupt=on_corrupt),
            )
        return None
