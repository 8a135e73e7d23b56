"""The example project on SQLite in a file of its own, which threads share."""

import atexit
import shutil
import tempfile

from example_project.settings import *  # noqa: F403 - all of them
from example_project.settings import sqlite

_folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
DATABASES = {"default": {**sqlite(f"{_folder}/db.sqlite3"), "TEST": {"NAME": f"{_folder}/tests.sqlite3"}}}
