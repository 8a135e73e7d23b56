"""The databases of the contract: set up once, never emptied between tests (the suite tolerates other rows)."""

from __future__ import annotations

import pytest


@pytest.fixture
def _django_db_helper(committed: None) -> None:
    """Takes the place of pytest-django's, which empties every table of every database after each test.

    The mark ``django_db`` then only says which databases are to be set up.
    """
