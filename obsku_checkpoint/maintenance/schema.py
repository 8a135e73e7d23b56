"""Whether the tables are those of the models: columns, types, indexes, constraints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections, models

from obsku_checkpoint.maintenance.findings import Finding
from obsku_checkpoint.maintenance.tables import tables


def schema_findings(using: str) -> Iterator[Finding]:
    connection = connections[using]
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        for model in _models(using):
            table = model._meta.db_table
            if table not in there:
                yield Finding("schema", "the table is missing: run `manage.py migrate`", table=table, unusable=True)
                continue
            yield from _columns(connection, cursor, model)
            yield from _indexes(connection, cursor, model)


def _models(using: str) -> list[type[models.Model]]:
    ours = tables(using)
    return [model for model in apps.get_models() if model._meta.db_table in ours]


def _columns(connection: Any, cursor: Any, model: type[models.Model]) -> Iterator[Finding]:
    table = model._meta.db_table
    types = _types(connection, cursor, table)
    fields = [field for field in model._meta.concrete_fields if field.column]
    wanted = {str(field.column): str(field.db_type(connection)) for field in fields}
    if missing := [name for name in wanted if name not in types]:
        what = "it is another application's table, or" if len(missing) > 1 else "it is a table of"
        sentence = f"lacks {', '.join(missing)}: {what} a version that was not migrated"
        yield Finding("schema", sentence, table=table, unusable=True)
    for name in types.keys() - wanted.keys():
        yield Finding("schema", "is a column that the model does not have", table=table, column=name)
    for name in wanted.keys() & types.keys():
        if types[name] != wanted[name].lower():
            sentence = f"has the type {types[name]}, not {wanted[name].lower()}"
            yield Finding("schema", sentence, table=table, column=name)


def _types(connection: Any, cursor: Any, table: str) -> dict[str, str]:
    if connection.vendor == "postgresql":
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            [connection.ops.quote_name(table)],
        )
    else:
        cursor.execute("SELECT name, lower(type) FROM pragma_table_info(%s)", [table])
    return dict(cursor.fetchall())


def _indexes(connection: Any, cursor: Any, model: type[models.Model]) -> Iterator[Finding]:
    meta = model._meta
    columns_of = {field.name: str(field.column) for field in meta.concrete_fields}
    there = connection.introspection.get_constraints(cursor, meta.db_table).values()
    indexed = [tuple(one["columns"]) for one in there if one["index"] or one["unique"] or one["primary_key"]]
    unique = [tuple(one["columns"]) for one in there if one["unique"] or one["primary_key"]]
    references = {one["columns"][0] for one in there if one["foreign_key"]}
    for index in meta.indexes:
        columns = tuple(columns_of[name] for name, _ in index.fields_orders)
        if index.fields and columns not in indexed:
            yield Finding("schema", f"lacks the index {index.name} ({', '.join(columns)})", table=meta.db_table)
    for constraint in meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            columns = tuple(columns_of[name] for name in constraint.fields)
            if columns not in unique:
                sentence = f"lacks the constraint {constraint.name} ({', '.join(columns)})"
                yield Finding("schema", sentence, table=meta.db_table)
    for field in meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and field.column not in references:
            yield Finding("schema", "lacks its foreign key", table=meta.db_table, column=str(field.column))
