"""LangGraph's checkpoints, their values and their writes, each of which hangs on a session."""

from django.db import migrations, models

from obsku_checkpoint.contrib.langgraph.models import BytewiseField
from obsku_checkpoint.fields import MillisecondsField, SessionForeignKey


def key(*columns: str) -> models.CompositePrimaryKey:
    return models.CompositePrimaryKey(*columns, blank=True, editable=False, primary_key=True, serialize=False)


def session() -> SessionForeignKey:
    return SessionForeignKey(db_on_delete="CASCADE", related_name="+", to="obsku_checkpoint.session")


class Migration(migrations.Migration):
    initial = True

    dependencies = [("obsku_checkpoint", "0002_lz4_compression")]

    operations = [
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
    ]
