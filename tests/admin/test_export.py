"""A download, under WSGI and ASGI: block by block, with no transaction open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
from django.db import connections
from django.test import AsyncRequestFactory, RequestFactory

from obsku_checkpoint.admin.session.export import BLOCK, export
from obsku_checkpoint.store import DjangoCheckpointStore


@pytest.fixture
def session_id(store: DjangoCheckpointStore) -> str:
    session = store.create_session("/")
    store.add_messages(session.id, [{"role": "user", "content": "x" * 1000}] * 200)
    return session.id


def check(blocks: list[bytes]) -> None:
    assert len(blocks) > 2
    assert max(map(len, blocks)) <= BLOCK
    assert len([json.loads(line) for line in b"".join(blocks).splitlines()]) == 202


def test_under_wsgi(store: DjangoCheckpointStore, session_id: str) -> None:
    response = export(RequestFactory().get("/"), store.using, [session_id])
    assert not connections[store.using].in_atomic_block
    blocks = list(cast("Iterator[bytes]", response.streaming_content))
    check(blocks)
    assert int(response["Content-Length"]) == len(b"".join(blocks))


def test_under_asgi(store: DjangoCheckpointStore, session_id: str) -> None:
    response = export(AsyncRequestFactory().get("/"), store.using, [session_id])
    assert not connections[store.using].in_atomic_block

    async def blocks() -> list[bytes]:
        return [block async for block in cast("AsyncIterator[bytes]", response.streaming_content)]

    check(asyncio.run(blocks()))
