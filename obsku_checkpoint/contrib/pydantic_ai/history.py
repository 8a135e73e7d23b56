"""`DjangoHistory`: pydantic-ai's conversation over the store's database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_ai import AgentRunResult, Conversation, ConversationTypeAdapter, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from obsku_checkpoint import validation
from obsku_checkpoint.contrib.pydantic_ai.conversion import items_of, message_of
from obsku_checkpoint.contrib.transcripts.transcript import Entry, Transcript
from obsku_checkpoint.errors import CheckpointCorruptionError
from obsku_checkpoint.store import DjangoCheckpointStore

#: of a conversation, what is kept in the session's metadata under ``pydantic_ai``
STATE = ("usage", "conversation_id", "deferred_tool_requests")


class DjangoHistory:
    """A conversation of pydantic-ai, kept as a session with messages.

    Each request and each response is a message, with its exact JSON beside it. A conversation that another program
    wrote into the session is continued as it is.
    """

    def __init__(
        self,
        session_id: str,
        *,
        using: str | DjangoCheckpointStore | None = None,
        workspace_id: str | None = None,
        directory: str = "pydantic-ai",
    ) -> None:
        """
        ``using``: an alias of ``DATABASES`` (by default that of the setting), or a store.
        ``workspace_id``, ``directory``: of the session, where it has to be made.

        Raises `ConfigurationError` and `InvalidRecordError` for what cannot be used.
        """
        self.session_id = session_id
        self._transcript = Transcript(
            session_id, format="pydantic_ai", using=using, workspace_id=workspace_id, directory=directory
        )
        #: how many messages of a run are kept, by its id
        self._kept: dict[str, int] = {}

    @property
    def store(self) -> DjangoCheckpointStore:
        """The store that the session is in: it forks from any message, and finds and repairs what dangles."""
        return self._transcript.store

    async def load(self, *, last_turns: int | None = None, max_tokens: int | None = None) -> Conversation:
        """The conversation, with its usage and the requests that it waits for; an empty one where there is none.

        ``last_turns`` and ``max_tokens`` keep the newest messages, as `CheckpointStore.get_messages` does. Raises
        `CheckpointCorruptionError` where a message cannot be read.
        """
        entries: Iterable[Entry]
        if last_turns is None and max_tokens is None:
            entries = await self._transcript.aread()
        else:
            validation.window(last_turns, max_tokens, None)
            entries = await self._transcript.aread_window(last_turns, max_tokens, lambda original: False)
        state = await self._transcript.astate()
        described = {name: state[name] for name in STATE if name in state} if isinstance(state, dict) else {}
        try:
            return ConversationTypeAdapter.validate_python(
                {"conversation_id": self.session_id, **described, "messages": items_of(entries)}
            )
        except (ValueError, KeyError, TypeError) as error:
            reason = f"pydantic-ai does not take it: {error!r}"
            raise CheckpointCorruptionError("$", reason, "", "sessions", self.session_id, "transcript") from error

    async def append(self, result: AgentRunResult[Any]) -> None:
        """Keep what a run has added to the conversation, and how it stands: once, however often it is called."""
        await self._keep(result.run_id, result.new_messages(), result.conversation)

    def capability(self) -> AbstractCapability[Any]:
        """For ``capabilities=`` of a run: keeps each message as it comes, and at the end what `append` keeps.

        A process that dies in the middle of a run leaves all that was said until then. A call that has no result stands
        in the way of the next run: ``store.repair`` gives it one.
        """
        return SaveMessages(self)

    async def _keep(self, run_id: str, messages: Sequence[ModelMessage], conversation: Conversation) -> None:
        if run_id not in self._kept:  # another object, or another process, may have begun
            entries = await self._transcript.aread(len(messages))
            self._kept[run_id] = sum(1 for entry in entries if entry.original and entry.original["run_id"] == run_id)
        new = ModelMessagesTypeAdapter.dump_python(list(messages[self._kept[run_id] :]), mode="json")
        described = ConversationTypeAdapter.dump_python(conversation, mode="json", include=set(STATE))
        await self._transcript.aadd_and_describe([message_of(item) for item in new], new, described)
        self._kept[run_id] = len(messages)


class SaveMessages(AbstractCapability[Any]):
    """Keeps each message of a run in a `DjangoHistory` as it comes."""

    def __init__(self, history: DjangoHistory) -> None:
        self.history = history

    async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
        await self._keep(ctx)
        return request_context

    async def after_node_run(self, ctx: RunContext[Any], *, node: Any, result: Any) -> Any:
        await self._keep(ctx)
        return result

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        await self.history.append(result)
        return result

    async def _keep(self, ctx: RunContext[Any]) -> None:
        assert ctx.run_id is not None
        new = [message for message in ctx.messages if message.run_id == ctx.run_id]
        if len(new) == self.history._kept.get(ctx.run_id):
            return
        conversation = Conversation(usage=ctx.usage, conversation_id=ctx.conversation_id or self.history.session_id)
        await self.history._keep(ctx.run_id, new, conversation)
