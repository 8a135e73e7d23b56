"""Does the work of a run: starts the nodes that may start, waits for the first to end, saves, and so on."""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from obsku_checkpoint.errors import GraphError, StoreUnavailableError, VersionConflictError
from obsku_checkpoint.graph.attempts import NestedFailedError, attempt, call_node
from obsku_checkpoint.graph.callers import Caller
from obsku_checkpoint.graph.context import Context, Recalled
from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.execution import Execution
from obsku_checkpoint.graph.questions import Interrupted
from obsku_checkpoint.graph.results import Event, EventType, Outcome, RunResult
from obsku_checkpoint.graph.stored_run import belongs_to
from obsku_checkpoint.ids import new_id
from obsku_checkpoint.records import CheckpointRecord, Source
from obsku_checkpoint.run_state import nested_namespace

logger = logging.getLogger("obsku_checkpoint.graph")
#: seconds for which a checkpoint is saved again while the database is away
PATIENCE = 10.0

OnCheckpoint = Callable[[CheckpointRecord], Any]
OnEvent = Callable[[Event], Any]


class Aborted(BaseException):
    """What the store or a callback raised: it ends the run, of nested graphs the whole."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def aborting() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise Aborted(error) from error


@dataclass(frozen=True, slots=True)
class RunConfig:
    """What a graph and those nested in it have in common."""

    caller: Caller
    on_checkpoint: OnCheckpoint | None
    on_event: OnEvent | None
    #: how many nodes are at work at a time, and what bounds them
    max_concurrency: int
    slots: asyncio.Semaphore
    memory: Recalled


class Engine:
    def __init__(
        self, execution: Execution, config: RunConfig, announce: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """``announce`` has the checkpoint of the graph around this one say that there is work in here."""
        self._execution = execution
        self._config = config
        self._announce = announce
        self._ended: asyncio.Queue[tuple[str, Outcome | BaseException]] = asyncio.Queue()
        self._saving = asyncio.Lock()

    async def run(self) -> RunResult:
        """Run all nodes that can be run. Raises `Aborted`."""
        execution = self._execution
        tasks: dict[str, asyncio.Task[None]] = {}
        await self._tell("run_started")
        try:
            execution.sort()
            if execution.has_work and self._announce:
                await self._announce()
            if execution.changed or execution.must_announce:
                await self._save(execution.first_node, execution.first_source)
            while True:
                contexts = execution.start()
                await self._tell_events()
                for context in contexts:
                    tasks[context.node] = asyncio.create_task(self._work(context))
                if not tasks:
                    break
                name, outcome = await self._ended.get()
                del tasks[name]
                if isinstance(outcome, BaseException):
                    raise outcome
                await self._record(name, outcome)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        return await self._end()

    async def keep(self) -> RunResult:
        """Save the answers that were given, for the process at work, which takes them; do nothing else."""
        execution = self._execution
        working = execution.saved_working
        record = await self._ask("save_checkpoint", **execution.checkpoint(execution.first_node, "input", working))
        execution.saved(record, working)
        await self._tell_saved(record)
        return replace(execution.result(), status="working")

    # -- nodes

    async def _work(self, context: Context) -> None:
        try:
            outcome: Outcome | BaseException = await self._outcome(context)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`, which waits for it
            outcome = error
        self._ended.put_nowait((context.node, outcome))

    async def _outcome(self, context: Context) -> Outcome:
        name, config = context.node, self._config
        node = self._execution.graph.nodes[name]
        begins = partial(self._tell, "node_started", node=name, iteration=context.iteration)
        if isinstance(run := node.run, Graph):
            # It takes no slot: its nodes do.
            return await attempt(name, node, partial(self._nested, run, context), nullcontext(), begins)
        given = self._execution.run.results.answers(name)
        alone = config.max_concurrency == 1 and node.timeout is None
        context = replace(context, memory=config.memory)
        call = partial(call_node, run, context, given, config.caller, alone=alone)
        return await attempt(name, node, call, config.slots, begins)

    async def _nested(self, graph: Graph, context: Context) -> Any:
        answers, is_new = self._execution.hand_down(context.node)
        last, stood = await self._nested_state(context)
        with aborting():
            execution = self._entered(graph, context, last, stood)
            given = {each["path"]: each["answer"] for each in answers if stood and each.get("checkpoint") == stood.id}
            if given:
                execution.answer(given)
            elif is_new:
                raise GraphError("the question is no longer open: resume without an answer", (context.node,))
        result = await Engine(execution, self._config, partial(self._announce_work_in, context.node)).run()
        if result.status == "failed":
            raise NestedFailedError(result.errors, result.checkpoint.id)
        if result.question is not None:
            raise Interrupted(result.question, result.questions, result.checkpoint.id)
        return result.outputs

    async def _nested_state(self, context: Context) -> tuple[CheckpointRecord | None, CheckpointRecord | None]:
        """The newest checkpoint of the nested graph's namespace, and the one that its run goes on from, if any.

        In a fork, that is where it stood in the session that was forked, or, where it was forked itself, its copy.
        """
        namespace = nested_namespace(context.namespace, context.node)
        last = await self._ask("get_latest_checkpoint", context.session_id, namespace=namespace)
        if belongs_to(last, context.idempotency_key):
            return last, last
        if stood := self._execution.run.results.nested(context.node):
            stored = await self._ask("get_checkpoint", stood)
            if stored and (stored.session_id != context.session_id or (last and stored.id == last.id)):
                return last, stored
        return last, None

    def _entered(
        self, graph: Graph, context: Context, last: CheckpointRecord | None, stood: CheckpointRecord | None
    ) -> Execution:
        key, session_id = context.idempotency_key, context.session_id
        namespace = nested_namespace(context.namespace, context.node)
        if stood is None:
            at_entry = context.node == self._execution.graph.entry
            input = context.input if at_entry else context.outputs
            return Execution.begun(graph, session_id, namespace, last, input=input, run=key)
        if stood is last:
            return Execution.restored(graph, stood)
        return Execution.forked(graph, session_id, namespace, stood, last, key)

    # -- the store

    async def _record(self, name: str, outcome: Outcome) -> None:
        execution = self._execution
        execution.record(name, outcome)
        if execution.changed:
            await self._save(name, "interrupt" if name in execution.run.asking else "loop")

    async def _end(self) -> RunResult:
        """The result; the last checkpoint of an interrupted run is one of its source, whatever ended after it."""
        execution = self._execution
        first = next(iter(execution.run.asking), None)
        if execution.changed or execution.saved_working or (first and execution.last_node != first):
            await self._save(first, "interrupt" if first else "loop")
        result = execution.result()
        await self._tell("run_finished", status=result.status)
        return result

    async def _announce_work_in(self, name: str) -> None:
        self._execution.enter(name)
        if self._execution.must_announce:
            if self._announce:
                await self._announce()
            await self._save(name, "loop")

    async def _save(self, node: str | None, source: Source) -> None:
        async with self._saving:
            await self._tell_saved(await self._saved(node, source))

    async def _tell_saved(self, record: CheckpointRecord) -> None:
        if self._config.on_checkpoint:
            with aborting():
                await self._config.caller.tell(self._config.on_checkpoint, record)
        await self._tell_events()
        await self._tell("checkpoint_saved", node=record.node_id, checkpoint=record)

    async def _saved(self, node: str | None, source: Source) -> CheckpointRecord:
        """The checkpoint that was saved; answers that another process has kept for this run meanwhile are in it."""
        execution = self._execution
        while True:
            working = execution.working(self._config.max_concurrency)
            try:
                record = await self._save_once(execution.checkpoint(node, source, working))
            except Aborted as aborted:
                if not isinstance(aborted.error, VersionConflictError) or not await self._take_kept_answers():
                    raise
            else:
                execution.saved(record, working)
                return record

    async def _save_once(self, arguments: dict[str, Any]) -> CheckpointRecord:
        """Save it, also through a restart or failover of the database: what a node came to is not to be lost.

        It has an id, so a save whose answer was lost is not written twice.
        """
        arguments = {**arguments, "id": new_id()}
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                record: CheckpointRecord = await self._ask("save_checkpoint", **arguments)
            except Aborted as aborted:
                patient = time.monotonic() - began < PATIENCE and not self._config.caller.in_transaction
                if not isinstance(aborted.error, StoreUnavailableError) or not patient:
                    raise
                logger.warning("A checkpoint could not be saved, and is saved again in %.1f s", pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 2.0)
            else:
                return record

    async def _take_kept_answers(self) -> bool:
        """Whether the version is taken because somebody left answers for us: for a run that says it is at work."""
        execution = self._execution
        if not execution.saved_working:
            return False
        newest = await self._ask("get_latest_checkpoint", execution.session_id, namespace=execution.namespace)
        with aborting():
            return newest is not None and execution.take_kept_answers(newest)

    async def _ask(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self._config.caller.ask(method, *args, **kwargs)
        except Exception as error:
            raise Aborted(error) from error

    # -- what the caller is told

    async def _tell_events(self) -> None:
        for type, fields in self._execution.take_events():
            await self._tell(type, **fields)

    async def _tell(self, type: EventType, **fields: Any) -> None:
        if self._config.on_event:
            execution = self._execution
            if "output" in fields:
                # A copy: what a callback does with the output is its own affair.
                fields["output"] = copy.deepcopy(fields["output"])
            event = Event(type=type, session_id=execution.session_id, namespace=execution.namespace, **fields)
            with aborting():
                await self._config.caller.tell(self._config.on_event, event)
