"""What reading, writing and clearing away have in common: a store, a serializer, and the place that a config names."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from obsku_checkpoint import validation
from obsku_checkpoint.contrib.langgraph.drivers import OverStore
from obsku_checkpoint.contrib.langgraph.encoding import Encoding
from obsku_checkpoint.contrib.langgraph.known import KnownThreads
from obsku_checkpoint.contrib.langgraph.serializer import strict
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError
from obsku_checkpoint.store import DjangoCheckpointStore

R = TypeVar("R")

#: in ``configurable``: the number of the lease that a write belongs to. LangGraph keeps such names out of the metadata.
WRITER = "__obsku_writer"

Projection = Literal["full", "session"]


class Place(NamedTuple):
    """What a config names. The id of a checkpoint is None where the newest is meant."""

    session_id: str
    namespace: str
    checkpoint_id: str | None
    workspace_id: str | None
    writer: int | None


class Saver(OverStore, BaseCheckpointSaver[str]):
    def __init__(
        self,
        using: str | DjangoCheckpointStore | None = None,
        *,
        serde: SerializerProtocol | None = None,
        workspace_id: str | None = None,
        directory: str = "langgraph",
        projection: Projection | None = None,
        messages_channel: str = "messages",
        max_value_bytes: int = 64 * 2**20,
    ) -> None:
        """
        ``using``: an alias of ``DATABASES`` (by default that of the setting), or a store.
        ``serde``: LangGraph's `EncryptedSerializer`, for example; by default msgpack. Either is strict.
        ``workspace_id``: of the threads that it makes, and the only ones it knows; None for all. A config's
        ``configurable["workspace_id"]`` comes before it.
        ``directory``: of the sessions that it makes; names the graph for the setting ``LANGGRAPH_GRAPHS``.
        ``projection``: ``full`` shows checkpoints and messages to people and other programs, ``session`` only that
        there is a thread; ``full`` by default, but ``session`` where the serializer encrypts.
        ``messages_channel``: the channel that is the transcript.
        ``max_value_bytes``: of one serialized value.

        Raises `ConfigurationError` for what cannot be used, and `InvalidRecordError`.
        """
        OverStore.__init__(self, using)
        BaseCheckpointSaver.__init__(self, serde=strict(serde))
        self.workspace_id = validation.optional_key("workspace_id", workspace_id)
        self.directory = validation.text("directory", directory)
        self.messages_channel = messages_channel
        self._encoded = Encoding(self.serde, validation.integer("max_value_bytes", max_value_bytes, low=1))
        if projection not in (None, "full", "session"):
            raise ConfigurationError(f"projection must be 'full' or 'session', not {projection!r}")
        self.projection = projection or ("session" if self._encoding.encrypts else "full")
        self._known = KnownThreads()

    @property
    def _encoding(self) -> Encoding:
        """Of the present serializer: LangGraph replaces it in a copy of the saver (`with_allowlist`)."""
        if self._encoded.serde is not self.serde:
            self._encoded = Encoding(self.serde, self._encoded.max_bytes)
        return self._encoded

    # -- configs

    def _place(self, config: RunnableConfig) -> Place:
        configurable = config.get("configurable") or {}
        if "thread_id" not in configurable:
            raise InvalidRecordError("thread_id", "is missing in the config's configurable")
        checkpoint_id = configurable.get("checkpoint_id")
        workspace_id = configurable.get("workspace_id", self.workspace_id)
        return Place(
            session_id=validation.key("thread_id", str(configurable["thread_id"])),
            namespace=validation.key("checkpoint_ns", configurable.get("checkpoint_ns", "")),
            checkpoint_id=validation.key("checkpoint_id", checkpoint_id) if checkpoint_id else None,
            workspace_id=validation.optional_key("workspace_id", workspace_id),
            writer=configurable.get(WRITER),
        )

    @staticmethod
    def _config(session_id: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
        configurable: dict[str, Any] = {
            "thread_id": session_id,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
        }
        return {"configurable": configurable}
