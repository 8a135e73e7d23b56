"""What a project's OpenTelemetry sees of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from obsku_checkpoint.models import Session
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests import processes


def test_each_call_is_a_span_beside_the_orms_queries(tables_url: str) -> None:
    processes.run(_look_at_spans, tables_url)


def _look_at_spans() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    PsycopgInstrumentor().instrument(tracer_provider=provider)

    def statements() -> list[str]:
        """Since the last question."""
        spans = exporter.get_finished_spans()
        exporter.clear()
        return [str((span.attributes or {}).get("db.statement")) for span in spans]

    for store in _stores():
        session = store.create_session(".")
        assert "INSERT INTO sessions" in statements()[-1]
        assert Session.objects.using(store.using).filter(pk=session.id).exists()
        assert len(statements()) == 1
        assert store.get_session(session.id) == session
        assert len(statements()) == 1
        store.add_message(session.id, "user", "x")
        assert "INSERT INTO messages" in statements()[-1]
        asyncio.run(store.aadd_message(session.id, "user", "x"))
        assert "INSERT INTO messages" in statements()[-1]


def _stores() -> Iterator[DjangoCheckpointStore]:
    yield DjangoCheckpointStore()
    with PostgresCheckpointStore() as store:
        yield store
