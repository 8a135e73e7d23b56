"""What is looked for: every rule on one page, and the rulesets made of them.

How a rule is found is written in `text_rules.py` (secrets, in any text file) and `python_rules.py` (dangerous calls,
in the syntax tree of Python files).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

Severity = Literal["critical", "high", "medium", "low"]
Confidence = Literal["high", "medium", "low"]
Kind = Literal["secret", "code"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    kind: Kind
    severity: Severity
    #: how likely a finding is a real one
    confidence: Confidence
    message: str
    #: too many false alarms for every day
    strict_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place in one file that a rule points at."""

    rule: str
    #: relative to the scanned directory, with "/" between its parts
    file: str
    line: int
    #: the line, shortened, with every secret masked
    excerpt: str

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "file": self.file, "line": self.line, "excerpt": self.excerpt}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(rule=value["rule"], file=value["file"], line=value["line"], excerpt=value["excerpt"])


RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule("private-key", "secret", "critical", "high", "a private key"),
        Rule("aws-key", "secret", "critical", "high", "an AWS access key"),
        Rule("github-token", "secret", "critical", "high", "a GitHub token"),
        Rule("slack-token", "secret", "critical", "high", "a Slack token"),
        Rule("stripe-key", "secret", "critical", "high", "a live Stripe key"),
        Rule("google-key", "secret", "high", "high", "a Google API key"),
        Rule("jwt", "secret", "medium", "medium", "a signed token (JWT)"),
        Rule("url-password", "secret", "high", "medium", "a password inside a URL"),
        Rule(
            "secret-value", "secret", "high", "medium", "a fixed value that looks random for a password, key or token"
        ),
        Rule("weak-secret", "secret", "medium", "low", "a fixed value for a password, key or token", True),
        Rule("eval", "code", "high", "high", "eval or exec of text that is not fixed"),
        Rule("unsafe-load", "code", "high", "medium", "reading this format can run code: pickle, marshal, shelve"),
        Rule("yaml-load", "code", "high", "high", "yaml.load without a safe loader can run code"),
        Rule("shell", "code", "high", "high", "a command that is not fixed is run by a shell"),
        Rule("shell-fixed", "code", "low", "high", "a fixed command is run by a shell", True),
        Rule("mktemp", "code", "medium", "high", "tempfile.mktemp: another process can take the name first"),
        Rule("weak-hash", "code", "medium", "medium", "MD5 and SHA-1 do not protect anything"),
        Rule("no-tls-check", "code", "high", "high", "the server's certificate is not checked"),
        Rule("mark-safe", "code", "medium", "medium", "mark_safe of text that is not fixed: HTML injection"),
        Rule("sql-text", "code", "high", "medium", "SQL built from values: pass them as parameters"),
        Rule("assert", "code", "low", "medium", "assert is left out with python -O: no check for real work", True),
        Rule(
            "extract-all", "code", "medium", "low", "extractall without a filter: the archive says where to write", True
        ),
        Rule("no-timeout", "code", "low", "high", "a request without a timeout can wait for ever", True),
    )
}

RULESETS: dict[str, frozenset[str]] = {
    "default": frozenset(rule.id for rule in RULES.values() if not rule.strict_only),
    "secrets": frozenset(rule.id for rule in RULES.values() if rule.kind == "secret" and not rule.strict_only),
    "strict": frozenset(RULES),
}
