"""LangGraph's checkpoints, their values and their writes, each of which hangs on a session."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from obsku_checkpoint.contrib.langgraph.models import BytewiseField
from obsku_checkpoint.fields import JsonPlusField, MillisecondsField, SessionForeignKey
from obsku_checkpoint.table_locks import lock_shared_tables


def key(*columns: str) -> models.CompositePrimaryKey:
    return models.CompositePrimaryKey(*columns, blank=True, editable=False, primary_key=True, serialize=False)


def session() -> SessionForeignKey:
    return SessionForeignKey(db_on_delete="CASCADE", related_name="+", to="obsku_checkpoint.session")


#: no old rows are here, so there is nothing that a change of the compression would wait for
LZ4 = """
DO $$ BEGIN
    IF 'lz4' = ANY ((SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression')::text[]) THEN
        ALTER TABLE langgraph_checkpoints ALTER COLUMN payload SET COMPRESSION lz4;
        ALTER TABLE langgraph_blobs ALTER COLUMN data SET COMPRESSION lz4;
        ALTER TABLE langgraph_items ALTER COLUMN data SET COMPRESSION lz4;
        ALTER TABLE langgraph_writes ALTER COLUMN data SET COMPRESSION lz4;
        ALTER TABLE langgraph_store ALTER COLUMN value SET COMPRESSION lz4;
    END IF;
END $$
"""


def compress_with_lz4(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """It costs a put less than PostgreSQL's default, where the server has it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(LZ4, params=None)


class Migration(migrations.Migration):
    initial = True

    dependencies = [("obsku_checkpoint", "0002_lz4_compression")]

    operations = [
        migrations.RunPython(lock_shared_tables, migrations.RunPython.noop),
        migrations.CreateModel(
            name="State",
            fields=[
                ("pk", key("session_id", "namespace", "checkpoint_id")),
                ("session", session()),
                ("namespace", BytewiseField()),
                ("checkpoint_id", BytewiseField()),
                ("parent_id", BytewiseField(null=True)),
                (
                    "record",
                    SessionForeignKey(
                        db_on_delete="SET NULL", null=True, related_name="+", to="obsku_checkpoint.checkpoint"
                    ),
                ),
                ("run_id", models.TextField(null=True)),
                ("type", models.TextField()),
                ("payload", models.BinaryField()),
                ("channels", models.JSONField()),
                ("metadata", models.JSONField()),
                ("created_at", MillisecondsField()),
            ],
            options={
                "db_table": "langgraph_checkpoints",
                "indexes": [
                    models.Index(
                        condition=models.Q(("run_id__isnull", False)), fields=["run_id"], name="idx_langgraph_run"
                    ),
                    models.Index(
                        condition=models.Q(("record__isnull", False)), fields=["record"], name="idx_langgraph_record"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Blob",
            fields=[
                ("pk", key("session_id", "namespace", "channel", "version")),
                ("session", session()),
                ("namespace", BytewiseField()),
                ("channel", BytewiseField()),
                ("version", BytewiseField()),
                ("type", models.TextField()),
                ("data", models.BinaryField()),
            ],
            options={"db_table": "langgraph_blobs"},
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                ("pk", key("session_id", "hash")),
                ("session", session()),
                ("hash", models.BinaryField()),
                ("type", models.TextField()),
                ("data", models.BinaryField()),
            ],
            options={"db_table": "langgraph_items"},
        ),
        migrations.CreateModel(
            name="Write",
            fields=[
                ("pk", key("session_id", "namespace", "checkpoint_id", "task_id", "idx")),
                ("session", session()),
                ("namespace", BytewiseField()),
                ("checkpoint_id", BytewiseField()),
                ("task_id", BytewiseField()),
                ("idx", models.IntegerField()),
                ("channel", models.TextField()),
                ("type", models.TextField()),
                ("data", models.BinaryField()),
                ("task_path", BytewiseField(db_default="")),
            ],
            options={
                "db_table": "langgraph_writes",
                "indexes": [
                    models.Index(
                        condition=models.Q(("channel", "__interrupt__")),
                        fields=["session"],
                        name="idx_langgraph_interrupts",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Transcribed",
            fields=[
                ("pk", key("session_id", "message_id")),
                ("session", session()),
                ("message_id", BytewiseField()),
                (
                    "row",
                    SessionForeignKey(db_on_delete="CASCADE", related_name="+", to="obsku_checkpoint.message"),
                ),
            ],
            options={
                "db_table": "langgraph_messages",
                "indexes": [models.Index(fields=["row"], name="idx_langgraph_row")],
            },
        ),
        migrations.CreateModel(
            name="Thread",
            fields=[
                (
                    "session",
                    SessionForeignKey(
                        db_on_delete="CASCADE",
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="obsku_checkpoint.session",
                    ),
                ),
                ("epoch", models.BigIntegerField()),
                ("writer", models.BigIntegerField(db_default=0)),
                ("writer_until", MillisecondsField(null=True)),
            ],
            options={"db_table": "langgraph_threads"},
        ),
        migrations.CreateModel(
            name="Memory",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("workspace_id", models.TextField()),
                ("prefix", BytewiseField()),
                ("key", BytewiseField()),
                ("value", JsonPlusField()),
                ("created_at", MillisecondsField()),
                ("updated_at", MillisecondsField()),
                ("ttl", models.BigIntegerField(null=True)),
                ("expires_at", MillisecondsField(null=True)),
            ],
            options={
                "db_table": "langgraph_store",
                "indexes": [
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False)),
                        fields=["expires_at"],
                        name="idx_langgraph_expires",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("workspace_id", "prefix", "key"), name="langgraph_store_place_key")
                ],
            },
        ),
        migrations.RunPython(compress_with_lz4, migrations.RunPython.noop),
    ]
