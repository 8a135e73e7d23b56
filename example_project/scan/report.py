"""Ranks what was found, and shows it: to a person, to a program, and in one sentence."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from example_project.scan.files import NOT_TEXT, Note
from example_project.scan.python_rules import is_test
from example_project.scan.rules import CONFIDENCES, RULES, SEVERITIES, Finding, Rule

NOTES_SHOWN = 10

#: colours a text for a severity (or another style); without colours it gives the text back
Paint = Callable[[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    session_id: str
    directory: str
    #: ruleset -> files searched with it; a fork with another ruleset has two
    files: Mapping[str, int]
    #: worst first
    findings: list[Finding]
    notes: list[Note]
    #: files that nobody looked for secrets in, because the scan is not finished or was told to stop
    not_searched: int


def plain(text: str, _style: str) -> str:
    return text


def rank(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, worst first: by severity, then confidence; real code before tests."""
    order = list(RULES)

    def place(finding: Finding) -> tuple[int, int, int, bool, str, int]:
        rule = RULES[finding.rule]
        return (
            SEVERITIES.index(rule.severity),
            CONFIDENCES.index(rule.confidence),
            order.index(rule.id),
            is_test(finding.file),
            finding.file,
            finding.line,
        )

    return sorted(findings, key=place)


def severities(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each severity, worst first; those without any are left out."""
    found = Counter(RULES[finding.rule].severity for finding in findings)
    return {severity: found[severity] for severity in SEVERITIES if found[severity]}


def summary(report: Report) -> str:
    """The report in one sentence."""
    total = sum(report.files.values())
    counts = ", ".join(f"{number} {severity}" for severity, number in severities(report.findings).items())
    sentence = f"{count(total, 'file')}, {count(len(report.findings), 'finding')}"
    return f"{sentence} ({counts})" if counts else sentence


def as_text(report: Report, *, paint: Paint = plain, limit: int | None = None, width: int = 1000) -> str:
    """The report for a person, at most ``limit`` findings of it, on a terminal of so many columns."""
    lines = [f"Security scan of {printable(report.directory)}"]
    shown = report.findings[:limit]
    for rule, group in groupby(shown, key=lambda finding: RULES[finding.rule]):
        lines += ["", *_heading(rule, paint, width)]
        for finding in group:
            lines += [f"  {printable(finding.file)}:{finding.line}", cut(f"      {finding.excerpt}", width)]
    if len(shown) < len(report.findings):
        lines += ["", f"… and {len(report.findings) - len(shown)} more."]
    if limit is None and report.notes:
        lines += ["", "Not searched, or not fully:", *_notes(report.notes)]
    if report.not_searched:
        lines += ["", f"Stopped early: {count(report.not_searched, 'file')} not searched for secrets."]
    rulesets = ", ".join(
        f"{number} with ruleset {name}" if len(report.files) > 1 else f"ruleset {name}"
        for name, number in report.files.items()
    )
    lines += ["", f"{summary(report)}; {rulesets}." if rulesets else f"{summary(report)}."]
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """The report for a program."""
    return {
        "session": report.session_id,
        "directory": printable(report.directory),
        "files": sum(report.files.values()),
        "files_by_ruleset": dict(report.files),
        "files_not_searched": report.not_searched,
        "findings_by_severity": severities(report.findings),
        "findings": [_finding_as_json(finding) for finding in report.findings],
        "notes": [{"file": printable(note.file), "reason": note.reason} for note in report.notes],
    }


def printable(path: str) -> str:
    """The path with a backslash escape for what no terminal shows: names need not be valid text."""
    path = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in path)


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _heading(rule: Rule, paint: Paint, width: int) -> list[str]:
    severity, which = f"{rule.severity.upper():<8}", f"[{rule.id}, {rule.confidence} confidence]"
    line = f"{paint(severity, rule.severity)}  {rule.message}"
    if len(f"{severity}  {rule.message}  {which}") <= width:
        return [f"{line}  {which}"]
    return [line, f"{'':<10}{which}"]


def _notes(notes: list[Note]) -> list[str]:
    # Every larger project has images: the number is enough.
    binary = sum(note.reason == NOT_TEXT for note in notes)
    others = [note for note in notes if note.reason != NOT_TEXT]
    lines = [f"  {printable(note.file)}: {note.reason}" for note in others[:NOTES_SHOWN]]
    if len(others) > NOTES_SHOWN:
        lines.append(f"  … and {count(len(others) - NOTES_SHOWN, 'file')} more")
    if binary:
        lines.append(f"  {count(binary, 'file')} {'is' if binary == 1 else 'are'} not text")
    return lines


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    rule = RULES[finding.rule]
    return {
        **finding.as_json(),
        "file": printable(finding.file),
        "severity": rule.severity,
        "confidence": rule.confidence,
        "message": rule.message,
    }
