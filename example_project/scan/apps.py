from __future__ import annotations

from django.apps import AppConfig


class ScanConfig(AppConfig):
    name = "example_project.scan"
    verbose_name = "Security scan"
