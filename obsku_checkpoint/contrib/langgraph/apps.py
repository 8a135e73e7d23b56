from __future__ import annotations

from django.apps import AppConfig

from obsku_checkpoint import routers


class LangGraphConfig(AppConfig):
    name = "obsku_checkpoint.contrib.langgraph"
    label = "obsku_langgraph"
    verbose_name = "LangGraph"

    def ready(self) -> None:
        routers.app_labels.add(self.label)
