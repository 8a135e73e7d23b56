"""What the agent writes into its transcript, and how it reads back from there what it knows.

Findings live in the transcript, not in the checkpoints. A checkpoint is written after each batch of files; with the
findings of 10,000 files inside, each would repeat all of the one before, and the table would grow with the square of
the number of files. So every batch is one tool call with its result, written once, and a checkpoint only says how far
the graph is. The two stay together through a fork as well: it takes along the messages written up to its checkpoint,
which are the batches that the checkpoint counts.

A call and its result are written together, all or none, once the work is done. A killed agent therefore leaves no call
without its answer, and what stands in the transcript is finished: it is not done again, even where the kill came
before the checkpoint that would have counted it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from example_project.scan.files import Listing, Note
from example_project.scan.report import Report, count
from example_project.scan.rules import Finding
from example_project.scan.search import Batch
from obsku_checkpoint.records import MessageRecord, ToolCall, ToolResult


@dataclass(slots=True)
class Knowledge:
    """All that the transcript tells."""

    #: the user's message is there
    asked: bool = False
    #: None until the files are listed
    listing: Listing | None = None
    #: files that are finished, in the order in which they were searched
    done: dict[str, None] = field(default_factory=dict)
    batches: int = 0
    #: ruleset -> files searched with it
    searched: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    ranked: bool = False
    reported: bool = False

    def add_batch(self, batch: Batch, ruleset: str) -> None:
        """Take in one batch. Files known already stay as they are: two processes may have searched the same."""
        new = [file for file in batch.files if file not in self.done]
        self.batches += 1
        self.searched[ruleset] += len(new)
        self.findings += [finding for finding in batch.findings if finding.file not in self.done]
        self.notes += [note for note in batch.notes if note.file not in self.done]
        self.done.update(dict.fromkeys(new))

    def remaining(self) -> list[str]:
        return [file for file in self.listing.files if file not in self.done] if self.listing else []

    def report(self, session_id: str, directory: str, ranked: list[Finding]) -> Report:
        notes = [*(self.listing.notes if self.listing else []), *self.notes]
        files = {name: number for name, number in self.searched.items() if number}
        return Report(session_id=session_id, directory=directory, files=files, findings=ranked, notes=notes)


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
            _take_in(knowledge, result["toolUseId"], inputs.get(result["toolUseId"]), result["content"])
    return knowledge


def _take_in(knowledge: Knowledge, use: str, input: Any, content: Any) -> None:
    if use == "list":
        notes = [Note.from_json(note) for note in content["notes"]]
        knowledge.listing = Listing(files=content["files"], notes=notes)
    elif use.startswith("search-"):
        batch = Batch(
            files=content["files"],
            findings=[Finding.from_json(finding) for finding in content["findings"]],
            notes=[Note.from_json(note) for note in content["notes"]],
        )
        knowledge.add_batch(batch, input["ruleset"])
    elif use == "rank":
        knowledge.ranked = True


def listing_messages(directory: str, listing: Listing) -> list[dict[str, Any]]:
    content = {"files": listing.files, "notes": [note.as_json() for note in listing.notes]}
    said = f"{count(len(listing.files), 'file')} to search"
    call = _call("list", "list_files", {"directory": directory})
    return _exchange("First the files.", call, said, content)


def batch_messages(number: int, batch: Batch, ruleset: str) -> list[dict[str, Any]]:
    """The call and the result of the batch ``number``, counted from 1."""
    content = {
        "files": batch.files,
        "findings": [finding.as_json() for finding in batch.findings],
        "notes": [note.as_json() for note in batch.notes],
    }
    said = f"{count(len(batch.files), 'file')}, {count(len(batch.findings), 'finding')}"
    call = _call(f"search-{number}", "search_files", {"ruleset": ruleset, "files": len(batch.files)})
    return _exchange("The next files.", call, said, content)


def rank_messages(severities: dict[str, int], worst: Finding | None) -> list[dict[str, Any]]:
    """The order itself is not stored: it follows from the findings, which are."""
    content = {"severities": severities, "worst": worst.as_json() if worst else None}
    said = ", ".join(f"{number} {severity}" for severity, number in severities.items()) or "nothing found"
    call = _call("rank", "rank_findings", {"findings": sum(severities.values())})
    return _exchange("Which are the worst?", call, said, content)


def _call(use: str, tool: str, input: dict[str, Any]) -> ToolCall:
    return {"name": tool, "toolUseId": use, "input": input}


def _exchange(asked: str, call: ToolCall, said: str, content: Any) -> list[dict[str, Any]]:
    result: ToolResult = {"toolUseId": call["toolUseId"], "content": content, "status": "success"}
    return [
        {"role": "assistant", "content": asked, "tool_calls": [call]},
        {"role": "tool", "content": said, "tool_results": [result]},
    ]
