"""What an item of LangGraph's long-term memory means: which of its texts are embedded, and how vectors are searched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, ensure_embeddings, get_text_at_path, tokenize_path
from langgraph.store.base.embed import EmbeddingsLambda

from obsku_checkpoint import codec, embeddings, memory_validation, validation
from obsku_checkpoint.async_twins import Steps
from obsku_checkpoint.contrib.langgraph.models import Vector
from obsku_checkpoint.contrib.langgraph.sql import Sql
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.store.calls import Write

#: the path of a value as a whole
WHOLE = "$"

DELETE = """
DELETE FROM langgraph_vectors WHERE item_id IN (SELECT CAST(value AS bigint) FROM {texts}(%(ids)s)) RETURNING id
"""

INSERT = """
INSERT INTO langgraph_vectors (item_id, workspace_id, prefix, path, created_at, embedding)
SELECT
    CAST(e.value ->> 0 AS bigint), %(workspace_id)s, e.value ->> 1, e.value ->> 2, CAST(e.value ->> 3 AS bigint),
    CAST(e.value ->> 4 AS {bytes})
FROM {elements}(%(vectors)s) e RETURNING id
"""

#: what a search looks at. The limit keeps the planner from reading all items before it looks at the first vector
CONDITIONS = (
    "workspace_id = %(workspace_id)s",
    "prefix >= %(below)s AND prefix < %(beyond)s",
    """EXISTS (
        SELECT 1 FROM langgraph_store s
        WHERE s.id = t.item_id AND s.updated_at = t.created_at AND (s.expires_at IS NULL OR s.expires_at > %(now)s)
        LIMIT 1 OFFSET 0
    )""",
)

Paths = Sequence[tuple[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of texts that are searched for, and of texts that are stored, the latter as they are stored."""

    queries: Mapping[str, list[float]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class Item(NamedTuple):
    """An item that has just been put, with the texts of it that are embedded, by path."""

    id: int
    prefix: str
    updated_at: int
    texts: Mapping[str, str]


class Index:
    """LangGraph's ``IndexConfig``: which texts of a value are embedded, and by what."""

    def __init__(self, config: IndexConfig) -> None:
        """`ConfigurationError` for what cannot embed, and `InvalidRecordError` for other parts of the config."""
        if not isinstance(config, Mapping):
            raise ConfigurationError(f"index is LangGraph's IndexConfig, a dict, not {type(config).__name__}")
        self.dims = validation.integer("index.dims", config.get("dims"), low=1, high=embeddings.MAX_DIMENSION)
        self.embeddings = _embeddings(config.get("embed"))
        self.paths = _paths("index.fields", config.get("fields") or [WHOLE])

    def texts(self, value: Mapping[str, Any], index: Literal[False] | list[str] | None) -> dict[str, str]:
        """Path -> text of a value, for what a put asks: None for the config's fields, False for none, or paths."""
        if index is False:
            return {}
        found: dict[str, str] = {}
        for path, tokens in self.paths if index is None else _paths("index", index):
            texts = _texts_at(value, tokens)
            found |= {path if len(texts) == 1 else f"{path}.{number}": text for number, text in enumerate(texts)}
        return found

    def embed(self, queries: Sequence[str], texts: Sequence[str]) -> Embedded:
        """Whatever the embedder raises is the caller's."""
        embedder = self.embeddings
        if (queries or texts) and isinstance(embedder, EmbeddingsLambda) and not hasattr(embedder, "func"):
            raise ConfigurationError("index.embed is an async function: call the store's async methods")
        asked = [embedder.embed_query(query) for query in queries]
        stored = embedder.embed_documents([*texts]) if texts else []
        return self._embedded(queries, asked, texts, stored)

    async def aembed(self, queries: Sequence[str], texts: Sequence[str]) -> Embedded:
        """The same with the embedder's async methods."""
        asked = await asyncio.gather(*map(self.embeddings.aembed_query, queries))
        stored = await self.embeddings.aembed_documents([*texts]) if texts else []
        return self._embedded(queries, asked, texts, stored)

    def _embedded(
        self, queries: Sequence[str], asked: Sequence[Any], texts: Sequence[str], stored: Sequence[Any]
    ) -> Embedded:
        if len(stored) != len(texts):
            raise InvalidRecordError("index.embed", f"made {len(stored)} vectors of {len(texts)} texts")
        return Embedded(
            dict(zip(queries, map(self._vector, asked), strict=True)),
            {
                text: embeddings.stored(self._vector(vector)).decode()
                for text, vector in zip(texts, stored, strict=True)
            },
        )

    def _vector(self, made: Any) -> list[float]:
        vector = memory_validation.vector("index.embed", made.tolist() if hasattr(made, "tolist") else made)
        if len(vector) != self.dims:
            raise InvalidRecordError("index.dims", f"is {self.dims}, but index.embed makes {len(vector)} numbers")
        return vector


def _embeddings(embed: Any) -> Embeddings:
    if not (isinstance(embed, str | Embeddings) or callable(embed)):
        wanted = "LangChain's Embeddings, a function of texts, or a provider's name"
        raise ConfigurationError(f"index.embed takes {wanted}, not {type(embed).__name__}")
    try:
        return ensure_embeddings(embed)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"index.embed cannot be used: {error}") from error


def _paths(field: str, paths: Any) -> Paths:
    if isinstance(paths, str) or not isinstance(paths, Sequence):
        raise InvalidRecordError(field, f"takes a list of paths, not {type(paths).__name__}")
    keys = [validation.key(f"{field}[{number}]", path) for number, path in enumerate(paths)]
    return [(path, WHOLE if path == WHOLE else tokenize_path(path)) for path in keys]


def _texts_at(value: Mapping[str, Any], tokens: str | list[str]) -> list[str]:
    try:
        return get_text_at_path(value, tokens)
    except TypeError:  # JSON has no sets and dates: as JSON-plus says them
        return get_text_at_path(json.loads(codec.dumps(dict(value))), tokens)


def replace(sql: Sql, workspace_id: str, items: Sequence[Item], vectors: Mapping[str, str]) -> Steps[None]:
    """Store the vectors of items that were put, in place of those that they had."""
    yield Write(sql.said(DELETE), {"ids": json.dumps([item.id for item in items])})
    rows = [
        [item.id, f"{item.prefix[:-1]},", path, item.updated_at, vectors[text]]
        for item in items
        for path, text in item.texts.items()
    ]
    if rows:
        yield Write(sql.said(INSERT), {"workspace_id": workspace_id, "vectors": json.dumps(rows)})


def nearest(
    store: DjangoCheckpointStore, query: list[float], count: int, place: Mapping[str, Any]
) -> Steps[list[tuple[int, float]]]:
    """The items of the ``count`` nearest vectors, with their cosines, best first: an item once for each of its texts.

    ``place`` has the parameters ``workspace_id``, ``below``, ``beyond`` and ``now``.
    """
    rows = yield from store._memory_sql.nearest(
        Vector,
        ("item_id",),
        CONDITIONS,
        {
            **place,
            "query": embeddings.direction(query),
            "dimension": len(query),
            "threshold": -1.0,
            "top_k": count,
            "near": [place["workspace_id"]],
        },
    )
    return [(id, score) for id, score in rows]
