"""Models over the same three tables, for the plain ORM. They are imported once Django is set up."""

from __future__ import annotations

from django.db import models, transaction
from django.db.models import Max

__all__ = ["Checkpoint", "Max", "Message", "Session", "transaction"]


class Session(models.Model):
    id = models.TextField(primary_key=True)
    workspace_id = models.TextField(null=True)
    title = models.TextField(null=True)
    directory = models.TextField()
    created_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    metadata = models.TextField(null=True)

    class Meta:
        app_label = "plain_orm"
        managed = False
        db_table = "sessions"

    def __str__(self) -> str:
        return self.title or self.id


class Message(models.Model):
    id = models.AutoField(primary_key=True)
    session = models.ForeignKey(Session, models.CASCADE)
    role = models.TextField()
    content = models.TextField(null=True)
    tool_calls = models.TextField(null=True)
    tool_results = models.TextField(null=True)
    tokens_in = models.IntegerField(null=True)
    tokens_out = models.IntegerField(null=True)
    created_at = models.BigIntegerField()

    class Meta:
        app_label = "plain_orm"
        managed = False
        db_table = "messages"

    def __str__(self) -> str:
        return f"{self.role}: {self.content}"


class Checkpoint(models.Model):
    id = models.TextField(primary_key=True)
    session = models.ForeignKey(Session, models.CASCADE)
    namespace = models.TextField()
    parent_id = models.TextField(null=True)
    version = models.IntegerField()
    step = models.IntegerField()
    node_id = models.TextField(null=True)
    node_results = models.TextField()
    pending_nodes = models.TextField(null=True)
    cycle_state = models.TextField(null=True)
    source = models.TextField()
    created_at = models.BigIntegerField()

    class Meta:
        app_label = "plain_orm"
        managed = False
        db_table = "checkpoints"

    def __str__(self) -> str:
        return self.id
