"""What a checkpoint, and how its run stands, is called on every page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint.printable import plain
from obsku_checkpoint.run_state import RunStatus

#: the statuses of runs that have something to do which needs no answer first
GOES_ON: tuple[RunStatus, ...] = ("failed", "pending", "working")
#: of `RunState.status`
STATUS_WORDS: dict[RunStatus, Any] = {
    "working": gettext_lazy("at work"),
    "failed": gettext_lazy("failed"),
    "interrupted": gettext_lazy("waiting for a person"),
    "pending": gettext_lazy("unfinished"),
    "complete": gettext_lazy("finished"),
}


def namespace_name(namespace: str) -> str:
    return plain(namespace, 80) or _("main")


def checkpoint_name(checkpoint: Any) -> str:
    """``main v9, step 4, approve``: of a row of the model, or a record."""
    name = _("%(namespace)s v%(version)s, step %(step)s") % {
        "namespace": namespace_name(checkpoint.namespace),
        "version": checkpoint.version,
        "step": checkpoint.step,
    }
    return f"{name}, {plain(checkpoint.node_id, 40)}" if checkpoint.node_id else name
