"""What the agent writes into its transcript, and how it reads back from there what it knows.

Findings live in the transcript, not in the checkpoints. A checkpoint is written after each batch of files; with the
findings of 10,000 files inside, each would repeat all of the one before, and the table would grow with the square of
the number of files. So every batch is one tool call with its result, written once, and a checkpoint only says how far
the graph is. The two stay together through a fork as well: it takes along the messages written up to its checkpoint,
which are the batches that the checkpoint counts.

A call and its result are written together, all or none, once the work is done. A killed agent therefore leaves no call
without its answer, and what stands in the transcript is finished: it is not done again, even where the kill came
before the checkpoint that would have counted it.

A result's text is what a person or a model reads of it; what the agent reads back is its data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from example_project.scan.files import Listing, Note
from example_project.scan.report import Report, count, rank
from example_project.scan.rules import Finding
from example_project.scan.search import Batch
from obsku_checkpoint.records import MessageRecord, ToolCall, ToolResult


@dataclass(slots=True)
class Work:
    """What one of the searching nodes has done so far."""

    #: files that are finished, in the order in which they were searched
    done: dict[str, None] = field(default_factory=dict)
    batches: int = 0
    #: ruleset -> files searched with it
    searched: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def add_batch(self, batch: Batch, ruleset: str) -> None:
        """Take in one batch. Files known already stay as they are: two processes may have searched the same."""
        new = [file for file in batch.files if file not in self.done]
        self.batches += 1
        self.searched[ruleset] += len(new)
        self.findings += [finding for finding in batch.findings if finding.file not in self.done]
        self.notes += [note for note in batch.notes if note.file not in self.done]
        self.done.update(dict.fromkeys(new))


@dataclass(slots=True)
class Knowledge:
    """All that the transcript tells."""

    #: the user's message is there
    asked: bool = False
    #: None until the files are listed
    listing: Listing | None = None
    #: secrets in all files
    search: Work = field(default_factory=Work)
    #: dangerous calls in the Python files
    parse: Work = field(default_factory=Work)
    #: what the person said about the first secret
    answer: str | None = None
    ranked: bool = False
    reported: bool = False

    @property
    def files(self) -> list[str]:
        return self.listing.files if self.listing else []

    @property
    def findings(self) -> list[Finding]:
        return [*self.search.findings, *self.parse.findings]

    def report(self, session_id: str, directory: str) -> Report:
        notes = [*(self.listing.notes if self.listing else []), *self.search.notes, *self.parse.notes]
        return Report(
            session_id=session_id,
            directory=directory,
            files={name: number for name, number in self.search.searched.items() if number},
            findings=rank(self.findings),
            # Both nodes note a file that neither can read.
            notes=list(dict.fromkeys(notes)),
            not_searched=len(self.files) - len(self.search.done),
        )


def read(messages: Iterable[MessageRecord]) -> Knowledge:
    """What the agent knows after these messages. What is not of its own making is passed over."""
    knowledge = Knowledge()
    inputs: dict[str, Any] = {}
    for message in messages:
        if message.role == "user":
            knowledge.asked = True
        elif message.role == "assistant" and not message.tool_calls:
            knowledge.reported = True
        for call in message.tool_calls or ():
            inputs[call["toolUseId"]] = call["input"]
        for result in message.tool_results or ():
            _take_in(knowledge, result["toolUseId"], inputs.get(result["toolUseId"]), result.get("data"))
    return knowledge


def _take_in(knowledge: Knowledge, use: str, input: Any, data: Any) -> None:
    node = use.partition("-")[0]
    if use == "list":
        notes = [Note.from_json(note) for note in data["notes"]]
        knowledge.listing = Listing(files=data["files"], notes=notes)
    elif node in ("search", "parse"):
        batch = Batch(
            files=data["files"],
            findings=[Finding.from_json(finding) for finding in data["findings"]],
            notes=[Note.from_json(note) for note in data["notes"]],
        )
        work: Work = getattr(knowledge, node)
        work.add_batch(batch, input["ruleset"])
    elif use == "ask":
        knowledge.answer = data
    elif use == "rank":
        knowledge.ranked = True


def listing_messages(directory: str, listing: Listing) -> list[dict[str, Any]]:
    data = {"files": listing.files, "notes": [note.as_json() for note in listing.notes]}
    said = f"{count(len(listing.files), 'file')} to search"
    call = _call("list", "list_files", {"directory": directory})
    return _exchange("First the files.", call, said, data)


def batch_messages(node: str, number: int, batch: Batch, ruleset: str) -> list[dict[str, Any]]:
    """The call and the result of the node's batch ``number``, counted from 1."""
    data = {
        "files": batch.files,
        "findings": [finding.as_json() for finding in batch.findings],
        "notes": [note.as_json() for note in batch.notes],
    }
    said = f"{count(len(batch.files), 'file')}, {count(len(batch.findings), 'finding')}"
    call = _call(f"{node}-{number}", f"{node}_files", {"ruleset": ruleset, "files": len(batch.files)})
    return _exchange("Next.", call, said, data)


def answer_messages(secret: Finding, answer: str) -> list[dict[str, Any]]:
    call = _call("ask", "ask_person", {"file": secret.file, "line": secret.line})
    return _exchange("A secret: shall I go on?", call, answer, answer)


def rank_messages(severities: dict[str, int], worst: Finding | None) -> list[dict[str, Any]]:
    """The order itself is not stored: it follows from the findings, which are."""
    data = {"severities": severities, "worst": worst.as_json() if worst else None}
    said = ", ".join(f"{number} {severity}" for severity, number in severities.items()) or "nothing found"
    call = _call("rank", "rank_findings", {"findings": sum(severities.values())})
    return _exchange("Which are the worst?", call, said, data)


def _call(use: str, tool: str, input: dict[str, Any]) -> ToolCall:
    return {"name": tool, "toolUseId": use, "input": input}


def _exchange(asked: str, call: ToolCall, said: str, data: Any) -> list[dict[str, Any]]:
    result: ToolResult = {"toolUseId": call["toolUseId"], "content": said, "data": data, "status": "success"}
    return [
        {"role": "assistant", "content": asked, "tool_calls": [call]},
        {"role": "tool", "content": said, "tool_results": [result]},
    ]
