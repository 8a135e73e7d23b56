"""What LangGraph keeps of a thread, which is a session. The database deletes it with the session, whoever does so.

The writes and the blobs of a checkpoint refer to it by its id alone: LangGraph stores the writes of a task before,
after or beside the checkpoint that they belong to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from obsku_checkpoint.fields import EmbeddingField, JsonPlusField, MillisecondsField, SessionForeignKey
from obsku_checkpoint.models import Checkpoint, Message, Session

if TYPE_CHECKING:
    # Generic for the type checker only: Django's classes take no type arguments at run time.
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class BytewiseField(TextField):
    """Text that is compared byte by byte, as on SQLite: LangGraph's newest checkpoint has the greatest id."""

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        return {**parameters, "collation": "C"} if connection.vendor == "postgresql" else parameters

    def db_type(self, connection: Any) -> str:
        return "TEXT"  # in capitals, so that Django adds no second index for searches by prefix


class OfThread(models.Model):
    session = SessionForeignKey(Session, related_name="+")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"


class State(OfThread):
    """One checkpoint of a graph, but for the values of its channels."""

    pk = models.CompositePrimaryKey("session_id", "namespace", "checkpoint_id")
    namespace = BytewiseField()
    checkpoint_id = BytewiseField()
    parent_id = BytewiseField(null=True)
    #: what stands in ``checkpoints`` for people and other programs
    record = SessionForeignKey(Checkpoint, db_on_delete="SET NULL", null=True, related_name="+")
    run_id = models.TextField(null=True)
    #: serialized: the checkpoint, with the values that are too small for a blob
    type = models.TextField()
    payload = models.BinaryField()
    #: JSON: channel -> version of its blob, null where the value stands in the payload; of channels that hold a value
    channels = models.JSONField()
    #: what can be filtered by
    metadata = models.JSONField()
    created_at = MillisecondsField()

    class Meta:
        db_table = "langgraph_checkpoints"
        indexes = [
            models.Index(fields=["run_id"], name="idx_langgraph_run", condition=models.Q(run_id__isnull=False)),
            models.Index(fields=["record"], name="idx_langgraph_record", condition=models.Q(record__isnull=False)),
        ]


class Blob(OfThread):
    """The value of a channel, once for each of its versions."""

    pk = models.CompositePrimaryKey("session_id", "namespace", "channel", "version")
    namespace = BytewiseField()
    channel = BytewiseField()
    version = BytewiseField()
    #: the serializer's, or one of `obsku_checkpoint.contrib.langgraph.encoding`
    type = models.TextField()
    data = models.BinaryField()

    class Meta:
        db_table = "langgraph_blobs"


class Item(OfThread):
    """An element of channels that are lists, once a thread however many versions it is part of."""

    pk = models.CompositePrimaryKey("session_id", "hash")
    hash = models.BinaryField()
    type = models.TextField()
    data = models.BinaryField()

    class Meta:
        db_table = "langgraph_items"


class Write(OfThread):
    """What one task wrote to one channel, until the next checkpoint takes it over."""

    pk = models.CompositePrimaryKey("session_id", "namespace", "checkpoint_id", "task_id", "idx")
    namespace = BytewiseField()
    checkpoint_id = BytewiseField()
    task_id = BytewiseField()
    #: its place among the task's writes; below 0 what LangGraph keeps once a task: an error, an interrupt, a resume
    idx = models.IntegerField()
    channel = models.TextField()
    type = models.TextField()
    data = models.BinaryField()
    task_path = BytewiseField(db_default="")

    class Meta:
        db_table = "langgraph_writes"
        indexes = [
            models.Index(
                fields=["session"], name="idx_langgraph_interrupts", condition=models.Q(channel="__interrupt__")
            )
        ]


class Transcribed(OfThread):
    """Which of LangGraph's messages stand in ``messages``."""

    pk = models.CompositePrimaryKey("session_id", "message_id")
    message_id = BytewiseField()
    row = SessionForeignKey(Message, related_name="+")

    class Meta:
        db_table = "langgraph_messages"
        indexes = [models.Index(fields=["row"], name="idx_langgraph_row")]


class Thread(OfThread):
    """What holds for a thread as a whole."""

    session = SessionForeignKey(Session, primary_key=True, related_name="+")
    #: another number whenever items were removed: a saver that knows an older one sends all of them again
    epoch = models.BigIntegerField()
    #: the lease of the thread's only writer: its number, counted up with each, and until when it holds (milliseconds)
    writer = models.BigIntegerField(db_default=0)
    writer_until = MillisecondsField(null=True)

    class Meta:
        db_table = "langgraph_threads"


class Memory(models.Model):
    """An item of LangGraph's long-term memory, which belongs to no thread."""

    id = models.BigAutoField(primary_key=True)
    #: "" for none
    workspace_id = models.TextField()
    #: the namespace, a JSON array of labels
    prefix = BytewiseField()
    key = BytewiseField()
    value = JsonPlusField()
    created_at = MillisecondsField()
    updated_at = MillisecondsField()
    #: milliseconds, from each time on that the item is read or written
    ttl = models.BigIntegerField(null=True)
    expires_at = MillisecondsField(null=True)

    class Meta:
        db_table = "langgraph_store"
        constraints = [
            models.UniqueConstraint(fields=["workspace_id", "prefix", "key"], name="langgraph_store_place_key")
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], name="idx_langgraph_expires", condition=models.Q(expires_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"{self.prefix} {self.key}"


class Vector(models.Model):
    """What one text of an item of the memory means."""

    id = models.BigAutoField(primary_key=True)
    item = SessionForeignKey(Memory, related_name="+")
    #: the item's, so that a search in a namespace need not look at the items of others
    workspace_id = models.TextField()
    #: the item's, with a comma for its last character: what is below a namespace is then one range
    prefix = BytewiseField()
    #: where the text stands in the value; with a number behind it where several stand there
    path = BytewiseField()
    #: the item's ``updated_at`` when it was embedded: the vector of an earlier value does not count
    created_at = MillisecondsField()
    embedding = EmbeddingField()

    class Meta:
        db_table = "langgraph_vectors"
        constraints = [models.UniqueConstraint(fields=["item", "path"], name="langgraph_vectors_item_path_key")]
        indexes = [models.Index(fields=["workspace_id", "prefix"], name="idx_langgraph_vectors_place")]

    def __str__(self) -> str:
        return f"{self.prefix} {self.path}"
