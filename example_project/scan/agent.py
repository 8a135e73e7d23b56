"""The agent: a graph of four nodes, run one after the other, that any process can go on with at any time.

    list ──► search ──► rank ──► report

It keeps what it does in a checkpoint store and knows nothing but the store's protocol: Django's, the one without a
Django project, or any other will do. `transcript.py` says what is in the messages and why it is not in the
checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from example_project.scan import transcript
from example_project.scan.files import list_files
from example_project.scan.report import Report, rank, severities, summary
from example_project.scan.rules import RULESETS, Finding
from example_project.scan.search import BATCH_FILES, BATCH_SECONDS, search_files
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, NodeResult, NodeStatus, SessionRecord

WORKSPACE = "scan"
NODES = ("list", "search", "rank", "report")

#: told after each batch: files done, files in all, findings so far, the last file
Watch = Callable[[int, int, int, str], None]


def start(store: CheckpointStore, directory: str, *, title: str, ruleset: str) -> SessionRecord:
    """A new session that scans ``directory``; nothing is scanned before it is run."""
    metadata = {"agent": "scan", "ruleset": ruleset}
    return store.create_session(directory, title=title, workspace_id=WORKSPACE, metadata=metadata)


def fork(
    store: CheckpointStore, checkpoint: CheckpointRecord, *, title: str | None, ruleset: str | None
) -> SessionRecord:
    """A new session that goes on from the checkpoint, with another ruleset for the files that are not searched yet."""
    session = store.fork(checkpoint.id, title=title)
    origin = {"session": checkpoint.session_id, "checkpoint": checkpoint.id}
    metadata = {**session.metadata, "forked_from": origin}
    if ruleset:
        metadata["ruleset"] = ruleset
    return store.update_session(session.id, metadata=metadata)


class Run:
    """One process at work on one session: reads where it stands, and goes on from there."""

    def __init__(
        self,
        store: CheckpointStore,
        session: SessionRecord,
        *,
        watch: Watch | None = None,
        batch_files: int = BATCH_FILES,
        batch_seconds: float = BATCH_SECONDS,
        delay: float = 0.0,
    ) -> None:
        self._store = store
        self._session = session
        self._watch = watch
        self._pace: dict[str, Any] = {"batch_files": batch_files, "batch_seconds": batch_seconds, "delay": delay}
        self._knowledge = transcript.read(store.iter_messages(session.id))
        self._ranked: list[Finding] = []
        self._checkpoint = store.get_latest_checkpoint(session.id, namespace="") or self._begin()

    @property
    def finished(self) -> bool:
        return not self._checkpoint.pending_nodes

    @property
    def files_done(self) -> int:
        return len(self._knowledge.done)

    def to_the_end(self) -> Report:
        """Run the nodes that are left. A session that is finished already only gives its report.

        Raises `VersionConflictError` when another process works on the same session.
        """
        nodes: dict[str, Callable[[], Any]] = {
            "list": self._list,
            "search": self._search,
            "rank": self._rank,
            "report": self._report,
        }
        while pending := self._checkpoint.pending_nodes:
            started = self._started(pending[0])
            output = nodes[pending[0]]()
            self._save(pending[0], "completed", output, started, pending[1:])
        return self._result()

    # -- the nodes: each does what is left of its work, and returns what its checkpoint shows

    def _list(self) -> Any:
        if self._knowledge.listing is None:
            listing = list_files(self._session.directory)
            self._store.add_messages(self._session.id, transcript.listing_messages(self._session.directory, listing))
            self._knowledge.listing = listing
        return {"files": len(self._knowledge.listing.files), "left_out": len(self._knowledge.listing.notes)}

    def _search(self) -> Any:
        knowledge, ruleset = self._knowledge, self._session.metadata["ruleset"]
        started = self._started("search")
        for batch in search_files(self._session.directory, knowledge.remaining(), RULESETS[ruleset], **self._pace):
            messages = transcript.batch_messages(knowledge.batches + 1, batch, ruleset)
            self._store.add_messages(self._session.id, messages)
            knowledge.add_batch(batch, ruleset)
            self._save("search", "running", self._searched(), started, self._checkpoint.pending_nodes)
            if self._watch:
                output = self._searched()
                self._watch(output["done"], output["of"], output["findings"], batch.files[-1])
        return self._searched()

    def _rank(self) -> Any:
        self._ranked = rank(self._knowledge.findings)
        found = severities(self._ranked)
        if not self._knowledge.ranked:
            worst = self._ranked[0] if self._ranked else None
            self._store.add_messages(self._session.id, transcript.rank_messages(found, worst))
        return {"severities": found}

    def _report(self) -> Any:
        text = summary(self._result())
        if not self._knowledge.reported:
            self._store.add_message(self._session.id, "assistant", f"The scan is finished: {text}.")
        return {"summary": text}

    # -- what is known

    def _searched(self) -> dict[str, Any]:
        knowledge = self._knowledge
        return {
            "done": len(knowledge.done),
            "of": len(knowledge.listing.files) if knowledge.listing else 0,
            "findings": len(knowledge.findings),
            "ruleset": self._session.metadata["ruleset"],
        }

    def _result(self) -> Report:
        ranked = self._ranked or rank(self._knowledge.findings)
        return self._knowledge.report(self._session.id, self._session.directory, ranked)

    # -- checkpoints

    def _begin(self) -> CheckpointRecord:
        if not self._knowledge.asked:
            ruleset = self._session.metadata["ruleset"]
            text = f"Scan {self._session.directory} for security problems with the ruleset {ruleset}."
            self._store.add_message(self._session.id, "user", text)
        return self._store.save_checkpoint(
            self._session.id, step=0, node_results={}, pending_nodes=NODES, version=1, source="input"
        )

    def _save(self, node: str, status: NodeStatus, output: Any, started: int, pending: list[str]) -> None:
        result: NodeResult = {"status": status, "output": output, "startedAt": started}
        if status == "completed":
            result["completedAt"] = _now()
        last = self._checkpoint
        self._checkpoint = self._store.save_checkpoint(
            self._session.id,
            step=last.step + 1,
            node_id=node,
            node_results={**last.node_results, node: result},
            pending_nodes=pending,
            parent_id=last.id,
            # Not just the next free one: if another process saved it first, both are at work on this session.
            version=last.version + 1,
        )

    def _started(self, node: str) -> int:
        """When the node began: in an earlier process, perhaps."""
        result = self._checkpoint.node_results.get(node)
        return int(result["startedAt"]) if result and "startedAt" in result else _now()


def _now() -> int:
    return time.time_ns() // 1_000_000
