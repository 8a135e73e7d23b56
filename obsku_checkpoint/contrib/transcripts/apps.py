from __future__ import annotations

import importlib

from django.apps import AppConfig

from obsku_checkpoint import routers


class TranscriptsConfig(AppConfig):
    name = "obsku_checkpoint.contrib.transcripts"
    label = "obsku_transcripts"
    verbose_name = "Transcripts"

    def ready(self) -> None:
        routers.app_labels.add(self.label)
        importlib.import_module(f"{self.name}.forks")  # which needs the models
