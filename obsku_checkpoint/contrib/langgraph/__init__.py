"""LangGraph on Django's database: `DjangoSaver`, whose threads are sessions, and `DjangoStore`, the memory.

The classes are imported when they are asked for: Django imports this package before there are models, and the app may
be installed where LangGraph is not. In a program without Django settings it is set up as `obsku_checkpoint.postgres`
does it.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from django.conf import ENVIRONMENT_VARIABLE, settings

from obsku_checkpoint.extras import require

if TYPE_CHECKING:
    from obsku_checkpoint.contrib.langgraph.memory import DjangoStore
    from obsku_checkpoint.contrib.langgraph.saver import DjangoSaver

__all__ = ["DjangoSaver", "DjangoStore"]

MODULES = {"DjangoSaver": "saver", "DjangoStore": "memory"}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require("langgraph", "langgraph.checkpoint")
    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        importlib.import_module("obsku_checkpoint.postgres")
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
