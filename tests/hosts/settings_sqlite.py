"""The same project on the embedded database."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.hosts.settings import *  # noqa: F403 - settings are a module's names

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(tempfile.gettempdir(), f"obsku-{os.getpid()}.sqlite3"),
    }
}
