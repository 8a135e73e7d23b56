"""`DjangoSession`: the SDK's session over the store's database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from agents.items import TResponseInputItem
from agents.memory.session_settings import SessionSettings, coerce_session_settings, resolve_session_limit
from agents.run_context import RunContextWrapper

from obsku_checkpoint import validation
from obsku_checkpoint.contrib.openai_agents import items as conversion
from obsku_checkpoint.contrib.transcripts.transcript import Transcript
from obsku_checkpoint.store import DjangoCheckpointStore

Items = list[TResponseInputItem]


class DjangoSession:
    """A conversation of OpenAI's agents, kept as a session with messages. Implements the SDK's ``Session``.

    Each item is a message, with its exact JSON beside it. A conversation that another program wrote into the session is
    continued as it is. Batches of runs at once do not interleave; any number of processes may work on one session.
    """

    def __init__(
        self,
        session_id: str,
        *,
        using: str | DjangoCheckpointStore | None = None,
        workspace_id: str | None = None,
        directory: str = "openai-agents",
        session_settings: SessionSettings | dict[str, Any] | None = None,
        last_turns: int | None = None,
        max_tokens: int | None = None,
    ) -> None:
        """
        ``using``: an alias of ``DATABASES`` (by default that of the setting), or a store.
        ``workspace_id``, ``directory``: of the session, where it has to be made.
        ``session_settings``: the SDK's; its ``limit`` is a plain number of items.
        ``last_turns``, ``max_tokens``: the window that a run reads where there is no limit, as
        `CheckpointStore.get_messages` has it: it cuts no call from its result, and no reasoning from what follows it.

        Raises `ConfigurationError` and `InvalidRecordError` for what cannot be used.
        """
        self.session_id = session_id
        self.session_settings: SessionSettings | None = coerce_session_settings(session_settings or SessionSettings())
        validation.window(last_turns, max_tokens, None)
        self._window = (last_turns, max_tokens)
        self._transcript = Transcript(
            session_id, format="openai-agents", using=using, workspace_id=workspace_id, directory=directory
        )
        #: (tokens in, tokens out) of a run that stand in its messages already
        self._written: WeakKeyDictionary[RunContextWrapper[Any], tuple[int, int]] = WeakKeyDictionary()

    @property
    def store(self) -> DjangoCheckpointStore:
        """The store that the session is in: it forks from any message, and finds and repairs what dangles."""
        return self._transcript.store

    async def get_items(self, limit: int | None = None, *, wrapper: RunContextWrapper[Any] | None = None) -> Items:
        """The conversation, oldest first: its newest ``limit`` items, or the window of this session.

        Raises `CheckpointCorruptionError` where an item cannot be read.
        """
        limit = resolve_session_limit(limit, self.session_settings)
        if limit is None and self._window != (None, None):
            entries = await self._transcript.aread_window(*self._window, conversion.belongs_to_the_next)
            return cast("Items", [item for entry in entries for item in conversion.items_of(entry)])
        most = None if limit is None else max(limit, 0)
        items = await self._transcript.aread_originals(most)
        if items is None:
            # Most messages are one item, and none is less; but for what a repair has removed.
            read = await self._transcript.aread(most)
            items = [item for entry in read for item in conversion.items_of(entry)]
        return cast("Items", items if most is None else items[max(len(items) - most, 0) :])

    async def add_items(self, items: Items, *, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Append the items, all or none, with the tokens that the run has used since it last added some."""
        messages = [conversion.message_of(cast("Mapping[str, Any]", item)) for item in items]
        answers = [message for message in messages if message["role"] == "assistant"]
        spent = None
        if wrapper is not None and answers:
            spent = wrapper.usage.input_tokens, wrapper.usage.output_tokens
            before = self._written.get(wrapper, (0, 0))
            if spent != before:
                answers[-1] |= {"tokens_in": spent[0] - before[0], "tokens_out": spent[1] - before[1]}
        await self._transcript.aadd(messages, items)
        if wrapper is not None and spent is not None:
            self._written[wrapper] = spent

    async def pop_item(self, *, wrapper: RunContextWrapper[Any] | None = None) -> TResponseInputItem | None:
        """Remove the newest item and return it; None where there is none."""
        return cast("TResponseInputItem | None", await self._transcript.apop(conversion.without_last))

    async def clear_session(self, *, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Remove all items. The session itself stays, with its title and its checkpoints."""
        await self._transcript.aclear()
