"""The size of a stored text in bytes, asked of the database without reading the text."""

from __future__ import annotations

from typing import Any

from django.db.models import Func, IntegerField


class BytesIn(Func):
    """``BytesIn("content")``: PostgreSQL knows it without unpacking the value."""

    function = "OCTET_LENGTH"
    arity = 1
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)
