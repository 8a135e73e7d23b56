"""OpenAI's agents on Django's database: `DjangoSession`, whose conversations are sessions.

The class is imported when it is asked for: Django imports this package before there are models, and the app may be
installed where the SDK is not. In a program without Django settings, `obsku_checkpoint.postgres` sets it up.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from django.conf import ENVIRONMENT_VARIABLE, settings

from obsku_checkpoint.extras import require

if TYPE_CHECKING:
    from obsku_checkpoint.contrib.openai_agents.session import DjangoSession

__all__ = ["DjangoSession"]


def __getattr__(name: str) -> Any:
    if name != "DjangoSession":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("openai-agents", "agents")
    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        importlib.import_module("obsku_checkpoint.postgres")
    return importlib.import_module(f"{__name__}.session").DjangoSession
