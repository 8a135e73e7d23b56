"""The vectors of LangGraph's long-term memory, each of which hangs on an item."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from obsku_checkpoint.contrib.langgraph.models import BytewiseField
from obsku_checkpoint.fields import EmbeddingField, MillisecondsField, SessionForeignKey

LZ4 = """
DO $$ BEGIN
    IF 'lz4' = ANY ((SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression')::text[]) THEN
        ALTER TABLE langgraph_vectors ALTER COLUMN embedding SET COMPRESSION lz4;
    END IF;
END $$
"""


def compress_with_lz4(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """As the other vectors are."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(LZ4, params=None)


class Migration(migrations.Migration):
    dependencies = [("obsku_langgraph", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Vector",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("item", SessionForeignKey(db_on_delete="CASCADE", related_name="+", to="obsku_langgraph.memory")),
                ("workspace_id", models.TextField()),
                ("prefix", BytewiseField()),
                ("path", BytewiseField()),
                ("created_at", MillisecondsField()),
                ("embedding", EmbeddingField()),
            ],
            options={
                "db_table": "langgraph_vectors",
                "constraints": [
                    models.UniqueConstraint(fields=("item", "path"), name="langgraph_vectors_item_path_key")
                ],
                "indexes": [models.Index(fields=["workspace_id", "prefix"], name="idx_langgraph_vectors_place")],
            },
        ),
        migrations.RunPython(compress_with_lz4, migrations.RunPython.noop),
    ]
