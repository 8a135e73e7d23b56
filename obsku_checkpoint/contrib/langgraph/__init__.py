"""LangGraph on Django's database: `DjangoSaver`, whose threads are sessions, and `DjangoStore`, the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsku_checkpoint.contrib import offered

if TYPE_CHECKING:
    from obsku_checkpoint.contrib.langgraph.memory import DjangoStore
    from obsku_checkpoint.contrib.langgraph.saver import DjangoSaver

__all__ = ["DjangoSaver", "DjangoStore"]

MODULES = {"DjangoSaver": "saver", "DjangoStore": "memory"}


def __getattr__(name: str) -> Any:
    return offered(__name__, name, MODULES, extra="langgraph", framework="langgraph.checkpoint")
