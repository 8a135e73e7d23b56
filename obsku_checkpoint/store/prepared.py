"""Statements that PostgreSQL binds itself, and so parses and plans once a connection.

Django's own cursor writes the values into the text of each statement. Here psycopg's cursor takes its place under
Django's wrapper, which keeps `execute_wrapper`, the translation of errors and the check for a broken transaction.
"""

from __future__ import annotations

from typing import Any, cast

import psycopg
from django.db.backends.utils import CursorWrapper

#: executions on one connection after which a statement is prepared: psycopg's own default
PREPARE_THRESHOLD = 5


def prepared_cursor(connection: Any) -> CursorWrapper:
    """A cursor of the Django connection, whose statements are prepared where the project lets them be."""
    # The log shows each statement with its values, and a tool that watches replaces `cursor` on the connection (the
    # Debug Toolbar does): both get Django's own.
    if connection.queries_logged or "cursor" in vars(connection):
        return cast("CursorWrapper", connection.cursor())
    connection.ensure_connection()
    connection.validate_thread_sharing()
    driver = connection.connection
    if driver.prepare_threshold is None and _may_prepare(connection.settings_dict):
        driver.prepare_threshold = PREPARE_THRESHOLD
    return cast("CursorWrapper", connection.make_cursor(psycopg.Cursor(driver)))


def _may_prepare(database: dict[str, Any]) -> bool:
    """Not behind a pooler of transactions, which `DISABLE_SERVER_SIDE_CURSORS` is the sign of, nor where the project
    decides for all statements of the connection.
    """
    options = database["OPTIONS"]
    decided = "prepare_threshold" in options or options.get("server_side_binding") is True
    return not (decided or database.get("DISABLE_SERVER_SIDE_CURSORS"))
