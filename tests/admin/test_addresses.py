"""Ids of any characters: each session and each checkpoint has its own pages, and no id is written as a number."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from obsku_checkpoint.models import Message
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links

#: every character that Django's admin quotes, what its quoting makes of some, and what a path cannot hold
IDS = [
    "thread_42",
    "a/b",
    "a_2Fb",
    "_",
    "_.",
    "telegram:123",
    ':/_#?;@&=+$,"[]<>%\n\\',
    "ü & 'x' \u202e",
    " ",
    ".",
    "..",
    "",
]
SESSION_PAGES = ("change", "transcript", "timeline", "checkpoints", "forks", "export", "history", "delete")
CHECKPOINT_PAGES = ("change", "compare", "fork")


@pytest.mark.parametrize("id", IDS, ids=ascii)
def test_every_page_is_about_the_id_in_its_address(root: Reader, store: DjangoCheckpointStore, id: str) -> None:
    store.delete_session(id)
    title, said = f"titled {IDS.index(id)}.", f"said {IDS.index(id)}."
    store.create_session("/", id=id, title=title, workspace_id="odd")
    store.add_message(id, "user", said)
    store.save_checkpoint(id, step=7, node_results={"n": {"status": "completed"}}, id=id)
    for page in SESSION_PAGES:
        assert title in root.see(links.session(id, page)), page
    for page in ("change", "transcript"):
        assert said in root.read(links.session(id, page)), page
    for page in CHECKPOINT_PAGES:
        assert "step 7" in root.read(links.checkpoint(id, page)), page
    root.see(links.session(id, "live"))
    assert f'href="{links.session(id)}?' in html.unescape(root.see(links.sessions(), workspace="odd"))
    assert f'href="{links.checkpoint(id)}"' in html.unescape(root.see(links.session(id, "checkpoints")))
    store.delete_session(id)


def test_ids_and_numbers_in_addresses_are_the_same_in_every_language(
    root: Reader, store: DjangoCheckpointStore, session_id: str, settings: Any
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    settings.LANGUAGE_CODE = "de"
    first = store.add_messages(session_id, [{"role": "user", "content": "x"}] * 120)[0]
    Message.objects.using(store.using).filter(pk=first.id).update(id=first.id + 1_000_000_000)
    for version in range(998, 1003):
        store.save_checkpoint(session_id, step=version, version=version, node_results={})
    pages = [
        root.see(links.session(session_id, page))
        for page in ("change", "transcript", "timeline", "forks", "checkpoints")
    ]
    pages.append(root.see(links.session(session_id, "transcript"), at=str(first.id + 1_000_000_000)))
    pages.append(root.see(links.checkpoint(store.list_checkpoints(session_id)[0].id)))
    for page in pages:
        content = page.partition('class="obsku-page"')[2]
        for attribute in re.findall(r'(?:href|id|data-[a-z]+)="([^"]*)"', content):
            assert not re.search(r"\d[.,\u202f]\d{3}\b", attribute), attribute
        assert not re.search(r"v1[.,]00\d", content)
