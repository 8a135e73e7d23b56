"""What a run knows from before, and what it leaves behind: entities and facts of its session and its workspace.

The npm framework does the same around a call of a model: its hooks are ``onMemoryLoad``, ``onEntityExtract`` and
``onMemorySave``, its numbers are those below.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NotRequired, TypedDict

from obsku_checkpoint import codec
from obsku_checkpoint.embeddings import Embedder
from obsku_checkpoint.graph.attempts import is_async
from obsku_checkpoint.graph.callers import Caller
from obsku_checkpoint.graph.context import Recalled
from obsku_checkpoint.graph.results import RunResult
from obsku_checkpoint.records import EntityRecord, FactRecord, Relationship, SessionRecord

logger = logging.getLogger("obsku_checkpoint.graph")

ENTITIES, FACTS = 100, 10
#: from which nearness on something is to the point, and from which confidence on a fact is
NEAR, CONFIDENT = 0.7, 0.7
#: characters of `Recalled.context`; where it is cut, a line is left out that would begin behind this part of them
CONTEXT, WHOLE_LINES = 2000, 0.7


class EntityFound(TypedDict):
    name: str
    type: str
    attributes: NotRequired[Mapping[str, Any]]
    relationships: NotRequired[Sequence[Relationship]]


class FactFound(TypedDict):
    content: str
    confidence: NotRequired[float]


class Findings(TypedDict, total=False):
    """What `Memory.extract` returns."""

    entities: Sequence[EntityFound]
    facts: Sequence[FactFound]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What `run` and `resume` load before the first node, and save when the run has come to its end.

    Both hooks may be async functions. One that raises is logged, and the run goes on without it.
    """

    #: makes vectors of an ``input`` that is text, to search by, and of what is found
    embedder: Embedder | None = None
    #: called with the session and the ``input``; what it returns is `Context.memory`. By default: the entities of the
    #: session and of its workspace, and the workspace's facts, those near to the ``input`` where an embedder tells
    load: Callable[[SessionRecord, Any], Recalled | Awaitable[Recalled]] | None = None
    #: called with the result of a run that was completed just now. What it finds is saved: entities by an upsert in
    #: the session's workspace, if it has one, facts with the session as their source
    extract: Callable[[RunResult], Findings | Awaitable[Findings]] | None = None


@dataclass(frozen=True, slots=True)
class MemoryOfRun:
    """The memory of one run, in its session."""

    memory: Memory
    caller: Caller
    session: SessionRecord
    recalled: Recalled = field(default_factory=Recalled)

    @classmethod
    async def begun(cls, memory: Memory, caller: Caller, session_id: str, input: Any) -> MemoryOfRun | None:
        session: SessionRecord | None = await caller.ask("get_session", session_id)
        if session is None:
            return None  # the run will say so
        empty = cls(memory, caller, session)
        try:
            recalled = await (empty._called(memory.load, session, input) if memory.load else empty._recalled(input))
        except Exception as error:  # noqa: BLE001 - a run does not fail for what it might have known
            _log("load", error)
            return empty
        return cls(memory, caller, session, recalled)

    async def end(self, result: RunResult) -> None:
        """Save what is found in the result of a run that has just been completed."""
        if self.memory.extract is None:
            return
        try:
            await self._save(await self._called(self.memory.extract, result))
        except Exception as error:  # noqa: BLE001 - nor for what others might have known of it
            _log("extract", error)

    # -- before

    async def _recalled(self, input: Any) -> Recalled:
        near = (await self._embedded([input]))[0] if self.memory.embedder and isinstance(input, str) and input else None
        entities, facts = await self._entities(near), await self._facts(near)
        return Recalled(context=described(entities, facts), entities=entities, facts=facts)

    async def _entities(self, near: list[float] | None) -> tuple[EntityRecord, ...]:
        session, ask = self.session, self.caller.ask
        if near:
            search = partial(ask, "search_entities", near, threshold=NEAR, top_k=ENTITIES)
            found = await search(session_id=session.id)
            if session.workspace_id is not None:
                found += await search(workspace_id=session.workspace_id)
            if found:
                nearest = sorted(found, key=lambda one: one.score, reverse=True)
                return tuple({one.record.id: one.record for one in nearest}.values())[:ENTITIES]
        entities = await ask("list_entities", session_id=session.id, limit=ENTITIES, on_corrupt="keep")
        if session.workspace_id is not None and len(entities) < ENTITIES:
            more = await ask("list_entities", workspace_id=session.workspace_id, limit=ENTITIES, on_corrupt="keep")
            known = {entity.id for entity in entities}
            entities += [entity for entity in more if entity.id not in known]
        return tuple(entities[:ENTITIES])

    async def _facts(self, near: list[float] | None) -> tuple[FactRecord, ...]:
        workspace, ask = self.session.workspace_id, self.caller.ask
        if workspace is None:
            return ()
        if near:
            found = await ask("search_facts", near, workspace_id=workspace, threshold=NEAR, top_k=FACTS)
            if found:
                return tuple(one.record for one in found)
        return tuple(await ask("list_facts", workspace_id=workspace, min_confidence=CONFIDENT, limit=FACTS))

    # -- after

    async def _save(self, findings: Findings) -> None:
        entities, facts = findings.get("entities", ()), findings.get("facts", ())
        texts = [
            *(said_of_entity(one["name"], one["type"], one.get("attributes")) for one in entities),
            *(one["content"] for one in facts),
        ]
        vectors: list[Any] = await self._embedded(texts) if texts and self.memory.embedder else [None] * len(texts)
        workspace = self.session.workspace_id
        for entity, vector in zip(entities, vectors, strict=False):
            given = {**entity, "embedding": vector, "workspace_id": workspace, "upsert": workspace is not None}
            await self.caller.ask("save_entity", self.session.id, **given)
        for fact, vector in zip(facts, vectors[len(entities) :], strict=True):
            given = {**fact, "embedding": vector, "workspace_id": workspace, "source_session_id": self.session.id}
            await self.caller.ask("save_fact", **given)

    async def _embedded(self, texts: Sequence[str]) -> list[list[float]]:
        assert self.memory.embedder is not None
        vectors: list[list[float]] = await self._called(self.memory.embedder.embed, texts)
        return vectors

    async def _called(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """In the thread that sync nodes are called in, an async one on the event loop."""
        if is_async(hook):
            return await hook(*arguments)
        answer = await self.caller.work(partial(hook, *arguments), alone=True)
        return await answer if inspect.isawaitable(answer) else answer


def said_of_entity(name: str, type: str, attributes: Mapping[str, Any] | None) -> str:
    """The text that an entity's vector is made of, there and here."""
    return f"{name} {type} {codec.dumps(dict(attributes or {}))}"


def described(entities: Sequence[EntityRecord], facts: Sequence[FactRecord]) -> str:
    """The text for a model's prompt."""
    sections = []
    if entities:
        sections.append("\n".join(["Known Entities:", *map(_entity, entities)]))
    if facts:
        sections.append("\n".join(["Relevant Facts:", *(f"- {fact.content}" for fact in facts)]))
    text = "\n\n".join(sections)
    if len(text) <= CONTEXT:
        return text
    text = text[: CONTEXT - 3]
    end = text.rfind("\n")
    return f"{text[:end] if end > CONTEXT * WHOLE_LINES else text}..."


def _entity(entity: EntityRecord) -> str:
    said = f"- {entity.name} ({entity.type})"
    if isinstance(entity.attributes, dict) and entity.attributes:
        said += ": " + ", ".join(
            f"{key}: {value if isinstance(value, str) else codec.dumps(value)}"
            for key, value in entity.attributes.items()
        )
    return said


def _log(hook: str, error: Exception) -> None:
    # As of nodes: what is raised may hold the caller's private data.
    logger.warning("The memory hook %s failed: %s", hook, type(error).__name__)
    logger.debug("The memory hook %s failed", hook, exc_info=error)
