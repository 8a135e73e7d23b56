from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from obsku_checkpoint import checks  # noqa: F401 - importing it registers the system checks


class ObskuCheckpointConfig(AppConfig):
    name = "obsku_checkpoint"
    verbose_name = gettext_lazy("Agent checkpoints")
