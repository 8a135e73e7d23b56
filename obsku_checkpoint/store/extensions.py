"""What adapters do besides, in the transaction of a call of the store. (Signals come after the commit.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from obsku_checkpoint.async_twins import Steps


@dataclass(frozen=True, slots=True)
class Forked:
    """A fork that has just been written. Its messages are copies of the first of the origin's, in their order."""

    #: the alias of the database
    using: str
    #: of the fork
    session_id: str
    #: the checkpoint that the fork goes on from, and its copy; None where it goes on from a message
    checkpoint_id: str | None = None
    new_checkpoint_id: str | None = None
    #: the message that the fork goes on from; None where it goes on from a checkpoint
    message_id: int | None = None


class OnFork(Protocol):
    def __call__(self, forked: Forked, /) -> Steps[None]: ...


#: by a table that the extension needs: a database may have been set up without the adapter, and is left alone then
on_fork: dict[str, OnFork] = {}

#: the adapter that saves a run's checkpoints (`RunState.by`) -> the dotted path of what goes on with it, for a person's
#: answers by their paths: ``f(store, checkpoint, answers)``
resumers: dict[str, str] = {}

#: the same -> the dotted path of what a page shows of the state that the adapter keeps beside a checkpoint:
#: ``f(alias, checkpoint id)``, a list of (channel, type, bytes or None, value, elements left out, whether it is read)
states: dict[str, str] = {}
