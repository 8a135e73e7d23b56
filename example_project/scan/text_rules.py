"""Secrets in text: how each rule of the kind "secret" is found, and how secrets are masked.

Every repetition in the patterns is bounded, so that one line of a megabyte costs no more than a thousand short ones.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator

EXCERPT_CHARACTERS = 100
#: bits per character: words and names stay below, random characters come out above
RANDOM_ENTROPY = 3.5

_NAME = r"(?i:password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)"

#: The most telling first: where two patterns overlap, the first counts. The group ``secret`` is what gets masked.
PATTERNS: dict[str, re.Pattern[str]] = {
    # What follows on the same line is the key itself, as in a string with "\\n" inside.
    "private-key": re.compile(
        r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<secret>[^\n]{16,4000}|)"
    ),
    "aws-key": re.compile(r"\b(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16})\b"),
    "github-token": re.compile(r"\b(?P<secret>gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b"),
    "slack-token": re.compile(r"\b(?P<secret>xox[abeoprs]-[0-9A-Za-z-]{10,255})"),
    "stripe-key": re.compile(r"\b(?P<secret>[rs]k_live_[0-9A-Za-z]{16,255})\b"),
    "google-key": re.compile(r"\b(?P<secret>AIza[0-9A-Za-z_-]{35})(?![0-9A-Za-z_-])"),
    "jwt": re.compile(r"\b(?P<secret>eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000})"),
    "url-password": re.compile(
        r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@'\"<>{}]{0,64}:(?P<secret>[^\s:/@'\"]{3,128})@[\w.\[-]"
    ),
    # name = "value", "name": "value", name: 'value'
    "secret-value": re.compile(
        rf"{_NAME}[\w.-]{{0,40}}[\"']?\s{{0,8}}(?::\s{{0,4}}str\s{{0,4}}=|:=|[:=])\s{{0,8}}"
        rf"[rbuf]?(?P<quote>[\"'])(?P<secret>[^\"'\s]{{8,200}})(?P=quote)"
    ),
    # NAME=value on a line of its own, as in .env files: no quotes and no spaces
    "secret-value-unquoted": re.compile(
        rf"^(?:export )?[A-Z0-9_.]{{0,40}}(?=[A-Z]){_NAME}[A-Z0-9_.]{{0,40}}=(?P<secret>[^\"'\s(]{{8,200}})$",
        re.MULTILINE,
    ),
}

_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|change.?me|your[_-]|dummy|redacted|x{4,}|\*{3,}|\.{3}|^\$|\$\{|\{\{|%\(|^<|^\{"
    r"|^(?:user|username|pass|password|passwd|secret|token|pw|postgres)$"
)


def find_secrets(text: str) -> Iterator[tuple[str, int]]:
    """(rule, line) of each secret in the text, in the order of `PATTERNS`."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    taken: list[tuple[int, int]] = []
    for name, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            rule = _judge(name, match)
            if rule and _take(taken, match.span()):
                yield rule, bisect_right(starts, match.start())


def excerpt(line: str) -> str:
    """The line in at most `EXCERPT_CHARACTERS` printable characters, without its secrets.

    Excerpts go to the terminal and into the database: neither is a place for secrets.
    """
    # Far longer than what is shown, and no secret is cut in two: a half would not be recognised.
    line = mask(line.strip()[:4000])
    line = "".join(character if character.isprintable() else "\ufffd" for character in line)
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"


def mask(line: str) -> str:
    """The line with four characters of each secret and their number instead of the rest."""
    for pattern in PATTERNS.values():
        line = pattern.sub(_mask_match, line)
    return line


def entropy(value: str) -> float:
    """Bits per character, from how often each character occurs in the value."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def _take(taken: list[tuple[int, int]], span: tuple[int, int]) -> bool:
    """Keep ``span`` in order among those taken; False where it overlaps one of them."""
    place = bisect_right(taken, span)
    free = (place == 0 or taken[place - 1][1] <= span[0]) and (place == len(taken) or span[1] <= taken[place][0])
    if free:
        taken.insert(place, span)
    return free


def _judge(name: str, match: re.Match[str]) -> str | None:
    """The rule that the match belongs to; None for what only looks like a secret."""
    secret = match["secret"]
    if name == "private-key":
        return name
    if _PLACEHOLDER.search(secret):
        return None
    if not name.startswith("secret-value"):
        return name
    if entropy(secret) >= RANDOM_ENTROPY and re.search("[0-9]", secret) and re.search("[A-Za-z]", secret):
        return name.removesuffix("-unquoted")
    return "weak-secret"


def _mask_match(match: re.Match[str]) -> str:
    secret = match["secret"]
    if not secret or "…[" in secret:  # masked by an earlier pattern
        return match[0]
    start, end = (position - match.start() for position in match.span("secret"))
    shown = secret[:4] if len(secret) >= 16 else ""
    return f"{match[0][:start]}{shown}…[{len(secret)} characters]{match[0][end:]}"
