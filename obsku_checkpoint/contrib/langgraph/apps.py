from __future__ import annotations

import importlib

from django.apps import AppConfig

from obsku_checkpoint import routers


class LangGraphConfig(AppConfig):
    name = "obsku_checkpoint.contrib.langgraph"
    label = "obsku_langgraph"
    verbose_name = "LangGraph"

    def ready(self) -> None:
        routers.app_labels.add(self.label)
        for module in ("checks", "forking"):  # they need the models; the former is registered, the latter adds itself
            importlib.import_module(f"{self.name}.{module}")
