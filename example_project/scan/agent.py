"""The agent: a graph of five nodes that any process can go on with at any time.

    list ─┬─► search ↺ ─┬─► rank ──► report
          └─► parse  ↺ ─┘

`search` looks for secrets in all files, `parse` for dangerous calls in the Python ones, each a batch of files at a
time: a cycle, so that there is a checkpoint after each batch. At the first secret, `search` asks whether to go on.

The agent keeps what it does in a checkpoint store and knows nothing but the store's protocol: Django's, the one
without a Django project, or any other will do. `transcript.py` says what is in the messages and why it is not in the
checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from example_project.scan import transcript
from example_project.scan.files import list_files
from example_project.scan.report import Report, count, printable, severities, summary
from example_project.scan.rules import RULES, RULESETS, Finding, Kind
from example_project.scan.search import BATCH_FILES, BATCH_SECONDS, PYTHON, search_files
from example_project.scan.transcript import Work
from obsku_checkpoint.graph import Context, Edge, Event, Graph, RunResult, interrupt, resume, run
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, SessionRecord
from obsku_checkpoint.run_state import read

WORKSPACE = "scan"
ANSWERS = ("yes", "no")
#: the searching nodes, and which rules are theirs
KINDS: dict[str, Kind] = {"search": "secret", "parse": "code"}
#: the files come to an end, not the count of the batches
MAX_BATCHES = 1_000_000

#: a question -> its answer; None leaves it open, for another process to answer
Ask = Callable[[dict[str, Any]], str | None]


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


def is_finished(searched: dict[str, Any]) -> bool:
    return not searched["more"]


class Run:
    """One process at work on one session: reads where it stands, and goes on from there."""

    def __init__(
        self,
        store: CheckpointStore,
        session: SessionRecord,
        *,
        batch_files: int = BATCH_FILES,
        batch_seconds: float = BATCH_SECONDS,
        delay: float = 0.0,
    ) -> None:
        self._store = store
        self._session = session
        self._ruleset: str = session.metadata["ruleset"]
        self._pace: dict[str, Any] = {"batch_files": batch_files, "batch_seconds": batch_seconds, "delay": delay}
        self._knowledge = transcript.read(store.iter_messages(session.id))
        self.graph = Graph(
            entry="list",
            nodes={
                "list": self._list,
                "search": self._search,
                "parse": self._parse,
                "rank": self._rank,
                "report": self._report,
            },
            edges=[
                Edge("list", "search"),
                Edge("list", "parse", condition=lambda listed: listed["python"]),
                Edge("search", "search", back=True, max_iterations=MAX_BATCHES, until=is_finished),
                Edge("parse", "parse", back=True, max_iterations=MAX_BATCHES, until=is_finished),
                Edge("search", "rank"),
                Edge("parse", "rank"),
                Edge("rank", "report"),
            ],
        )
        #: where the session stands before it is run; None if it is new
        self.checkpoint = store.get_latest_checkpoint(session.id, namespace="")

    @property
    def finished(self) -> bool:
        return self.checkpoint is not None and not read(self.checkpoint).pending

    @property
    def files_done(self) -> int:
        return len(self._knowledge.search.done)

    def to_the_end(self, ask: Ask, *, on_event: Callable[[Event], None] | None = None) -> RunResult:
        """Run what is left, unless a node fails or a question stays without an answer.

        Raises `VersionConflictError` when another process works on the same session.
        """
        options = {**self._options, "on_event": on_event}
        place = {"session_id": self._session.id, **options}
        result = resume(self.graph, **place) if self.checkpoint else run(self.graph, input=self._request(), **place)
        while result.question and (answer := ask(result.question)):
            result = resume(self.graph, checkpoint=result.checkpoint, answer=answer, **options)
        return result

    def go_on(self, checkpoint: CheckpointRecord, answers: Mapping[str, Any]) -> RunResult:
        """Run what is left with these answers. Raises `GraphError` where the checkpoint is not the newest any more."""
        return resume(self.graph, checkpoint=checkpoint, answers=answers, **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        # All of it is work for the processor: in threads it would be no faster, and each would need a connection.
        return {"checkpoint_store": self._store, "max_concurrency": 1}

    def report(self) -> Report:
        """What is found so far."""
        return self._knowledge.report(self._session.id, self._session.directory)

    # -- the nodes: each does what is left of its work, and returns what its checkpoint shows

    def _list(self, context: Context) -> Any:
        if self._knowledge.listing is None:
            listing = list_files(self._session.directory)
            self._store.add_messages(context.session_id, transcript.listing_messages(self._session.directory, listing))
            self._knowledge.listing = listing
        files = self._knowledge.files
        return {"files": len(files), "python": sum(file.endswith(PYTHON) for file in files)}

    def _search(self, context: Context) -> Any:
        knowledge, work = self._knowledge, self._knowledge.search
        if work.findings and knowledge.answer is None:
            self._ask(work.findings[0])
        if knowledge.answer == "no":
            return {**self._searched(context.node, work), "more": False}
        # A secret is asked about at once, not after the rest of a batch.
        self._search_a_batch(context.node, work, to_first_finding=knowledge.answer is None)
        output = self._searched(context.node, work)
        return {**output, "more": output["more"] or (bool(work.findings) and knowledge.answer is None)}

    def _parse(self, context: Context) -> Any:
        self._search_a_batch(context.node, self._knowledge.parse)
        return self._searched(context.node, self._knowledge.parse)

    def _rank(self, context: Context) -> Any:
        ranked = self.report().findings
        found = severities(ranked)
        if not self._knowledge.ranked:
            self._store.add_messages(context.session_id, transcript.rank_messages(found, ranked[0] if ranked else None))
        return {"severities": found}

    def _report(self, context: Context) -> Any:
        text = summary(self.report())
        if not self._knowledge.reported:
            self._store.add_message(context.session_id, "assistant", f"The scan is finished: {text}.")
        return {"summary": text}

    # -- within

    def _request(self) -> str:
        text = f"Scan {self._session.directory} for security problems with the ruleset {self._ruleset}."
        if not self._knowledge.asked:
            self._store.add_message(self._session.id, "user", text)
        return text

    def _ask(self, secret: Finding) -> None:
        output = self._searched("search", self._knowledge.search)
        left = count(output["of"] - output["done"], "file")
        reason = f"{printable(secret.file)}:{secret.line} holds a secret ({left} left). Go on?"
        answer = interrupt(reason, options=ANSWERS, excerpt=secret.excerpt, done=output["done"], of=output["of"])
        self._store.add_messages(self._session.id, transcript.answer_messages(secret, answer))
        self._knowledge.answer = answer

    def _search_a_batch(self, node: str, work: Work, *, to_first_finding: bool = False) -> None:
        batches = search_files(
            self._session.directory,
            self._left(node, work),
            self._rules(node),
            to_first_finding=to_first_finding,
            **self._pace,
        )
        for batch in islice(batches, 1):
            messages = transcript.batch_messages(node, work.batches + 1, batch, self._ruleset)
            self._store.add_messages(self._session.id, messages)
            work.add_batch(batch, self._ruleset)

    def _searched(self, node: str, work: Work) -> dict[str, Any]:
        done, left = len(work.done), len(self._left(node, work))
        found = {"findings": len(work.findings), "ruleset": self._ruleset}
        return {"done": done, "of": done + left, **found, "more": left > 0}

    def _left(self, node: str, work: Work) -> list[str]:
        """The files that the node is still to search; none if the ruleset has no rules for it."""
        files = self._knowledge.files if self._rules(node) else []
        return [file for file in files if file not in work.done and (node == "search" or file.endswith(PYTHON))]

    def _rules(self, node: str) -> frozenset[str]:
        return frozenset(rule for rule in RULESETS[self._ruleset] if RULES[rule].kind == KINDS[node])
