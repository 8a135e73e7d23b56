"""System checks: what is wrong with LangGraph's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning, register

from obsku_checkpoint import conf
from obsku_checkpoint.checks import refusal
from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.extras import require


@register
def check_langgraph(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W001 LangGraph missing, E001 LANGGRAPH_GRAPHS, E002 LANGGRAPH_TYPES."""
    try:
        require("langgraph", "langgraph.checkpoint")
    except ConfigurationError as error:
        message = "obsku_checkpoint.contrib.langgraph is installed, and LangGraph is not."
        return [Warning(message, hint=str(error), id="obsku_langgraph.W001")]
    if not isinstance(conf.given(), dict):
        return []  # the app's own check says so
    current = conf.current()
    return _check_graphs(current.LANGGRAPH_GRAPHS) + _check_types(current.LANGGRAPH_TYPES)


def _check_graphs(graphs: object) -> list[CheckMessage]:
    name = f"{conf.NAME}['LANGGRAPH_GRAPHS']"
    if not isinstance(graphs, Mapping):
        return [Error(f"{name} must be a dict of directories and dotted paths.", id="obsku_langgraph.E001")]
    return [
        Error(f"{name}[{directory!r}] is not a compiled graph: {path!r}.", hint=reason, id="obsku_langgraph.E001")
        for directory, path in graphs.items()
        if (reason := refusal(path, "ainvoke"))
    ]


def _check_types(types: object) -> list[CheckMessage]:
    name = f"{conf.NAME}['LANGGRAPH_TYPES']"
    if not isinstance(types, list | tuple):
        return [Error(f"{name} must be a list of dotted paths.", id="obsku_langgraph.E002")]
    return [
        Error(f"{name} has {path!r}, which is not a class.", hint=reason, id="obsku_langgraph.E002")
        for path in types
        if (reason := refusal(path, "mro"))
    ]
