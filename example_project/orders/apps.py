from __future__ import annotations

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "example_project.orders"
    verbose_name = "Orders, an agent on LangGraph"
