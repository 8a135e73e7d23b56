"""`run` and `resume`, and their async forms."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from obsku_checkpoint.errors import GraphError
from obsku_checkpoint.graph.attempts import is_async
from obsku_checkpoint.graph.callers import AsyncCaller, Caller, SyncCaller
from obsku_checkpoint.graph.context import Recalled
from obsku_checkpoint.graph.definition import Graph
from obsku_checkpoint.graph.enclosing import enclosing_run
from obsku_checkpoint.graph.engine import Aborted, Engine, OnCheckpoint, OnEvent, RunConfig
from obsku_checkpoint.graph.execution import Execution
from obsku_checkpoint.graph.memory import Memory, MemoryOfRun
from obsku_checkpoint.graph.results import RunResult
from obsku_checkpoint.protocols import UNSET, CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, SessionRecord
from obsku_checkpoint.run_state import SEPARATOR

MAX_CONCURRENCY = 8

#: characters of an input that begin a title
TITLE_CHARACTERS = 80

Open = Callable[[Caller], Awaitable[Execution]]


class NewSession:
    """What a session is made with."""

    def __init__(self, title: str | None, workspace_id: str | None, input: Any) -> None:
        self.is_named = title is not None or workspace_id is not None
        self.title = _beginning(input) if title is None and isinstance(input, str) else title
        self.workspace_id = workspace_id


def _beginning(text: str) -> str | None:
    """The text in one line, as a title can hold it."""
    line = " ".join(text[: 20 * TITLE_CHARACTERS].split())
    line = "".join(character for character in line if character.isprintable())
    return f"{line[: TITLE_CHARACTERS - 1].rstrip()}…" if len(line) > TITLE_CHARACTERS else line or None


class Options(TypedDict, total=False):
    """What all ways to run a graph have in common."""

    #: nodes at work at a time, those of nested graphs among them (8). With 1, `run` and `resume` call sync nodes in
    #: the caller's own thread, and so within its transaction.
    max_concurrency: int
    #: called with each checkpoint (`CheckpointRecord`) after it is saved
    on_checkpoint: OnCheckpoint | None
    #: called with each `Event`
    on_event: OnEvent | None
    #: what is known from before, and what is learned: see `Memory`
    memory: Memory | None


def run(
    graph: Graph,
    *,
    checkpoint_store: CheckpointStore,
    input: Any = None,
    session_id: str | None = None,
    namespace: str = "",
    title: str | None = None,
    workspace_id: str | None = None,
    from_checkpoint: SessionRecord | CheckpointRecord | None = None,
    **options: Unpack[Options],
) -> RunResult:
    """Run the graph from its entry, and save a checkpoint after each node.

    A session is made where no ``session_id`` is given, with this title (or the beginning of an ``input`` that is text)
    and workspace; a session may hold any number of runs, one after the other. ``input`` is what every node finds in its
    context; it is kept in the checkpoints, so the store must be able to.

    With ``from_checkpoint`` the run goes on from there instead: from a fork, as `CheckpointStore.fork` returns it (or
    another session, in ``namespace``), or from a checkpoint that is the newest of its namespace. The graph may have
    changed nodes by then, and ``input``, if given, replaces that of the checkpoint for the nodes still to run.

    Store and callbacks are called in the caller's thread, nodes beside each other in others; where the caller is in a
    transaction of the store's database, sync nodes one after the other in the caller's as well. A node that raises is
    not an error of the run: the result's status says so. Raises `VersionConflictError` when another process works on
    the same run, any other error of the store or a callback, and `GraphError` for arguments that do not fit. While the
    database is away, a checkpoint is saved again for 10 seconds.
    """
    new = NewSession(title, workspace_id, input)
    return _sync(checkpoint_store, graph, _opening(graph, input, session_id, namespace, new, from_checkpoint), options)


async def arun(
    graph: Graph,
    *,
    checkpoint_store: CheckpointStore,
    input: Any = None,
    session_id: str | None = None,
    namespace: str = "",
    title: str | None = None,
    workspace_id: str | None = None,
    from_checkpoint: SessionRecord | CheckpointRecord | None = None,
    **options: Unpack[Options],
) -> RunResult:
    """`run` on the event loop: the store's async twins, sync nodes in threads, callbacks sync or async."""
    new = NewSession(title, workspace_id, input)
    open = _opening(graph, input, session_id, namespace, new, from_checkpoint)
    return await _async(checkpoint_store, graph, open, options)


def resume(
    graph: Graph,
    *,
    checkpoint_store: CheckpointStore,
    session_id: str | None = None,
    namespace: str = "",
    checkpoint: CheckpointRecord | None = None,
    answer: Any = UNSET,
    answers: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> RunResult:
    """Go on with the newest run of the session's namespace: what failed or never ran is run, what is finished is not.

    ``answers`` are for open questions, by their paths (`RunResult.questions`): ``{"approve": "yes"}``, of a node in a
    nested graph ``{"write/approve": "no"}``. ``answer`` is one for the first question. Answers are saved before the
    nodes are run again, so they are given once, whatever happens then. Nodes whose question has no answer yet are left
    alone. A run that is complete gives its result again.

    ``checkpoint`` is the one that the answers are for, and brings its session and namespace. Where it is not the newest
    any more, the answers came too late (a double click, a task that was delivered twice): `GraphError`, and nothing is
    run. Without it they are for whatever is asked at the end of the run.

    While another process is at work on the run, answers for a ``checkpoint`` are kept for it, and nothing is run here
    (the result's status is ``working``); other answers are refused. If that process is dead, `resume` without answers.

    Raises `GraphError` also for an answer that is none of its question's options, and what `run` does.
    """
    reopen = _reopening(graph, session_id, namespace, checkpoint, answer, answers)
    return _sync(checkpoint_store, graph, reopen, options)


async def aresume(
    graph: Graph,
    *,
    checkpoint_store: CheckpointStore,
    session_id: str | None = None,
    namespace: str = "",
    checkpoint: CheckpointRecord | None = None,
    answer: Any = UNSET,
    answers: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> RunResult:
    """`resume` on the event loop, as `arun` is `run`."""
    reopen = _reopening(graph, session_id, namespace, checkpoint, answer, answers)
    return await _async(checkpoint_store, graph, reopen, options)


def _opening(
    graph: Graph,
    input: Any,
    session_id: str | None,
    namespace: str,
    new: NewSession,
    from_checkpoint: SessionRecord | CheckpointRecord | None,
) -> Open:
    if (from_checkpoint is not None or session_id is not None) and new.is_named:
        raise GraphError("title and workspace_id are for a session that is made")
    if from_checkpoint is not None:
        if not isinstance(from_checkpoint, SessionRecord | CheckpointRecord):
            raise GraphError("from_checkpoint must be a SessionRecord or a CheckpointRecord")
        if session_id is not None or (namespace and isinstance(from_checkpoint, CheckpointRecord)):
            raise GraphError("from_checkpoint brings its own session and namespace")

    async def open(caller: Caller) -> Execution:
        if isinstance(from_checkpoint, SessionRecord):
            return await _newest_run(caller, graph, from_checkpoint.id, namespace, input)
        if from_checkpoint is not None:
            place = (from_checkpoint.session_id, from_checkpoint.namespace)
            last = await caller.ask("get_latest_checkpoint", place[0], namespace=place[1])
            if last is None or last.id != from_checkpoint.id:
                raise GraphError(f"checkpoint {from_checkpoint.id} is not the newest of its namespace: fork it first")
            around = await enclosing_run(caller, graph, last, input=input)
            return around or Execution.restored(graph, last, input=input)
        session = session_id
        if session is None:
            named = {"title": new.title, "workspace_id": new.workspace_id}
            session = (await caller.ask("create_session", str(Path.cwd()), **named)).id
        last = await caller.ask("get_latest_checkpoint", session, namespace=namespace)
        return Execution.begun(graph, session, namespace, last, input=input)

    return open


async def _newest_run(caller: Caller, graph: Graph, session_id: str, namespace: str, input: Any) -> Execution:
    """That of the namespace; without one, of the outermost graph which the session has."""
    last: CheckpointRecord | None = await caller.ask("get_latest_checkpoint", session_id, namespace=namespace)
    if last is None and not namespace:
        last = await caller.ask("get_latest_checkpoint", session_id)
        # The newest may be that of a nested graph.
        names = last.namespace.split(SEPARATOR) if last else []
        for length in range(1, len(names)):
            outer = SEPARATOR.join(names[:length])
            if around := await caller.ask("get_latest_checkpoint", session_id, namespace=outer):
                last = around
                break
        if last and (execution := await enclosing_run(caller, graph, last, input=input)):
            return execution
    if last is None:
        where = f" in namespace {namespace!r}" if namespace else ""
        raise GraphError(f"session {session_id} has no checkpoint to go on from{where}")
    return Execution.restored(graph, last, input=input)


async def _run_to_resume(
    caller: Caller, graph: Graph, session_id: str, namespace: str, checkpoint: CheckpointRecord | None
) -> Execution:
    last = await caller.ask("get_latest_checkpoint", session_id, namespace=namespace)
    if checkpoint is not None and (last is None or last.id != checkpoint.id):
        raise GraphError(f"checkpoint {checkpoint.id} is not the newest any more: the run has gone on since")
    if last is not None:
        return await enclosing_run(caller, graph, last) or Execution.restored(graph, last)
    newest = None if namespace else await caller.ask("get_latest_checkpoint", session_id)
    if newest is not None and (execution := await enclosing_run(caller, graph, newest)):
        return execution
    raise GraphError(f"session {session_id} has no checkpoint to resume in namespace {namespace!r}")


def _reopening(
    graph: Graph,
    session_id: str | None,
    namespace: str,
    checkpoint: CheckpointRecord | None,
    answer: Any,
    answers: Mapping[str, Any] | None,
) -> Open:
    if answer is not UNSET and answers is not None:
        raise GraphError("give either answer or answers")
    if checkpoint is not None:
        if (session_id or checkpoint.session_id, namespace or checkpoint.namespace) != _place(checkpoint):
            raise GraphError(f"checkpoint {checkpoint.id} is of another session or namespace")
        session_id, namespace = _place(checkpoint)
    if session_id is None:
        raise GraphError("resume needs a session_id or a checkpoint")
    session = session_id

    async def open(caller: Caller) -> Execution:
        execution = await _run_to_resume(caller, graph, session, namespace, checkpoint)
        if answer is not UNSET or answers:
            if execution.saved_working and checkpoint is None:
                raise GraphError(
                    "nodes are at work, so nothing waits for an answer yet: name the checkpoint that it is for, or, if"
                    " their process is dead, resume without an answer",
                    (*execution.saved_working,),
                )
            # Of a checkpoint inside a nested graph, the paths begin there.
            inside = namespace.removeprefix(execution.namespace).removeprefix(SEPARATOR)
            paths = {f"{inside}{SEPARATOR}{path}" if inside else path: one for path, one in (answers or {}).items()}
            execution.answer(paths or None, answer)
        return execution

    return open


def _place(checkpoint: CheckpointRecord) -> tuple[str, str]:
    return checkpoint.session_id, checkpoint.namespace


def _sync(store: CheckpointStore, graph: Graph, open: Open, options: Options) -> RunResult:
    for name in ("on_checkpoint", "on_event"):
        if inspect.iscoroutinefunction(options.get(name)):
            raise GraphError(f"{name} must be sync here: it can be async for arun and aresume")
    caller = SyncCaller(store)
    try:
        return caller.run(lambda: _run(caller, graph, open, options))
    finally:
        caller.close()


async def _async(store: CheckpointStore, graph: Graph, open: Open, options: Options) -> RunResult:
    caller = AsyncCaller(store)
    try:
        return await _run(caller, graph, open, options)
    finally:
        caller.close()


async def _run(caller: Caller, graph: Graph, open: Open, options: Options) -> RunResult:
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(f"unexpected keyword arguments: {', '.join(sorted(unknown))}")
    limit = options.get("max_concurrency", MAX_CONCURRENCY)
    if type(limit) is not int or limit < 1:
        raise GraphError("max_concurrency must be 1 or more")
    await caller.begin()
    if caller.in_transaction and (limited := tuple(_with_time_limits(graph))):
        raise GraphError("a sync node cannot have a time limit where the caller is in a transaction", limited)
    execution = await open(caller)
    opened, memory = execution.last, None
    if (given := options.get("memory")) and not execution.has_answers_to_keep:
        memory = await MemoryOfRun.begun(given, caller, execution.session_id, execution.run.input)
    config = RunConfig(
        caller=caller,
        on_checkpoint=options.get("on_checkpoint"),
        on_event=options.get("on_event"),
        max_concurrency=limit,
        slots=asyncio.Semaphore(limit),
        memory=memory.recalled if memory else Recalled(),
    )
    try:
        engine = Engine(execution, config)
        result = await (engine.keep() if execution.has_answers_to_keep else engine.run())
    except Aborted as aborted:
        raise aborted.error from aborted.error.__cause__
    if memory and result.status == "complete" and result.checkpoint != opened:
        await memory.end(result)
    return result


def _with_time_limits(graph: Graph, prefix: str = "") -> Iterator[str]:
    """The paths of the sync nodes that have one."""
    for name, node in graph.nodes.items():
        if isinstance(node.run, Graph):
            yield from _with_time_limits(node.run, f"{prefix}{name}{SEPARATOR}")
        elif node.timeout is not None and not is_async(node.run):
            yield f"{prefix}{name}"
