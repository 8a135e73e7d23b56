"""Every rule finds what it is for, and leaves alone what only looks like it."""

from __future__ import annotations

import string
import time
from pathlib import Path

import pytest

from example_project.scan.rules import RULES, RULESETS
from example_project.scan.search import Batch, search_file
from example_project.scan.text_rules import excerpt

# Put together at run time, so that no scanner of this repository takes them for real ones.
LETTERS = (string.ascii_letters + string.digits) * 3
RANDOM = "q8Zt5nWx" + "2LrB9yVd"
KEY_HEADER = "-----BEGIN RSA " + "PRIVATE KEY-----"

SECRETS = {
    "private-key": (KEY_HEADER, KEY_HEADER.replace("PRIVATE", "PUBLIC")),
    "aws-key": ("id = AKIA" + "QWERTY1234UIOPAS", "id = AKIA" + "IOSFODNN7EXAMPLE"),
    "github-token": ("ghp_" + LETTERS[:36], "ghp_" + LETTERS[:20]),
    "slack-token": ("xoxb-" + "123456789012-abcdefABCDEF", "xoxb-short"),
    "stripe-key": ("sk_live_" + LETTERS[:24], "sk_test_" + LETTERS[:24]),
    "google-key": ("AIza" + LETTERS[:35], "AIza" + LETTERS[:45]),
    "jwt": (".".join(["eyJ" + LETTERS[:20], "eyJ" + LETTERS[5:40], LETTERS[:30]]), "eyJ" + LETTERS[:40]),
    "url-password": ("postgres://shop:b7Yk29dQ" + "@db.internal/shop", "postgres://shop:${PASSWORD}@db.internal/shop"),
    "secret-value": (f"DATABASE_PASSWORD={RANDOM}", "DATABASE_PASSWORD=changeme-please"),
    "weak-secret": ("password = 'correct" + "horse'", "password = input('password: ')"),
}
CODE = {
    "eval": ("eval(text)", "eval('1 + 1')\nmodel.eval()"),
    "unsafe-load": ("from pickle import loads as read\nread(data)", "import json\njson.loads(data)"),
    "yaml-load": ("import yaml\nyaml.load(text)", "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)"),
    "shell": ("import subprocess as sp\nsp.run(line, shell=True)", "import subprocess\nsubprocess.run([name, path])"),
    "shell-fixed": ("import os\nos.system('ls')", "import os\nos.listdir('.')"),
    "mktemp": ("import tempfile\ntempfile.mktemp()", "import tempfile\ntempfile.mkstemp()"),
    "weak-hash": ("import hashlib\nhashlib.new('MD5')", "import hashlib\nhashlib.md5(x, usedforsecurity=False)"),
    "no-tls-check": ("import httpx\nclient.get(url, verify=False)", "signature.check(data, verify=False)"),
    "mark-safe": (
        "from django.utils.safestring import mark_safe\nmark_safe(f'<b>{name}</b>')",
        "from django.utils.safestring import mark_safe\nmark_safe('<br>')",
    ),
    "sql-text": (
        "cursor.execute('SELECT * FROM t WHERE id = %s' % id)",
        "cursor.execute('SELECT * FROM t WHERE id = %s', [id])",
    ),
    "assert": ("assert user.is_staff", "if not user.is_staff:\n    raise PermissionError"),
    "extract-all": ("import tarfile\narchive.extractall(path)", "import tarfile\narchive.extractall(filter='data')"),
    "no-timeout": ("import requests\nrequests.get(url)", "import requests\nrequests.get(url, timeout=5)"),
}
SAMPLES = {rule: ("settings.env", *texts) for rule, texts in SECRETS.items()}
SAMPLES |= {rule: ("code.py", *texts) for rule, texts in CODE.items()}


def search(directory: Path, name: str, text: str | bytes, ruleset: str = "strict") -> Batch:
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    batch = Batch()
    search_file(str(directory), name, RULESETS[ruleset], batch)
    return batch


def rules(batch: Batch) -> set[str]:
    return {finding.rule for finding in batch.findings}


def test_every_rule_has_a_sample() -> None:
    assert SAMPLES.keys() == RULES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_is_for(rule: str, tmp_path: Path) -> None:
    name, bad, _ = SAMPLES[rule]
    batch = search(tmp_path, name, f"\n{bad}\n")
    assert rules(batch) == {rule}
    assert batch.findings[0].line == 1 + bad.count("\n") + 1
    assert batch.notes == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_leaves_alone_what_only_looks_like_it(rule: str, tmp_path: Path) -> None:
    name, _, good = SAMPLES[rule]
    batch = search(tmp_path, name, good)
    assert rule not in rules(batch)
    assert batch.notes == []


@pytest.mark.parametrize("rule", sorted(RULESETS["strict"] - RULESETS["default"]))
def test_the_default_ruleset_leaves_out_what_is_strict(rule: str, tmp_path: Path) -> None:
    name, bad, _ = SAMPLES[rule]
    assert rules(search(tmp_path, name, bad, "default")) == set()


def test_the_ruleset_secrets_looks_at_no_code(tmp_path: Path) -> None:
    batch = search(tmp_path, "code.py", f"eval(text)\ntoken = '{RANDOM}'\ndef (", "secrets")
    assert rules(batch) == {"secret-value"}
    assert batch.notes == []


@pytest.mark.parametrize("rule", sorted(SECRETS.keys() - {"private-key"}))
def test_a_secret_is_never_shown(rule: str, tmp_path: Path) -> None:
    _, bad, _ = SAMPLES[rule]
    (finding,) = search(tmp_path, "settings.env", bad).findings
    secret = bad.partition("@")[0].strip("'")
    assert secret[-6:] not in finding.excerpt
    assert "characters]" in finding.excerpt


def test_a_key_on_the_line_of_its_header_is_masked() -> None:
    shown = excerpt(f"key = '{KEY_HEADER}\\n{LETTERS}'")
    assert LETTERS[:20] not in shown
    assert KEY_HEADER in shown


def test_the_line_of_another_finding_hides_its_secrets(tmp_path: Path) -> None:
    batch = search(tmp_path, "code.py", f"eval(run(password='{RANDOM}'))")
    assert rules(batch) == {"eval", "secret-value"}
    assert all(RANDOM not in finding.excerpt for finding in batch.findings)


def test_a_line_marked_as_known_is_left_alone(tmp_path: Path) -> None:
    assert rules(search(tmp_path, "code.py", "eval(text)  # nosec")) == set()


def test_assert_is_the_rule_in_tests(tmp_path: Path) -> None:
    assert rules(search(tmp_path, "tests/test_code.py", "assert 1")) == set()


def test_text_is_read_in_the_encodings_that_occur(tmp_path: Path) -> None:
    line = f"TOKEN={RANDOM}\r\n"
    for data in (line.encode(), line.encode("utf-8-sig"), line.encode("utf-16"), b"\xff\n" + line.encode()):
        assert rules(search(tmp_path, ".env", data)) == {"secret-value"}
    latin = "# coding: latin-1\nname = 'é'\neval(name)\n".encode("latin-1")
    assert rules(search(tmp_path, "code.py", latin)) == {"eval"}


@pytest.mark.parametrize(
    "data",
    [
        b"def (",
        b"x = '\xff'",
        b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 100_000 + b"1",
        b"x = " + b"1+" * 30_000 + b"1",
    ],
    ids=["syntax", "encoding", "nesting", "unary", "sum"],
)
def test_what_cannot_be_parsed_is_noted(data: bytes, tmp_path: Path) -> None:
    batch = search(tmp_path, "code.py", data)
    assert [note.reason.partition(" (")[0] for note in batch.notes] == ["could not parse"]
    assert batch.files == ["code.py"]


def test_binary_and_missing_files_are_noted(tmp_path: Path) -> None:
    batch = search(tmp_path, "picture.py", b"\x89PNG\0\0")
    search_file(str(tmp_path), "gone.py", RULESETS["strict"], batch)
    assert [note.reason for note in batch.notes] == ["skipped: not text", "not readable: No such file or directory"]


@pytest.mark.parametrize("part", ["a", "password", "api_key=", "a://", "://a:", "eyJaaaaaaaaaaaaa.", "-----BEGIN A "])
def test_a_line_of_a_megabyte_is_searched_in_no_time(part: str, tmp_path: Path) -> None:
    # The bound is generous; a quadratic search would take minutes.
    started = time.process_time()
    search(tmp_path, "long.txt", part * (900_000 // len(part)))
    assert time.process_time() - started < 5
