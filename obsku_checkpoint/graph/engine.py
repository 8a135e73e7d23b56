"""Does the work of a run: starts the nodes that may start, waits for the first to end, saves, and so on."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.attempts import NestedFailedError, attempt, call_node
from obsku_checkpoint.graph.callers import Caller
from obsku_checkpoint.graph.context import Context, Interrupted
from obsku_checkpoint.graph.definition import Graph, nested_namespace
from obsku_checkpoint.graph.events import Event, EventType
from obsku_checkpoint.graph.execution import Execution
from obsku_checkpoint.graph.results import Outcome, RunResult
from obsku_checkpoint.protocols import UNSET
from obsku_checkpoint.records import CheckpointRecord, Source

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
class Surroundings:
    """What a graph and those nested in it have in common."""

    caller: Caller
    on_checkpoint: OnCheckpoint | None
    on_event: OnEvent | None
    #: bounds the nodes at work at a time
    slots: asyncio.Semaphore
    #: one node at a time
    alone: bool


class Engine:
    def __init__(self, execution: Execution, surroundings: Surroundings) -> None:
        self._execution = execution
        self._around = surroundings
        self._ended: asyncio.Queue[tuple[str, Outcome | BaseException]] = asyncio.Queue()

    async def run(self) -> RunResult:
        """Run all nodes that can be run. Raises `Aborted`."""
        execution = self._execution
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            if execution.changed:
                await self._save(execution.opened_by, execution.origin)
            while True:
                for name in execution.start():
                    tasks[name] = asyncio.create_task(self._work(name, execution.context(name)))
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

    # -- nodes

    async def _work(self, name: str, context: Context) -> None:
        try:
            outcome: Outcome | BaseException = await self._outcome(name, context)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`, which waits for it
            outcome = error
        self._ended.put_nowait((name, outcome))

    async def _outcome(self, name: str, context: Context) -> Outcome:
        node, around = self._execution.graph.nodes[name], self._around
        if isinstance(run := node.run, Graph):
            # It takes no slot: its nodes do.
            await self._tell("node_started", node=name, iteration=context.iteration)
            return await attempt(name, node, partial(self._nested, run, context))
        given = self._execution.results.answers(name)
        async with around.slots:
            await self._tell("node_started", node=name, iteration=context.iteration)
            alone = around.alone and node.timeout is None
            return await attempt(name, node, partial(call_node, run, context, given, around.caller, alone=alone))

    async def _nested(self, graph: Graph, context: Context) -> Any:
        namespace = nested_namespace(context.namespace, context.node)
        last = await self._ask("get_latest_checkpoint", context.session_id, namespace=namespace)
        execution = Execution(graph, context.session_id, namespace, last)
        answer = self._execution.handed_down(context.node)
        with aborting():
            if not execution.belongs_to(context.idempotency_key):
                await self._enter(execution, context)
            elif last:
                execution.restore(last)
            if answer is not UNSET:
                asked = next(iter(execution.questions().values()), None)
                if asked != self._execution.questions().get(context.node):
                    raise GraphError("the question is no longer open: resume without an answer", (context.node,))
                execution.answer(answer)
        result = await Engine(execution, self._around).run()
        if result.status == "failed":
            raise NestedFailedError(result.errors, result.checkpoint.id)
        if result.question is not None:
            raise Interrupted(result.question, result.checkpoint.id)
        return result.outputs

    async def _enter(self, execution: Execution, context: Context) -> None:
        """Begin a nested graph; in a fork, go on with it from where it stood in the session that was forked."""
        if stood := self._execution.results.nested(context.node):
            stored = await self._ask("get_checkpoint", stood)
            if stored and stored.session_id != context.session_id:
                execution.take_over(stored, context.idempotency_key)
                return
        at_entry = context.node == self._execution.graph.entry
        execution.begin(context.idempotency_key, context.input if at_entry else context.outputs)

    # -- the store, and what the caller is told

    async def _record(self, name: str, outcome: Outcome) -> None:
        execution = self._execution
        execution.record(name, outcome)
        if execution.changed:
            await self._save(name, "interrupt" if name in execution.questions() else "loop")

    async def _end(self) -> RunResult:
        """The result; the last checkpoint of an interrupted run is one of its source, whatever ended after it."""
        execution = self._execution
        first = next(iter(execution.result().questions), None)
        if execution.changed or (first and execution.last and execution.last.node_id != first):
            await self._save(first, "interrupt" if first else "loop")
        return execution.result()

    async def _save(self, node: str | None, source: Source) -> None:
        execution = self._execution
        record = await self._ask("save_checkpoint", **execution.checkpoint(node, source))
        execution.saved(record)
        if self._around.on_checkpoint:
            with aborting():
                await self._around.caller.tell(self._around.on_checkpoint, record)
        for name, iteration, result in execution.news():
            if "interrupt" in result:
                await self._tell("interrupted", node=name, iteration=iteration, question=result["interrupt"])
            else:
                status, error = result["status"], result.get("error")
                # A copy: what a callback does with the output is its own affair.
                output = copy.deepcopy(result.get("output")) if self._around.on_event and not error else None
                await self._tell(
                    "node_finished", node=name, iteration=iteration, status=status, output=output, error=error
                )
        await self._tell("checkpoint_saved", node=node, checkpoint=record)

    async def _ask(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        with aborting():
            return await self._around.caller.ask(method, *args, **kwargs)

    async def _tell(self, type: EventType, **fields: Any) -> None:
        if self._around.on_event:
            execution = self._execution
            event = Event(type=type, session_id=execution.session_id, namespace=execution.namespace, **fields)
            with aborting():
                await self._around.caller.tell(self._around.on_event, event)
