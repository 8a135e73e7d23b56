"""The admin's pages: what an agent did, at a glance. `session`, `checkpoint` and `memory` say which there are."""

from __future__ import annotations

from obsku_checkpoint.admin.checkpoint.admin import CheckpointAdmin
from obsku_checkpoint.admin.memory.admin import EntityAdmin, FactAdmin
from obsku_checkpoint.admin.session.admin import SessionAdmin

__all__ = ["CheckpointAdmin", "EntityAdmin", "FactAdmin", "SessionAdmin"]
