"""What a checkpoint is called on every page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from obsku_checkpoint.printable import plain


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
