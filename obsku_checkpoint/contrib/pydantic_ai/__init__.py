"""pydantic-ai on Django's database: `DjangoHistory`, whose conversations are sessions.

The class is imported when it is asked for: Django imports this package before there are models, and the app may be
installed where pydantic-ai is not. In a program without Django settings, `obsku_checkpoint.postgres` sets it up.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from django.conf import ENVIRONMENT_VARIABLE, settings

from obsku_checkpoint.extras import require

if TYPE_CHECKING:
    from obsku_checkpoint.contrib.pydantic_ai.history import DjangoHistory

__all__ = ["DjangoHistory"]


def __getattr__(name: str) -> Any:
    if name != "DjangoHistory":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("pydantic-ai", "pydantic_ai")
    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        importlib.import_module("obsku_checkpoint.postgres")
    return importlib.import_module(f"{__name__}.history").DjangoHistory
