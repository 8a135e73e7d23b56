"""Large text is compressed with lz4 on a PostgreSQL that was built with it: a save costs less than with pglz.

No row is rewritten: what is stored keeps its compression, new values take the new one. A compression that somebody
chose for a column stays, and so does a table of another owner, such as one that was adopted: this role may not alter
it, and the store does not need it. On SQLite, and on a server without lz4, nothing happens.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

COLUMNS = {
    "sessions": ["metadata"],
    "messages": ["content", "tool_calls", "tool_results"],
    "checkpoints": ["node_results", "pending_nodes", "cycle_state"],
    "entities": ["attributes", "relationships", "embedding"],
    "facts": ["content", "embedding"],
}

#: the columns of one table that this role may alter and that have the given compression ('' is the server's default)
ALTERABLE = """
    SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
    AND a.attname = ANY(%s) AND a.attcompression = %s
    AND 'lz4' = ANY((SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression')::text[])
    ORDER BY a.attnum
"""


def compress_with_lz4(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _change(schema_editor, before="", after="lz4")


def compress_by_default(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _change(schema_editor, before="l", after="default")


def _change(schema_editor: BaseDatabaseSchemaEditor, before: str, after: str) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, columns in COLUMNS.items():
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(ALTERABLE, [schema_editor.quote_name(table), columns, before])
            found = [schema_editor.quote_name(name) for (name,) in cursor.fetchall()]
        if found:
            actions = ", ".join(f"ALTER COLUMN {column} SET COMPRESSION {after}" for column in found)
            schema_editor.execute(f"ALTER TABLE {schema_editor.quote_name(table)} {actions}")


class Migration(migrations.Migration):
    # Each table is locked by itself, for a moment: agents that write meanwhile wait, and no two locks can cross theirs.
    atomic = False

    dependencies = [("obsku_checkpoint", "0001_initial")]

    operations = [migrations.RunPython(compress_with_lz4, compress_by_default)]
