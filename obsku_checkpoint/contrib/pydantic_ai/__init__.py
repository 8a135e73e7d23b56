"""pydantic-ai on Django's database: `DjangoHistory`, whose conversations are sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsku_checkpoint.contrib import offered

if TYPE_CHECKING:
    from obsku_checkpoint.contrib.pydantic_ai.history import DjangoHistory

__all__ = ["DjangoHistory"]


def __getattr__(name: str) -> Any:
    return offered(__name__, name, {"DjangoHistory": "history"}, extra="pydantic-ai", framework="pydantic_ai")
