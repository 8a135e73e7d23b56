"""The example project with the theme django-unfold."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403 - all of it
from example_project.settings import INSTALLED_APPS

INSTALLED_APPS = ["obsku_checkpoint", "unfold", *(name for name in INSTALLED_APPS if name != "obsku_checkpoint")]
