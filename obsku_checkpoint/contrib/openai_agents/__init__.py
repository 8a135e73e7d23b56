"""OpenAI's agents on Django's database: `DjangoSession`, whose conversations are sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsku_checkpoint.contrib import offered

if TYPE_CHECKING:
    from obsku_checkpoint.contrib.openai_agents.session import DjangoSession

__all__ = ["DjangoSession"]


def __getattr__(name: str) -> Any:
    return offered(__name__, name, {"DjangoSession": "session"}, extra="openai-agents", framework="agents")
