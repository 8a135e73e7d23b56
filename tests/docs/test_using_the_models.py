"""The page on the models: its Python runs in a project with an app of its own, and prints what its comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import files, in_django, in_order, promised, run, script, text_of
from tests.example.conftest import Project

PAGE = text_of("docs/using-the-models.md")
FILES, SCRIPT = files(PAGE), script(PAGE)


@pytest.fixture
def host(project: Project, tmp_path: Path) -> Project:
    """The example project with the page's app ``tickets``, whose tables are made."""
    for name, code in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    (tmp_path / "tickets" / "__init__.py").touch()
    (tmp_path / "host.py").write_text(
        'from example_project.settings import *\n\nINSTALLED_APPS += ["tickets"]\n'
        'DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"\n'
    )
    project.environment |= {"DJANGO_SETTINGS_MODULE": "host", "PYTHONPATH": str(tmp_path)}
    project.run("check")
    project.run("migrate", "--run-syncdb", "--verbosity", "0")
    return project


def test_the_blocks_run_in_a_project_that_refers_to_sessions(host: Project, tmp_path: Path) -> None:
    lines = run(in_django(SCRIPT), host.environment, tmp_path)
    assert sorted(FILES) == ["tickets/admin.py", "tickets/models.py"]
    assert len(promised(SCRIPT)) == 20
    assert in_order(promised(SCRIPT), lines), lines


def test_what_the_page_says_of_refusals_holds(host: Project, tmp_path: Path) -> None:
    code = """
import django

django.setup()
from django.core.exceptions import FieldError
from django.db.models import F, ProtectedError, Value
from django.db.models.functions import Coalesce, Now, TruncDay
from datetime import timedelta
from obsku_checkpoint.models import Session
from tickets.models import Contract

for refused in (Value("x"), F("created_at") + timedelta(1), Coalesce("created_at", Now()), TruncDay("created_at")):
    try:
        Session.objects.filter(updated_at__lt=refused).exists()
    except (FieldError, TypeError) as error:
        print(type(error).__name__)
one = Session.objects.create(directory=".")
Contract.objects.create(session=one)
try:
    one.delete()
except ProtectedError:
    print("protected", Session.objects.count())
"""
    assert run(code, host.environment, tmp_path) == [
        "FieldError",
        "FieldError",
        "FieldError",
        "TypeError",
        "protected 1",
    ]
