"""A small project of somebody who uses the app, on the database in ``POSTGRES_URL``."""

from __future__ import annotations

import json
import os
from typing import Any

from psycopg.conninfo import conninfo_to_dict

SECRET_KEY = "tests"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["obsku_checkpoint"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "tests.hosts.views"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"]},
}

_url = conninfo_to_dict(os.environ["POSTGRES_URL"])
_keys = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{key: _url.pop(name, "") for name, key in _keys.items()},
        "OPTIONS": _url,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    },
}

globals().update(json.loads(os.environ.get("OVERRIDES", "{}")))
