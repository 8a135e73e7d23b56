"""Checkpoints are written, and what tasks write in between."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME, _DeltaSnapshot

from obsku_checkpoint import validation
from obsku_checkpoint.async_twins import Steps, method, twin
from obsku_checkpoint.contrib.langgraph import projection
from obsku_checkpoint.contrib.langgraph.base import Place
from obsku_checkpoint.contrib.langgraph.blobs import Stored
from obsku_checkpoint.contrib.langgraph.drawing import graph_of
from obsku_checkpoint.contrib.langgraph.known import Known
from obsku_checkpoint.contrib.langgraph.questions import Questions
from obsku_checkpoint.contrib.langgraph.sql import INSERT_SESSION, SAID, THREAD, WORKSPACE, Outcome
from obsku_checkpoint.errors import IdConflictError, LeaseConflictError, StoreUnavailableError
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.run_state import GraphReference, RunGraph
from obsku_checkpoint.store import session_clock
from obsku_checkpoint.store.calls import BinaryRead, WhenWritten, Write, atomic
from obsku_checkpoint.store.checkpoints import LOCKED, OPTIMISTIC


@dataclass(slots=True)
class _Attempt:
    """What is sent to store a checkpoint, and what is known if that succeeds."""

    parameters: dict[str, Any]
    #: for the transcript
    messages: list[list[Any]] = field(default_factory=list)
    times: Mapping[str, int] = field(default_factory=dict)
    graph: GraphReference | None = None
    back_edges: Sequence[tuple[str, str]] = ()
    iterations: Mapping[str, int] = field(default_factory=dict)


class Writing(Questions):
    def get_next_version(self, current: str | None, channel: None) -> str:
        """A version greater than ``current``. Two branches of a thread never make the same one."""
        number = int(str(current).split(".", 1)[0]) if current else 0
        return f"{number + 1:010}.{secrets.randbits(64):016x}"

    @method
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        """Store a checkpoint whose parent is the one of the config, and return its own config.

        Raises `SerializationError` and `InvalidRecordError`, which name the channel, `IdConflictError` where the thread
        belongs to another workspace, and `LeaseConflictError` where the config's lease was lost.
        """
        place = self._place(config)
        said = dict(get_serializable_checkpoint_metadata(config, metadata))
        rows = self._encoding.rows(checkpoint, said, new_versions)
        checkpoint_id = validation.key("checkpoint_id", checkpoint["id"])
        run_id = said.get("run_id")
        put = {
            "session_id": place.session_id,
            "workspace_id": place.workspace_id,
            "directory": self.directory,
            "title": None,
            "namespace": place.namespace,
            "checkpoint_id": checkpoint_id,
            "parent_id": place.checkpoint_id,
            "run_id": run_id if isinstance(run_id, str) and validation.can_exist("run_id", run_id) else None,
            "type": rows.payload.type,
            "payload": rows.payload.data,
            "channels": json.dumps(rows.channels),
            "metadata": rows.metadata,
            "writer": place.writer,
            "new_epoch": secrets.randbits(62),
        }
        transcript: Any = None
        if self.projection == "full" and not place.namespace:
            transcript = yield from self._transcript(put, checkpoint, new_versions)
        lost = 0
        while True:
            known = self._known.of(place.session_id) or Known(None)
            attempt = self._attempt(put, place, checkpoint, said, known, transcript)
            items = {hash: rows.items[hash] for hash in rows.items.keys() - known.items}
            steps = partial(self._sql.put, attempt.parameters, rows.blobs, items, attempt.messages)
            outcome = yield from (atomic(partial(self._in_turn, place, steps)) if lost >= OPTIMISTIC else steps())
            if outcome.is_stored and outcome.epoch is not None:
                break
            yield from self._refused(place, outcome)
            lost += 1
            if lost == OPTIMISTIC + LOCKED:
                raise StoreUnavailableError(f"other writers came first {lost} times")
        learn = partial(
            self._known.learn,
            place.session_id,
            outcome.epoch,
            items=rows.items,
            messages=[message[0] for message in attempt.messages],
            times={place.namespace: attempt.times},
            graph=attempt.graph,
            back_edges=attempt.back_edges,
            iterations=attempt.iterations,
        )
        yield WhenWritten(learn)
        if outcome.has_question and self.projection == "full":
            yield from self._record_questions(place._replace(checkpoint_id=checkpoint_id))
        return self._config(place.session_id, place.namespace, checkpoint_id)

    aput = twin(put)  # type: ignore[arg-type]  # the checker takes self for the base's

    def _transcript(self, put: Mapping[str, Any], checkpoint: Checkpoint, new_versions: ChannelVersions) -> Steps[Any]:
        """The messages so far; of a delta channel, which has a value now and then only, those of the last step.

        LangGraph puts a checkpoint when what its tasks have written to delta channels is stored.
        """
        channel = self.messages_channel
        if channel in checkpoint["channel_values"]:
            value = checkpoint["channel_values"][channel]
            return value.value if isinstance(value, _DeltaSnapshot) else value
        if channel not in new_versions or put["parent_id"] is None:
            return None
        rows = yield BinaryRead(SAID, {**put, "channel": channel})
        at = (put["parent_id"], channel)
        return projection.said([self._encoding.read(at, Stored(type, bytes(data)), {}) for type, data in rows])

    def _attempt(
        self,
        put: Mapping[str, Any],
        place: Place,
        checkpoint: Checkpoint,
        said: Mapping[str, Any],
        known: Known,
        transcript: Any,
    ) -> _Attempt:
        clock = session_clock.now()
        attempt = _Attempt({**put, **clock, "epoch": known.epoch})
        if self.projection == "full":
            self._project(attempt, place, checkpoint, said, known, transcript)
        attempt.parameters["count"] = len(attempt.messages) + 1
        attempt.parameters["created_at"] = clock["now"] - attempt.parameters["count"]
        return attempt

    def _project(
        self,
        attempt: _Attempt,
        place: Place,
        checkpoint: Checkpoint,
        said: Mapping[str, Any],
        known: Known,
        transcript: Any,
    ) -> None:
        record_id = new_id()
        graph: RunGraph | GraphReference | None = None
        if not place.namespace:
            attempt.messages = projection.messages(transcript, known.messages)
            attempt.parameters["title"] = projection.title(transcript)
            if known.epoch is None:
                if drawn := graph_of(self.directory):
                    graph = drawn
                    attempt.graph = GraphReference(digest=drawn.digest, checkpoint_id=record_id)
                    attempt.back_edges = [(edge.source, edge.target) for edge in drawn.edges if edge.is_back]
            else:
                graph, attempt.back_edges = known.graph, known.back_edges
            counts = None if known.epoch is None else known.iterations
            attempt.iterations = projection.iterations(checkpoint, said.get("source"), attempt.back_edges, counts)
        attempt.times = projection.times(checkpoint, said.get("source"), known.times.get(place.namespace, {}))
        run = str(attempt.parameters["run_id"] or "")
        attempt.parameters |= projection.record(checkpoint, said, run, attempt.times, graph, attempt.iterations)
        attempt.parameters["record_id"] = record_id

    def _in_turn(self, place: Place, steps: Callable[[], Steps[Outcome]]) -> Steps[Outcome]:
        yield from self.store._sql.lock_session(place.session_id)
        return (yield from steps())

    def _refused(self, place: Place, outcome: Outcome) -> Steps[None]:
        """Why nothing was stored. Returns where it may be tried again."""
        if not outcome.has_session or outcome.epoch is None:
            self._known.forget(place.session_id)
        if not outcome.has_session:
            yield from self._check_workspace(place)
        elif outcome.epoch is None:
            yield from self._check_lease(place)

    def _check_workspace(self, place: Place) -> Steps[None]:
        if place.workspace_id is not None:
            rows = yield WORKSPACE, {"session_id": place.session_id}
            if rows and rows[0][0] != place.workspace_id:
                raise IdConflictError("Session", place.session_id)

    def _check_lease(self, place: Place) -> Steps[None]:
        if place.writer is not None:
            rows = yield THREAD, {"session_id": place.session_id}
            if [row[1] for row in rows] != [place.writer]:
                raise LeaseConflictError(place.session_id, place.namespace, place.writer)

    @method
    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> Steps[None]:
        """Store what a task wrote. A write that is stored already stays, but for those that LangGraph replaces."""
        place = self._place(config)
        encoding = self._encoding
        rows = {}  # one of each: a statement cannot write a row twice
        for index, (channel, value) in enumerate(writes):
            idx = WRITES_IDX_MAP.get(channel, index)
            rows[idx] = (idx, validation.text("channel", channel), *encoding.value(channel, value))
        parameters = {
            "session_id": place.session_id,
            "workspace_id": place.workspace_id,
            "namespace": place.namespace,
            "checkpoint_id": validation.key("checkpoint_id", place.checkpoint_id),
            "task_id": validation.key("task_id", task_id),
            "task_path": validation.text("task_path", task_path),
            "writer": place.writer,
        }
        while True:
            has_session, has_lease = yield from self._sql.put_writes(parameters, [*rows.values()])
            if not has_lease:
                yield from self._check_lease(place)
            if has_session:
                break
            clock = session_clock.now()
            session = {**parameters, "title": None, "directory": self.directory, "created_at": clock["now"], **clock}
            if not (yield Write(INSERT_SESSION, session)):
                yield from self._check_workspace(place)
        if self.projection == "full" and any(channel in (INTERRUPT, RESUME) for channel, _ in writes):
            yield from self._record_questions(place)

    aput_writes = twin(put_writes)  # type: ignore[arg-type]  # the checker takes self for the base's
