"""Deletion in a project whose own models refer to ours: by Django's rules, or not at all, with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict

from obsku_checkpoint.store import DjangoCheckpointStore

MODELS = """
from django.db import models
from obsku_checkpoint.models import Session

class Ticket(models.Model):
    session = models.ForeignKey("obsku_checkpoint.Session", models.CASCADE, related_name="+")

class Invoice(models.Model):
    session = models.ForeignKey("obsku_checkpoint.Session", models.SET_NULL, null=True)

class Contract(models.Model):
    session = models.ForeignKey("obsku_checkpoint.Session", models.PROTECT)

class Folder(models.Model):
    sessions = models.ManyToManyField("obsku_checkpoint.Session")

class Soft(models.Model):
    session = models.ForeignKey("obsku_checkpoint.Session", models.CASCADE, db_constraint=False)

class Note(models.Model):
    checkpoint = models.ForeignKey("obsku_checkpoint.Checkpoint", models.SET_NULL, null=True)

class Bookmark(models.Model):
    message = models.ForeignKey("obsku_checkpoint.Message", models.CASCADE)

class Pinned(models.Model):
    checkpoint = models.ForeignKey("obsku_checkpoint.Checkpoint", models.RESTRICT)

class Unruled(models.Model):
    session = models.ForeignKey("obsku_checkpoint.Session", models.DO_NOTHING)

class Special(Session):
    colour = models.TextField()
"""

SETTINGS = """
SECRET_KEY = "host"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages",
    "django.contrib.sessions", "rest_framework", "obsku_checkpoint", "crm",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
"""

URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("api/", include("obsku_checkpoint.api.urls"))]
"""

PRELUDE = """
import asyncio, json, django
django.setup()
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from crm.models import *
from obsku_checkpoint import signals
from obsku_checkpoint.errors import SessionInUseError
from obsku_checkpoint.models import Checkpoint, Message
from obsku_checkpoint.store import DjangoCheckpointStore
store = DjangoCheckpointStore()
deleted = []
signals.session_deleted.connect(lambda session_id, using, **_: deleted.append((session_id, using)), weak=False)

def make(id):
    store.create_session("/", id=id)
    store.add_message(id, "user", "hello")
    store.save_checkpoint(id, step=0, node_results={})
    return Session.objects.get(pk=id)

def by_store(id):
    return store.delete_session(id)

def by_many(id):
    return store.delete_sessions([id, "nobody", "\\0"]) == [id]

def by_twin(id):
    return asyncio.run(store.adelete_session(id))

browser = Client()
browser.force_login(User.objects.get_or_create(username="root", is_superuser=True, is_staff=True)[0])
"""


@pytest.fixture(params=["sqlite", "postgres"])
def in_project(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_database: Callable[[], str]
) -> Callable[[str], Any]:
    """Runs Python in the project, on an empty database, and returns what it prints last, as JSON."""
    database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    if request.param == "postgres":
        parts: dict[str, Any] = dict(conninfo_to_dict(postgres_database()))
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts["user"]}
        database |= {"HOST": parts["host"], "PORT": parts.get("port", ""), "PASSWORD": parts.get("password", "")}
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm" / "__init__.py").touch()
    (tmp_path / "crm" / "models.py").write_text(MODELS)
    (tmp_path / "urls.py").write_text(URLS)
    (tmp_path / "settings.py").write_text(f"{SETTINGS}\nDATABASES = {{'default': {database!r}}}\n")
    root = Path(__file__).parent.parent
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{tmp_path}:{root}"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "django", "makemigrations", "crm", "--verbosity", "0")
    run("-m", "django", "migrate", "--verbosity", "0")
    return lambda code: json.loads(run("-c", PRELUDE + code).splitlines()[-1])


def test_rows_of_the_project_are_deleted_changed_or_protect_the_session_as_its_models_say(in_project: Any) -> None:
    found = in_project("""
for delete in (by_store, by_many, by_twin):
    session = make(delete.__name__)
    Ticket.objects.create(session=session)
    Soft.objects.create(session=session)
    Invoice.objects.create(session=session)
    Folder.objects.create().sessions.add(session)
    Note.objects.create(checkpoint=session.checkpoints.get())
    Bookmark.objects.create(message=session.messages.get())
    assert delete(session.pk) is True
    assert delete(session.pk) is False
child = make("child")
Special(session_ptr=child, colour="red").save_base(raw=True)
assert by_store("child")
models = (Session, Message, Checkpoint, Ticket, Soft, Bookmark, Special, Invoice, Folder, Note)
print(json.dumps([
    [model.objects.count() for model in models], Folder.sessions.through.objects.count(),
    list(Invoice.objects.values_list("session", flat=True)), list(Note.objects.values_list("checkpoint", flat=True)),
    deleted,
]))
""")
    counts, folders, invoices, notes, deleted = found
    assert counts == [0, 0, 0, 0, 0, 0, 0, 3, 3, 3]
    assert (folders, invoices, notes) == (0, [None] * 3, [None] * 3)
    assert deleted == [[id, "default"] for id in ("by_store", "by_many", "by_twin", "child")]


def test_what_stands_in_the_way_is_named_and_nothing_is_deleted(in_project: Any) -> None:
    found = in_project("""
told = []
for delete in (by_store, by_many, by_twin):
    for model, key in ((Contract, "session"), (Pinned, "checkpoint"), (Unruled, "session")):
        session = make(f"{delete.__name__} {model.__name__}")
        model.objects.create(**{key: session if key == "session" else session.checkpoints.get()})
        Ticket.objects.create(session=session)
        try:
            delete(session.pk)
        except SessionInUseError as error:
            told.append([error.id, error.by])
print(json.dumps([told, Session.objects.count(), Message.objects.count(), Ticket.objects.count(), deleted]))
""")
    told, *rest = found
    names = ("Contract", "Pinned", "Unruled")
    assert rest == [9, 9, 9, []]
    ids = [f"{way} {name}" for way in ("by_store", "by_many", "by_twin") for name in names]
    ids[5] = ""  # of several, the database does not say which
    assert [id for id, _ in told] == ids
    for way in (0, 3, 6):
        assert [by for _, by in told[way : way + 2]] == ["crm.Contract.session", "crm.Pinned.checkpoint"]
        assert told[way + 2][1] == "crm.Unruled.session" or told[way + 2][1].startswith("crm_unruled_session_id_")


def test_api_and_admin_say_what_stands_in_the_way(in_project: Any) -> None:
    found = in_project("""
protected, free, unruled = make("protected"), make("free"), make("unruled")
Contract.objects.create(session=protected)
Unruled.objects.create(session=unruled)
Ticket.objects.create(session=free)
answers = [browser.delete(f"/api/sessions/{id}/") for id in ("protected", "free")]
page = browser.get("/admin/obsku_checkpoint/session/protected/delete/")
posted = browser.post("/admin/obsku_checkpoint/session/protected/delete/", {"post": "yes"})
late = browser.post("/admin/obsku_checkpoint/session/unruled/delete/", {"post": "yes"}, follow=True)
bulk = {"action": "delete_selected", "_selected_action": ["unruled", make("other").pk], "post": "yes"}
several = browser.post("/admin/obsku_checkpoint/session/", bulk, follow=True)
print(json.dumps([
    [answer.status_code for answer in answers], answers[0].json(),
    [page.status_code, "Contract" in page.content.decode(), "protected" in page.content.decode()],
    [posted.status_code, late.status_code, "cannot be deleted" in late.content.decode()],
    [several.status_code, "cannot be deleted" in several.content.decode()],
    sorted(Session.objects.values_list("pk", flat=True)), Ticket.objects.count(),
]))
""")
    statuses, body, page, admin, bulk, left, tickets = found
    assert statuses == [409, 204]
    assert body == {
        "detail": "Session protected cannot be deleted: crm.Contract.session refers to it",
        "code": "session_in_use",
        "id": "protected",
        "by": "crm.Contract.session",
    }
    assert page == [200, True, True]
    assert admin == [403, 200, True] or admin == [200, 200, True]
    assert bulk == [200, True]
    assert left == ["other", "protected", "unruled"]
    assert tickets == 0


def test_any_number_of_sessions(store: DjangoCheckpointStore) -> None:
    """Databases have a limit on the parameters of a statement."""
    first, last = store.create_session("/", id=f"0 {uuid4()}").id, store.create_session("/", id=f"z {uuid4()}").id
    nobody = [f"nobody {number}" for number in range(70_000)]
    assert {*store.delete_sessions([first, *nobody, last, first])} == {first, last}
    assert store.get_session(first) is store.get_session(last) is None
