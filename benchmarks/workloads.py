"""The work: what is asked of each system, with which parameters, and what the project promises of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.dataset import CONTENT, TOOL_CALLS, TOOL_RESULTS, node_results
from benchmarks.systems import System


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: threads, or tasks where the system is asynchronous
    clients: int = 1
    #: each a client of its own
    processes: int = 1
    #: whether the clients write to sessions of their own or to one
    own_sessions: bool = True
    #: calls at most, where a call leaves much behind
    most_calls: int = 2000
    #: this and `sqlite` say in which table of the report it stands
    group: str = "core"
    sqlite: bool = False
    #: the only systems that take part, where the others would take too long
    systems: tuple[str, ...] = ()
    #: system -> how many times as fast as it ours must be (medians; by throughput where there are several clients)
    targets: Mapping[str, float] = field(default_factory=dict)
    #: the same of our async calls
    async_targets: Mapping[str, float] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        return self.clients == self.processes == 1

    @property
    def limit(self) -> str:
        """The system whose figures are the limit here."""
        return "limit-sqlite" if self.sqlite else "limit"

    def suits(self, system: System) -> bool:
        return self.sqlite == (system.database == "sqlite") and (not self.systems or system.name in self.systems)


#: a hot write may take 1.35 times the limit's time, a hot read 1.6 times, 8 clients reach 0.7 of its throughput
WRITE, READ, MANY = 1 / 1.35, 1 / 1.6, 0.7
#: a change may cost a twentieth
BEFORE = {"before": 1 / 1.05}
#: an async call may take 1.35 times the sync one's time, 1.15 times that of its statement by hand
ASYNC = {"ours": 1 / 1.35, "limit-async": 1 / 1.15}

STATE_2K, STATE_50K = node_results(2048), node_results(50_000)
PLAIN = {"role": "assistant", "content": CONTENT}
TOOLS = {**PLAIN, "tool_calls": json.loads(TOOL_CALLS), "tool_results": json.loads(TOOL_RESULTS)}
LATEST = {"session": "checkpoints-1000", "checkpoints": 1000, "state": STATE_2K}


def transcript(session: str, count: int, message: Mapping[str, Any], limit: int | None = None) -> dict[str, Any]:
    """``message`` is for the systems that have tables of their own to fill."""
    return {"session": session, "count": count, "message": message, "limit": limit}


CORE = (
    Workload("create-session", "create a session", "create", targets={"limit": WRITE, "npm": 1.0, **BEFORE}),
    Workload(
        "save-2k", "save a checkpoint of 2 KB", "save", {"state": STATE_2K},
        targets={"npm": 1.4, "limit": WRITE, "langgraph": 1.15, **BEFORE},
        async_targets={**ASYNC, "langgraph-async": 1.3},
    ),
    Workload("save-50k", "save a checkpoint of 50 KB", "save", {"state": STATE_50K}, most_calls=600,
             targets={"limit": WRITE, "langgraph": 1 / 1.2, **BEFORE}),
    Workload("add", "add a message of 600 B", "add", {"message": PLAIN},
             targets={"npm": 2.5, "limit": WRITE, **BEFORE}, async_targets=ASYNC),
    Workload("latest", "latest checkpoint of a namespace", "latest", {**LATEST, "namespace": ""},
             targets={"npm": 2, "limit": READ, "langgraph": 4, **BEFORE}, async_targets=ASYNC),
    Workload("latest-any", "latest of 1,000 checkpoints, no namespace given", "latest", {**LATEST, "namespace": None},
             targets={"npm": 5, "limit": READ}),
    Workload("by-id", "a checkpoint by its id", "by_id", {"checkpoint": "latest-500"}, targets={"limit": READ}),
    Workload("transcript-2000", "transcript of 2,000 messages", "transcript", transcript("plain-2000", 2000, PLAIN),
             targets={"npm": 1.5, "limit": READ}),
    Workload("transcript-tools", "transcript of 1,000 messages with tool calls", "transcript",
             transcript("tools-1000", 1000, TOOLS), targets={"npm": 1.2}),
    Workload("last-50", "last 50 of 1,000 messages with tool calls", "transcript",
             transcript("tools-1000", 1000, TOOLS, 50), targets={"npm": 6, "limit": READ}),
    Workload("list-50", "50 of a workspace's 10,000 sessions", "sessions", {"workspace": "busy", "limit": 50},
             targets={"npm": 50, "limit": READ}),
    Workload("fork-2000", "fork a session with 2,000 messages", "fork", {"checkpoint": "end-of-plain-2000"},
             most_calls=12, targets={"npm": 20, "limit": WRITE}),
    Workload("fork-10000", "fork a session with 10,000 messages", "fork", {"checkpoint": "end-of-plain-10000"},
             most_calls=4, targets={"npm": 25, "limit": WRITE}),
)  # fmt: skip

MORE = (
    Workload("save-given", "save a checkpoint of 2 KB, its id given", "save_with_id", {"state": STATE_2K},
             targets={"limit": WRITE}),
    Workload("update-session", "change a session's title", "update", targets={"limit": WRITE}),
    Workload("import-1000", "add 1,000 messages at once", "add_many", {"message": PLAIN, "count": 1000}, most_calls=30,
             targets={"limit": WRITE}),
    # The npm package adds them one by one: a call takes it a quarter of a minute.
    Workload("import-10000", "add 10,000 messages at once", "add_many", {"message": PLAIN, "count": 10_000},
             most_calls=6, systems=("ours", "ours-async", "ours-pool", "limit", "plain-orm"), targets={"limit": WRITE}),
    Workload("summaries-50", "summaries of 50 sessions", "summaries", {"workspace": "busy", "limit": 50}),
    Workload("fork-100", "fork a session with 100 messages", "fork", {"checkpoint": "end-of-plain-100"},
             most_calls=200, targets={"limit": WRITE}),
)  # fmt: skip

#: name, operation, title, parameters, calls at most
_ADD = ("add", "add", "add a message", {"message": PLAIN}, 2000)
_SAVE_2K = ("save", "save", "save a checkpoint of 2 KB", {"state": STATE_2K}, 2000)
_SAVE_50K = ("save-50k", "save", "save a checkpoint of 50 KB", {"state": STATE_50K}, 240)

CONCURRENT = tuple(
    Workload(f"{name}-{clients}-{place}", f"{title}, {clients} clients on {where}", operation, parameters,
             clients=clients, own_sessions=place == "own", most_calls=most_calls, group="concurrent",
             targets={"limit": MANY} if clients == 8 else {},
             async_targets={"limit-async": 0.8, "ours": MANY} if clients == 32 else {})
    for name, operation, title, parameters, most_calls in (_ADD, _SAVE_2K, _SAVE_50K)
    for clients, place, where in (
        (8, "own", "sessions of their own"), (8, "one", "one session"), (32, "own", "sessions of their own"),
    )
    if (name, place) != ("save-50k", "one")
)  # fmt: skip

PROCESSES = tuple(
    Workload(f"{name}-{processes}-processes", f"{title}, {processes} processes on sessions of their own", operation,
             parameters, processes=processes, most_calls=most_calls, group="concurrent", systems=systems,
             targets={"limit": MANY} if processes == 8 else {})
    # It takes long to start 32 processes of all systems.
    for processes, systems in ((8, ()), (32, ("ours", "limit", "npm")))
    for name, operation, title, parameters, most_calls in (_ADD, _SAVE_2K)
)  # fmt: skip


def _tagged(size: int) -> dict[str, Any]:
    """A document with 200 tagged values."""
    tags = [{"__type": "Date", "value": f"2026-01-02T03:04:{n % 60:02}.678Z"} for n in range(100)]
    sets = [{"__type": "Set", "value": [n, n + 1]} for n in range(100)]
    return {**node_results(size), "times": tags, "sets": sets}


def _codec(name: str, title: str, value: Any, targets: Mapping[str, float]) -> tuple[Workload, ...]:
    text = json.dumps(value, separators=(",", ":"))
    return tuple(
        Workload(f"{verb}-{name}", f"{verb} {title}", verb, {"text": text}, group="codec", targets=targets)
        for verb in ("encode", "decode")
    )


CODEC = (
    *_codec("2k", "2 KB", node_results(2048), {"orjson": 1 / 1.5}),
    *_codec("50k", "50 KB", node_results(50_000), {"orjson": 1 / 1.5}),
    *_codec("50k-tags", "50 KB with 200 tagged values", _tagged(50_000), {"json": 1.0}),
    *_codec("1m", "1 MB", node_results(1_000_000), {"orjson": 1 / 1.5}),
)

_ON_SQLITE = (
    "create-session", "save-2k", "save-50k", "add", "latest", "latest-any", "by-id", "transcript-2000",
    "transcript-tools", "last-50", "list-50", "fork-2000", "update-session", "import-1000", "summaries-50",
    "add-8-own", "add-8-processes",
)  # fmt: skip
_ON_POSTGRES = {workload.name: workload for workload in (*CORE, *MORE, *CONCURRENT, *PROCESSES, *CODEC)}
#: nothing is promised of them
ON_SQLITE = tuple(replace(_ON_POSTGRES[name], name=f"sqlite-{name}", sqlite=True, targets={}) for name in _ON_SQLITE)

WORKLOADS = {**_ON_POSTGRES, **{workload.name: workload for workload in ON_SQLITE}}
