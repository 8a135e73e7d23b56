"""`DjangoCheckpointStore`: the `CheckpointStore` protocol over the ORM's database. One file a subject."""

from __future__ import annotations

from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.store.fork import Fork
from obsku_checkpoint.store.memory import Memory
from obsku_checkpoint.store.summaries import Summaries
from obsku_checkpoint.store.transcripts import Transcripts


class DjangoCheckpointStore(Summaries, Transcripts, Fork, Memory, CheckpointStore):
    """Agents' sessions in the database ``using`` (by default the one that ``OBSKU_CHECKPOINT`` names).

    It works inside a caller's ``transaction.atomic()`` (an error of one call leaves the transaction usable) and
    outside one, from any number of threads, tasks and processes.
    """
