"""Whether the server of the tests has pgvector; that of the wheel has."""

from __future__ import annotations

from typing import Any

import pytest


def skip_without_pgvector(connection: Any) -> None:
    """Skip the test where no version from 0.8 on can be had. ``connection`` is the driver's, or a cursor."""
    versions = connection.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
    found = (versions or connection).fetchone()
    if found is None or tuple(map(int, found[0].split(".")[:2])) < (0, 8):
        pytest.skip("this PostgreSQL has no pgvector 0.8")
