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
    #: the checkpoint that the fork goes on from, and its copy
    checkpoint_id: str
    new_checkpoint_id: str
    #: of the fork
    session_id: str


class OnFork(Protocol):
    def __call__(self, forked: Forked, /) -> Steps[None]: ...


#: each is called in turn
on_fork: list[OnFork] = []
