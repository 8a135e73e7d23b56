"""The admin's pages: what an agent did, at a glance. `sessions` and `checkpoints` say which there are."""

from __future__ import annotations

from obsku_checkpoint.admin.checkpoints import CheckpointAdmin
from obsku_checkpoint.admin.sessions import SessionAdmin

__all__ = ["CheckpointAdmin", "SessionAdmin"]
