"""The five tables of the npm package, column by column; the order of fields is the order of columns."""

from django.db import migrations, models

import obsku_checkpoint.fields
import obsku_checkpoint.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Session",
            fields=[
                (
                    "id",
                    obsku_checkpoint.fields.IdField(
                        default=obsku_checkpoint.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("workspace_id", models.TextField(blank=True, null=True)),
                ("title", models.TextField(blank=True, null=True)),
                ("directory", models.TextField()),
                ("created_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
                ("updated_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
                ("metadata", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
            ],
            options={
                "db_table": "sessions",
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "indexes": [models.Index(fields=["workspace_id", "-updated_at"], name="idx_sessions_workspace")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                (
                    "session",
                    obsku_checkpoint.fields.SessionForeignKey(
                        db_on_delete="CASCADE", related_name="messages", to="obsku_checkpoint.session"
                    ),
                ),
                (
                    "role",
                    models.TextField(
                        choices=[("user", "User"), ("assistant", "Assistant"), ("system", "System"), ("tool", "Tool")]
                    ),
                ),
                ("content", models.TextField(blank=True, null=True)),
                ("tool_calls", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
                ("tool_results", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
                ("tokens_in", models.IntegerField(blank=True, null=True)),
                ("tokens_out", models.IntegerField(blank=True, null=True)),
                ("created_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
            ],
            options={
                "db_table": "messages",
                "verbose_name": "message",
                "verbose_name_plural": "messages",
                "indexes": [models.Index(fields=["session", "created_at"], name="idx_messages_session")],
            },
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                (
                    "id",
                    obsku_checkpoint.fields.IdField(
                        default=obsku_checkpoint.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                (
                    "session",
                    obsku_checkpoint.fields.SessionForeignKey(
                        db_on_delete="CASCADE", related_name="checkpoints", to="obsku_checkpoint.session"
                    ),
                ),
                ("namespace", models.TextField(blank=True, db_default="")),
                ("parent_id", models.TextField(blank=True, null=True)),
                ("version", models.IntegerField(db_default=1)),
                ("step", models.IntegerField()),
                ("node_id", models.TextField(blank=True, null=True)),
                ("node_results", obsku_checkpoint.fields.JsonPlusField()),
                ("pending_nodes", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
                ("cycle_state", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
                (
                    "source",
                    models.TextField(
                        choices=[("input", "Input"), ("loop", "Loop"), ("interrupt", "Interrupt"), ("fork", "Fork")]
                    ),
                ),
                ("created_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
            ],
            options={
                "db_table": "checkpoints",
                "verbose_name": "checkpoint",
                "verbose_name_plural": "checkpoints",
                "indexes": [models.Index(fields=["session", "namespace", "step"], name="idx_checkpoints_session")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("session", "namespace", "version"), name="checkpoints_session_id_namespace_version_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Entity",
            fields=[
                (
                    "id",
                    obsku_checkpoint.fields.IdField(
                        default=obsku_checkpoint.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                (
                    "session",
                    obsku_checkpoint.fields.SessionForeignKey(
                        db_on_delete="CASCADE", related_name="entities", to="obsku_checkpoint.session"
                    ),
                ),
                ("workspace_id", models.TextField(blank=True, null=True)),
                ("name", models.TextField()),
                ("type", models.TextField()),
                ("attributes", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
                ("relationships", obsku_checkpoint.fields.JsonPlusField(blank=True, null=True)),
                ("created_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
                ("updated_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
                ("embedding", obsku_checkpoint.fields.EmbeddingField(blank=True, null=True)),
            ],
            options={
                "db_table": "entities",
                "verbose_name": "entity",
                "verbose_name_plural": "entities",
                "indexes": [
                    models.Index(fields=["session"], name="idx_entities_session"),
                    models.Index(fields=["workspace_id"], name="idx_entities_workspace"),
                    models.Index(fields=["type"], name="idx_entities_type"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Fact",
            fields=[
                (
                    "id",
                    obsku_checkpoint.fields.IdField(
                        default=obsku_checkpoint.ids.new_id, primary_key=True, serialize=False
                    ),
                ),
                ("workspace_id", models.TextField(blank=True, null=True)),
                ("content", models.TextField()),
                ("confidence", obsku_checkpoint.fields.RealField(blank=True, db_default=1.0, null=True)),
                (
                    "source_session",
                    obsku_checkpoint.fields.SessionForeignKey(
                        blank=True,
                        db_on_delete="SET NULL",
                        null=True,
                        related_name="facts",
                        to="obsku_checkpoint.session",
                    ),
                ),
                ("created_at", obsku_checkpoint.fields.MillisecondsField(default=obsku_checkpoint.fields.now)),
                ("embedding", obsku_checkpoint.fields.EmbeddingField(blank=True, null=True)),
            ],
            options={
                "db_table": "facts",
                "verbose_name": "fact",
                "verbose_name_plural": "facts",
                "indexes": [models.Index(fields=["workspace_id"], name="idx_facts_workspace")],
            },
        ),
    ]
