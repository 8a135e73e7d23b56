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
        importlib.import_module(f"{self.name}.forking")  # it needs the models, and adds itself to the store
