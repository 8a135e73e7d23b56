"""The five tables, shared with the npm package ``@obsku/checkpoint-postgres``: no column more, none less."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from obsku_checkpoint.fields import (
    EmbeddingField,
    IdField,
    JsonPlusField,
    MillisecondsField,
    RealField,
    SessionForeignKey,
    now,
)
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.printable import plain
from obsku_checkpoint.querysets import CheckpointManager, EntityManager, FactManager, MessageManager, SessionManager


class Role(models.TextChoices):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class Source(models.TextChoices):
    INPUT = "input"
    LOOP = "loop"
    INTERRUPT = "interrupt"
    FORK = "fork"


class Session(models.Model):
    id = IdField(primary_key=True, default=new_id)
    workspace_id = models.TextField(null=True, blank=True)
    title = models.TextField(null=True, blank=True)
    directory = models.TextField()
    created_at = MillisecondsField(default=now)
    updated_at = MillisecondsField(default=now)
    metadata = JsonPlusField(null=True, blank=True)

    objects = SessionManager()

    class Meta:
        db_table = "sessions"
        verbose_name = gettext_lazy("session")
        verbose_name_plural = gettext_lazy("sessions")
        indexes = [models.Index(fields=["workspace_id", "-updated_at"], name="idx_sessions_workspace")]

    def __str__(self) -> str:
        return plain(self.title or self.id)


class Message(models.Model):
    id = models.AutoField(primary_key=True)
    session = SessionForeignKey(Session, related_name="messages")
    role = models.TextField(choices=Role)
    content = models.TextField(null=True, blank=True)
    tool_calls = JsonPlusField(null=True, blank=True)
    tool_results = JsonPlusField(null=True, blank=True)
    tokens_in = models.IntegerField(null=True, blank=True)
    tokens_out = models.IntegerField(null=True, blank=True)
    created_at = MillisecondsField(default=now)

    objects = MessageManager()

    class Meta:
        db_table = "messages"
        verbose_name = gettext_lazy("message")
        verbose_name_plural = gettext_lazy("messages")
        indexes = [models.Index(fields=["session", "created_at"], name="idx_messages_session")]

    def __str__(self) -> str:
        return f"{self.role} message {self.pk}"


class Checkpoint(models.Model):
    id = IdField(primary_key=True, default=new_id)
    session = SessionForeignKey(Session, related_name="checkpoints")
    namespace = models.TextField(db_default="", blank=True)
    parent_id = models.TextField(null=True, blank=True)
    version = models.IntegerField(db_default=1)
    step = models.IntegerField()
    node_id = models.TextField(null=True, blank=True)
    node_results = JsonPlusField()
    pending_nodes = JsonPlusField(null=True, blank=True)
    cycle_state = JsonPlusField(null=True, blank=True)
    source = models.TextField(choices=Source)
    created_at = MillisecondsField(default=now)

    objects = CheckpointManager()

    class Meta:
        db_table = "checkpoints"
        verbose_name = gettext_lazy("checkpoint")
        verbose_name_plural = gettext_lazy("checkpoints")
        indexes = [models.Index(fields=["session", "namespace", "step"], name="idx_checkpoints_session")]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "namespace", "version"], name="checkpoints_session_id_namespace_version_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.namespace or 'main'} v{self.version} (step {self.step})"


class Entity(models.Model):
    id = IdField(primary_key=True, default=new_id)
    session = SessionForeignKey(Session, related_name="entities")
    workspace_id = models.TextField(null=True, blank=True)
    name = models.TextField()
    type = models.TextField()
    attributes = JsonPlusField(null=True, blank=True)
    relationships = JsonPlusField(null=True, blank=True)
    created_at = MillisecondsField(default=now)
    updated_at = MillisecondsField(default=now)
    embedding = EmbeddingField(null=True, blank=True)

    objects = EntityManager()

    class Meta:
        db_table = "entities"
        verbose_name = gettext_lazy("entity")
        verbose_name_plural = gettext_lazy("entities")
        indexes = [
            models.Index(fields=["session"], name="idx_entities_session"),
            models.Index(fields=["workspace_id"], name="idx_entities_workspace"),
            models.Index(fields=["type"], name="idx_entities_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class Fact(models.Model):
    id = IdField(primary_key=True, default=new_id)
    workspace_id = models.TextField(null=True, blank=True)
    content = models.TextField()
    confidence = RealField(null=True, blank=True, db_default=1.0)
    source_session = SessionForeignKey(Session, db_on_delete="SET NULL", null=True, blank=True, related_name="facts")
    created_at = MillisecondsField(default=now)
    embedding = EmbeddingField(null=True, blank=True)

    objects = FactManager()

    class Meta:
        db_table = "facts"
        verbose_name = gettext_lazy("fact")
        verbose_name_plural = gettext_lazy("facts")
        indexes = [models.Index(fields=["workspace_id"], name="idx_facts_workspace")]

    def __str__(self) -> str:
        return f"Fact {self.pk}"
