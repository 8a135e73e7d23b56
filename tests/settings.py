"""Two databases in one run: ``default`` is SQLite, ``postgres`` is PostgreSQL."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from tests.postgres_server import postgres_url

SECRET_KEY = "tests"
USE_TZ = True
INSTALLED_APPS = [
    "obsku_checkpoint",
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "obsku_checkpoint.contrib.langgraph",
    "obsku_checkpoint.contrib.transcripts",
    "example_project.scan",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
ROOT_URLCONF = "tests.api.urls"
SPECTACULAR_SETTINGS = {"TITLE": "Tests", "VERSION": "1", "OAS_VERSION": "3.1.0"}
# Basic authentication first, so that nobody being signed in is 401.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}

# A file, not memory: threads and processes share it, and writers wait for each other.
_folder = Path(tempfile.mkdtemp(prefix="obsku-sqlite-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
SQLITE_FILE = _folder / "tests.sqlite3"
_server = conninfo_to_dict(postgres_url())

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": SQLITE_FILE,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            # As `fsync = off` of the PostgreSQL server: nobody pulls the plug of a test.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
        "TEST": {"NAME": str(SQLITE_FILE)},
    },
    "postgres": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _server.get("dbname", "postgres"),
        "USER": _server.get("user", ""),
        "PASSWORD": _server.get("password", ""),
        "HOST": _server.get("host", ""),
        "PORT": _server.get("port", ""),
    },
}
