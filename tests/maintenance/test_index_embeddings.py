"""``manage.py checkpoints index-embeddings``"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.maintenance import index_embeddings
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.pgvector import skip_without_pgvector


def index(store: DjangoCheckpointStore, dimension: int, **options: Any) -> str:
    stdout = io.StringIO()
    call_command(
        "checkpoints", "index-embeddings", f"--dimension={dimension}", database=store.using, stdout=stdout, **options
    )
    return stdout.getvalue()


def test_indexes_are_made_once(postgres_store: DjangoCheckpointStore) -> None:
    with connections[postgres_store.using].cursor() as cursor:
        skip_without_pgvector(cursor)
        cursor.execute("CREATE EXTENSION vector")
    made = json.loads(index(postgres_store, 3, json=True))
    assert [(one["table"], one["name"], one["made"]) for one in made["indexes"]] == [
        ("entities", "entities_embedding_3", True),
        ("entities", "entities_embedding_3_workspace", True),
        ("facts", "facts_embedding_3", True),
        ("facts", "facts_embedding_3_workspace", True),
        ("langgraph_vectors", "langgraph_vectors_embedding_3_workspace", True),
    ]
    assert all(one["bytes"] > 0 for one in made["indexes"])
    assert index(postgres_store, 3).splitlines()[3].startswith("facts_embedding_3_workspace: was there, ")
    call_command("checkpoints", "check", database=postgres_store.using, stdout=io.StringIO())


def test_what_cannot_be_indexed_is_said(postgres_store: DjangoCheckpointStore) -> None:
    with pytest.raises(CommandError, match="CREATE EXTENSION vector"):
        index(postgres_store, 3)
    for dimension in (0, 3937):
        with pytest.raises(CommandError, match="3936"):
            index(postgres_store, dimension)
    with pytest.raises(CommandError, match="on PostgreSQL only"):
        call_command("checkpoints", "index-embeddings", "--dimension=3", database="default")
    with transaction.atomic(using=postgres_store.using), pytest.raises(ConfigurationError, match="outside of"):
        list(index_embeddings(postgres_store.using, dimension=3))
