"""An argument that was not given, where None has a meaning of its own. Knows no Django."""

from __future__ import annotations

from enum import Enum


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET
