"""What a checkpoint store promises of entities and facts: what agents know, over all sessions. Knows no Django.

* An entity is what there is one of: a person, a host, a file. It belongs to the session that said it last, and is
  deleted with that. A fact is a sentence; it outlives the session that is its source.
* ``attributes`` is an object of JSON-plus values, ``relationships`` a list of ``{"targetId": …, "type": …}``; neither
  is ever None. ``embedding`` is a list of finite numbers, one at least and 16,000 at most, or None; a stored one that
  cannot be read counts as none.
* ``type`` and ``workspace_id`` are texts of at most 1,024 bytes of UTF-8, ``name`` one of at most 4,096 characters; a
  fact's ``content`` is text of any length, in which a NUL becomes U+2400 and a lone surrogate U+FFFD, with a warning in
  the log. A ``confidence`` is a number from 0 to 1, and kept as a 32-bit float.
* Writes take the plain time of their host and leave the session's ``updated_at`` alone.
* Lists are newest ``created_at`` first. Filters hold all at once; None is no filter, and 0 or "" is one.
"""

# The twins' types are inferred from their sync methods, which mypy's rule for protocol members does not foresee.
# mypy: disable-error-code="misc"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from obsku_checkpoint.async_twins import twin
from obsku_checkpoint.records import EntityRecord, FactRecord, OnCorrupt, Relationship, Scored
from obsku_checkpoint.unset import UNSET, Unset


class Memory(Protocol):
    """The part of `obsku_checkpoint.protocols.CheckpointStore` that outlives sessions."""

    def save_entity(
        self,
        session_id: str,
        *,
        name: str,
        type: str,
        attributes: Mapping[str, Any] | None = None,
        relationships: Sequence[Relationship] = (),
        workspace_id: str | None = None,
        embedding: Sequence[float] | None = None,
        id: str | None = None,
        upsert: bool = False,
    ) -> EntityRecord:
        """Save a new entity, or with ``upsert`` say anew what is known of one.

        Without ``upsert`` the call may be repeated with an ``id``: the same content returns the stored entity, other
        content raises `IdConflictError`. With ``upsert`` the newest entity of this workspace (None is one, too), type
        and name gets the session, attributes, relationships and embedding of the call, and keeps its id and
        ``created_at``; where there is none, one is made, with ``id`` if that is given. Of concurrent upserts one makes
        it.
        """
        ...

    def get_entity(self, id: str, *, on_corrupt: OnCorrupt = "raise") -> EntityRecord | None:
        """The entity with this id."""
        ...

    def list_entities(
        self,
        *,
        session_id: str | None = None,
        workspace_id: str | None = None,
        type: str | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[EntityRecord]:
        """Entities, newest ``created_at`` first."""
        ...

    def update_entity(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        type: str | Unset = UNSET,
        attributes: Mapping[str, Any] | Unset | None = UNSET,
        relationships: Sequence[Relationship] | Unset | None = UNSET,
        workspace_id: str | Unset | None = UNSET,
        embedding: Sequence[float] | Unset | None = UNSET,
    ) -> EntityRecord:
        """Change what is given (None clears it), and leave the rest. Raises `EntityNotFoundError`."""
        ...

    def delete_entity(self, id: str) -> bool:
        """Delete the entity; relationships that lead to it stay. False where there was none."""
        ...

    def related(self, entity_id: str, *, depth: int = 1, on_corrupt: OnCorrupt = "raise") -> list[EntityRecord]:
        """The entities that its relationships lead to, in ``depth`` steps (0 to 100) at most, without itself.

        Nearest first, and of equally near ones the newest; each once. Targets that do not exist are passed over.
        """
        ...

    def search_entities(
        self,
        embedding: Sequence[float],
        *,
        workspace_id: str | None = None,
        session_id: str | None = None,
        top_k: int = 10,
        threshold: float = 0.0,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[Scored[EntityRecord]]:
        """The ``top_k`` entities whose embeddings are nearest by their cosine, best first; of equal ones the newest.

        Only scores of ``threshold`` and more; entities without an embedding of this dimension are left out.
        """
        ...

    def save_fact(
        self,
        content: str,
        *,
        confidence: float = 1.0,
        workspace_id: str | None = None,
        source_session_id: str | None = None,
        embedding: Sequence[float] | None = None,
        id: str | None = None,
    ) -> FactRecord:
        """Save a fact. With an ``id`` the call may be repeated, as with `save_entity`."""
        ...

    def get_fact(self, id: str, *, on_corrupt: OnCorrupt = "raise") -> FactRecord | None:
        """The fact with this id."""
        ...

    def list_facts(
        self,
        *,
        workspace_id: str | None = None,
        min_confidence: float | None = None,
        limit: int | None = None,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[FactRecord]:
        """Facts, newest ``created_at`` first; ``min_confidence`` (from 0 to 1) keeps those of that or more."""
        ...

    def delete_fact(self, id: str) -> bool:
        """Delete the fact. False where there was none."""
        ...

    def search_facts(
        self,
        embedding: Sequence[float],
        *,
        workspace_id: str | None = None,
        top_k: int = 10,
        threshold: float = 0.0,
        on_corrupt: OnCorrupt = "raise",
    ) -> list[Scored[FactRecord]]:
        """As `search_entities`, of facts."""
        ...

    # -- async twins

    asave_entity = twin(save_entity)
    aget_entity = twin(get_entity)
    alist_entities = twin(list_entities)
    aupdate_entity = twin(update_entity)
    adelete_entity = twin(delete_entity)
    arelated = twin(related)
    asearch_entities = twin(search_entities)
    asave_fact = twin(save_fact)
    aget_fact = twin(get_fact)
    alist_facts = twin(list_facts)
    adelete_fact = twin(delete_fact)
    asearch_facts = twin(search_facts)
