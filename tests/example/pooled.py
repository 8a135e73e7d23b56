"""The example project with Django's own pool: thousands of requests take their connections from it."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403 - all of it
from example_project.settings import DATABASES

DATABASES["default"]["OPTIONS"]["pool"] = True
