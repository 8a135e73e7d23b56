"""The wheel, installed alone, away from this repository, in a project that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

SETTINGS = """
SECRET_KEY = "package"
USE_TZ = True
INSTALLED_APPS = ["obsku_checkpoint"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""

# One worker of pytest-xdist builds the wheel for all tests of this file.
pytestmark = pytest.mark.xdist_group("package")


def run(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
    run(*pip, folder, REPOSITORY, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel. On PYTHONPATH, it comes before what else is installed."""
    folder = tmp_path_factory.mktemp("installed")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target")
    run(*pip, folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.partition("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"obsku_checkpoint"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    files = (path for path in (REPOSITORY / "obsku_checkpoint").rglob("*") if path.is_file())
    wanted = {
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if path.suffix not in {".pyc", ".pyo"} and "__pycache__" not in path.parts
    }
    assert {"obsku_checkpoint/py.typed", "obsku_checkpoint/migrations/0001_initial.py"} <= wanted
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_it_imports_without_django(installed: Path, tmp_path: Path) -> None:
    code = "import obsku_checkpoint, sys; print(obsku_checkpoint.__file__, 'django' in sys.modules)"
    output = run("-c", code, cwd=tmp_path, PYTHONPATH=str(installed), DJANGO_SETTINGS_MODULE="")
    assert output.split() == [str(installed / "obsku_checkpoint" / "__init__.py"), "False"]


def test_an_empty_project_migrates_and_works(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(SETTINGS, encoding="utf-8")
    environment = {"PYTHONPATH": str(installed), "DJANGO_SETTINGS_MODULE": "settings"}
    run("-m", "django", "check", "--fail-level", "WARNING", cwd=tmp_path, **environment)
    run("-m", "django", "migrate", "--verbosity", "0", cwd=tmp_path, **environment)
    run("-m", "django", "makemigrations", "--check", "--dry-run", cwd=tmp_path, **environment)
    code = """
import django, obsku_checkpoint
django.setup()
from obsku_checkpoint.store import DjangoCheckpointStore
store = DjangoCheckpointStore()
session = store.create_session("/somewhere")
store.add_message(session.id, "user", "hello")
print(obsku_checkpoint.__file__, [message.content for message in store.get_messages(session.id)])
"""
    output = run("-c", code, cwd=tmp_path, **environment)
    assert output.strip() == f"{installed / 'obsku_checkpoint' / '__init__.py'} ['hello']"


#: hides packages from a program, as where they are not installed
WITHOUT = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {hidden} else find(name, package)
"""


def test_a_project_on_sqlite_needs_no_psycopg(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(SETTINGS, encoding="utf-8")
    code = (
        WITHOUT.format(hidden=["psycopg", "psycopg_pool", "psycopg2"])
        + """
import asyncio, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from obsku_checkpoint.store import DjangoCheckpointStore
store = DjangoCheckpointStore()
session = store.create_session("/")
print(asyncio.run(store.aadd_message(session.id, "user", "hello")).content, "psycopg" in sys.modules)
"""
    )
    environment = {"PYTHONPATH": str(installed), "DJANGO_SETTINGS_MODULE": "settings"}
    assert run("-c", code, cwd=tmp_path, **environment).split() == ["hello", "False"]


def test_the_client_needs_neither_django_nor_psycopg(installed: Path, tmp_path: Path) -> None:
    code = (
        WITHOUT.format(hidden=["django", "asgiref", "psycopg", "psycopg_pool", "rest_framework"])
        + """
from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.errors import ConfigurationError, StoreUnavailableError
try:
    with HTTPCheckpointStore("http://127.0.0.1:9/api/", retries=0) as store:
        store.get_session("s")
except (ConfigurationError, StoreUnavailableError) as error:
    print(type(error).__name__, [name for name in ("django", "psycopg") if name in sys.modules])
"""
    )
    environment = {"PYTHONPATH": str(installed), "DJANGO_SETTINGS_MODULE": ""}
    output = run("-c", code, cwd=tmp_path, **environment)
    assert output.partition(" ")[0] in ("StoreUnavailableError", "ConfigurationError")
    assert output.endswith(" []\n")


@pytest.mark.parametrize(
    ("module", "hidden", "remedy"),
    [
        ("obsku_checkpoint.postgres", "psycopg", "pip install 'django-obsku-checkpoint[postgres]'"),
        ("obsku_checkpoint.api.urls", "rest_framework", "pip install 'django-obsku-checkpoint[api]'"),
        ("obsku_checkpoint.api.urls", "django_filters", "pip install 'django-obsku-checkpoint[api]'"),
        ("obsku_checkpoint.api.urls", "drf_spectacular", "pip install 'django-obsku-checkpoint[api]'"),
        ("obsku_checkpoint.client", "httpx", "pip install 'django-obsku-checkpoint[client]'"),
        ("obsku_checkpoint.testing", "pytest", "pip install pytest"),
    ],
)
def test_what_misses_an_extra_says_which_one_to_install(
    installed: Path, tmp_path: Path, module: str, hidden: str, remedy: str
) -> None:
    (tmp_path / "settings.py").write_text(SETTINGS, encoding="utf-8")
    code = (
        WITHOUT.format(hidden=[hidden])
        + f"""
import django
django.setup()
from obsku_checkpoint.errors import ConfigurationError
try:
    import {module}
except ConfigurationError as error:
    print(error)
"""
    )
    environment = {"PYTHONPATH": str(installed), "DJANGO_SETTINGS_MODULE": "settings"}
    assert run("-c", code, cwd=tmp_path, **environment).strip() == f"{hidden} is not installed: {remedy}"
