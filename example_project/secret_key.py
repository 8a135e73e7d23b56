"""Django's secret key, made once for each copy of the project and never committed."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key


def secret_key(path: Path) -> str:
    """The key in the file ``path``, which only its owner can read; it is made where there is none."""
    try:
        return path.read_text() if path.exists() else _make(path)
    except OSError as error:
        message = f"The secret key cannot be kept in {path} ({error.strerror}): set EXAMPLE_SECRET_KEY."
        raise ImproperlyConfigured(message) from error


def _make(path: Path) -> str:
    # Written aside and then linked: of processes that start together one wins, and none reads half a key.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret_key-") as file:
        file.write(get_random_secret_key())
        file.flush()
        with suppress(FileExistsError):  # the other process's key is as good
            os.link(file.name, path)
    return path.read_text()
