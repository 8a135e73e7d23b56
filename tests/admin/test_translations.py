"""Every text of the admin can be translated, and is, into German; numbers in addresses are never localised."""

from __future__ import annotations

import gettext
import html
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links

PACKAGE = Path(__file__).parent.parent.parent / "obsku_checkpoint"
CATALOGUE = PACKAGE / "locale" / "de" / "LC_MESSAGES" / "django.po"
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))


def entries(catalogue: Path) -> Iterator[tuple[str, list[str]]]:
    """(text, translations) of each entry but the first, the header; a text with a context is ``context\\4text``."""
    for block in catalogue.read_text().split("\n\n")[1:]:
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        keys: dict[str, str] = {}
        key = ""
        for line in lines:
            keyword, quoted = ("", line) if line.startswith('"') else line.split(" ", 1)
            key = keyword or key
            keys[key] = keys.get(key, "") + unescaped(quoted)
        if "msgid" in keys:
            context = f"{keys['msgctxt']}\4" if "msgctxt" in keys else ""
            yield context + keys["msgid"], [text for key, text in keys.items() if key.startswith("msgstr")]


def unescaped(quoted: str) -> str:
    escapes = {"n": "\n", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), quoted.strip()[1:-1])


def test_the_german_catalogue_has_no_gap() -> None:
    text = CATALOGUE.read_text()
    assert "fuzzy" not in text
    assert "#~" not in text
    for original, translations in entries(CATALOGUE):
        assert all(translations), original
        for text in translations:
            placeholders = sorted(re.findall(r"%\((\w+)\)[sd]", text))
            if len(translations) == 1:  # a singular may do without the number
                assert placeholders == sorted(re.findall(r"%\((\w+)\)[sd]", original)), original
            assert sorted(re.findall("<[^>]+>", text)) == sorted(re.findall("<[^>]+>", original)), original


def test_the_german_catalogue_has_every_text_of_the_code(tmp_path: Path) -> None:
    if shutil.which("xgettext") is None:
        pytest.skip("GNU gettext is not installed; .ci/run installs it")
    shutil.copytree(PACKAGE, tmp_path / "package", ignore=shutil.ignore_patterns("__pycache__", "locale"))
    (tmp_path / "package" / "locale").mkdir()
    command = [sys.executable, "-m", "django", "makemessages", "-l", "de", "--no-location"]
    subprocess.run(command, cwd=tmp_path / "package", check=True, capture_output=True)
    made = tmp_path / "package" / "locale" / "de" / "LC_MESSAGES" / "django.po"
    assert {text for text, _ in entries(made)} == {text for text, _ in entries(CATALOGUE)}


def test_every_text_of_the_code_is_found() -> None:
    """GNU gettext looks into no f-string, and reads escapes as they stand."""
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"""f["'][^"\n]*{(?:_|gettext|ngettext)\(""", path.read_text()), path
    assert not [original for original, _ in entries(CATALOGUE) if "\\" in original]


def test_the_compiled_catalogue_is_that_of_the_text() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for original, translations in entries(CATALOGUE):
        context, separator, text = original.rpartition("\4")
        said = compiled.pgettext(context, text) if separator else compiled.gettext(text)
        assert said == translations[0]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(PACKAGE / "templates")))
def test_no_text_of_a_template_is_left_out(template: Path) -> None:
    source = re.sub(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", "", template.read_text(), flags=re.DOTALL)
    source = re.sub(r"{% block bodyclass %}.*?{% endblock %}", "", source)
    source = re.sub(r"{%.*?%}|{{.*?}}", "", source, flags=re.DOTALL)
    assert not re.findall(r'(?:aria-label|title|placeholder|alt)="[^"]*[A-Za-z][^"]*"', source)
    words = re.findall("[A-Za-z]{2,}", html.unescape(re.sub(r"<[^>]*>", " ", source, flags=re.DOTALL)))
    assert words == []


@pytest.fixture
def german(settings: Any) -> Iterator[None]:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    yield
    translation.deactivate()  # what the middleware has activated for this thread


def test_the_pages_are_german_for_who_reads_german(
    root: Reader, german: None, store: DjangoCheckpointStore, session_id: str, workspace: str
) -> None:
    failed: Any = {"fix": {"status": "failed", "error": "no index", "startedAt": 1000, "completedAt": 4000}}
    checkpoint = store.save_checkpoint(session_id, step=1, node_results=failed, pending_nodes=["verify"]).id
    root.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    said = {
        links.session(session_id): [
            "Übersicht",
            "Zeitachse",
            "Sitzungen \u203a Find the slow query",
            "fehlgeschlagen",
            "Am Ende abzweigen",
            "Noch zu tun: verify",
        ],
        links.checkpoint(checkpoint): ["Weiterlaufen lassen", "Hier abzweigen", "Ergebnisse"],
        links.checkpoint(checkpoint, "go-on"): ["Der Lauf geht ab main v1, Schritt 1 weiter"],
        links.checkpoint(checkpoint, "compare"): ["Vor dieser gibt es keine Version."],
        links.checkpoint(checkpoint, "fork"): ["Titel der neuen Sitzung"],
        links.session(session_id, "transcript"): ["Hier ist keine Nachricht."],
        f"{links.sessions()}?workspace={workspace}": ["Letzte Aktivität", "Nach Arbeitsbereich", "Sitzungen | "],
        links.waiting(): ["Wartet auf einen Menschen"],
    }
    for address, parts in said.items():
        page = root.read(address)
        assert [part for part in parts if part not in page] == [], address
        assert "Add" not in page.split("Sitzungen", 1)[0]


def test_numbers_in_addresses_are_not_localised(
    root: Reader, german: None, store: DjangoCheckpointStore, session_id: str, workspace: str, settings: Any
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    root.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    for number in range(130):
        store.add_message(session_id, "user", f"{number}", tokens_in=12345)
    results: Any = {"a": {"status": "failed", "error": "x", "startedAt": 1000, "completedAt": 9_999_999}}
    for version in (12345, 12346):
        checkpoint = store.save_checkpoint(session_id, step=54321, version=version, node_results=results).id
    wanted = {links.session(session_id), f"{links.sessions()}?workspace={workspace}"}
    wanted |= {links.session(session_id, page) for page in ("transcript", "timeline", "forks", "checkpoints")}
    wanted |= {links.checkpoint(checkpoint, page) for page in ("change", "compare", "fork", "go-on", "edit")}
    followed: set[str] = set()
    for address in wanted:
        page = root.see(address)
        attributes = " ".join(re.findall(r'(?:href|src|value|data-\w+|id|action|viewBox|width|x)="([^"]*)"', page))
        assert not re.search(r"\d\.\d{3}\b(?!\d)", re.sub(r"\d+\.\d+\.\d+", "", attributes)), address
        for found in re.findall(r'href="([^"#]*)', page):
            link = html.unescape(found)
            link = address.partition("?")[0] + link if link.startswith("?") else link
            if link.startswith("/admin/obsku_checkpoint/") and not link.endswith("/export/"):
                followed.add(link)
    for link in followed:
        assert root.get(link).status_code == 200, link
    assert len(followed) > 30
