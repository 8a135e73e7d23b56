"""Settings of the example project: SQLite out of the box, PostgreSQL where ``POSTGRES_URL`` is set.

Environment variables, none of them needed:

* ``POSTGRES_URL``: a PostgreSQL connection string, as ``postgresql://user:password@host/database``
* ``EXAMPLE_DATABASE``: the path of the SQLite file; by default ``db.sqlite3`` beside this file
* ``EXAMPLE_SECRET_KEY``: Django's secret key; by default one is made for this copy of the project
* ``EXAMPLE_ALLOWED_HOSTS``: host names, separated by commas; by default those of this machine
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from example_project.secret_key import secret_key

HERE = Path(__file__).resolve().parent
BASE_DIR = HERE.parent

# An example to be run on one's own machine. Not for its agents: Django then keeps a log of all their queries.
DEBUG = "runserver" in sys.argv
SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY") or secret_key(HERE / ".secret_key")
ALLOWED_HOSTS = (os.environ.get("EXAMPLE_ALLOWED_HOSTS") or ".localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = [
    "obsku_checkpoint",  # before the admin, whose first page then says how many sessions wait
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "obsku_checkpoint.contrib.transcripts",
    "example_project.scan",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
STATIC_URL = "static/"
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Agent checkpoints",
    "DESCRIPTION": "Sessions, messages and checkpoints of AI agents.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # Swagger UI from this server, not from somebody else's.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"


def sqlite(path: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            # A transaction that begins as a reader cannot wait for the lock when it turns into a writer.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # WAL: readers, such as the admin, do not hold up the agent that writes, nor it them.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def postgres(url: str) -> dict[str, Any]:
    # psycopg need not be installed where SQLite is used.
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    options: dict[str, Any] = dict(conninfo_to_dict(url))
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    connection = {setting: options.pop(name, "") for setting, name in names.items()}
    return {"ENGINE": "django.db.backends.postgresql", **connection, "OPTIONS": options}


OBSKU_CHECKPOINT: dict[str, Any] = {"RESUME": "example_project.showcase.go_on"}

# The agent on LangGraph needs `pip install langgraph`, and the rest of the example does not.
if find_spec("langgraph"):
    INSTALLED_APPS += ["obsku_checkpoint.contrib.langgraph", "example_project.orders"]
    OBSKU_CHECKPOINT["LANGGRAPH_GRAPHS"] = {"orders": "example_project.orders.agent.graph"}

POSTGRES_URL = os.environ.get("POSTGRES_URL")
DATABASES = {
    "default": (
        postgres(POSTGRES_URL)
        if POSTGRES_URL
        else sqlite(os.environ.get("EXAMPLE_DATABASE") or str(HERE / "db.sqlite3"))
    )
}
