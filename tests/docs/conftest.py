"""The example project, in which the documentation's code runs."""

from __future__ import annotations

from tests.example.conftest import migrated, project

__all__ = ["migrated", "project"]
