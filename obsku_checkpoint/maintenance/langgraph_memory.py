"""What is wrong with LangGraph's long-term memory as it is stored."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Concat, Length, Substr

from obsku_checkpoint.contrib.langgraph import namespaces
from obsku_checkpoint.contrib.langgraph.models import Memory, Vector
from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.maintenance.check import ROWS, each
from obsku_checkpoint.maintenance.findings import Finding


def findings(using: str) -> Iterator[Finding]:
    """Of each item, and of each vector, which is found only where its item is."""
    yield from each(Memory.objects.using(using), _check_item, to_come=("expires_at",))
    vectors = Vector.objects.using(using)
    yield from each(vectors, _check_vector)
    for vector in vectors.filter(~Exists(Memory.objects.filter(pk=OuterRef("item_id")))).iterator(ROWS):
        yield Finding("dangling", f"the item {vector.item_id} is gone", table="langgraph_vectors", id=vector.pk)
    prefix = Concat(Substr("item__prefix", 1, Length("item__prefix") - 1), Value(","))
    elsewhere = ~Q(workspace_id=F("item__workspace_id"), prefix=prefix)
    for vector in vectors.filter(elsewhere).iterator(ROWS):
        sentence = f"is not in the workspace and namespace of its item {vector.item_id}: no search finds it"
        yield Finding("shape", sentence, table="langgraph_vectors", id=vector.pk)


def _check_item(row: Memory) -> None:
    if not namespaces.is_one(row.prefix):
        raise InvalidRecordError("prefix", f"is not a JSON array of labels, as DjangoStore writes it: {row.prefix}")
    if not isinstance(row.value, dict):
        raise InvalidRecordError("value", f"is not a JSON object: {type(row.value).__name__}")


def _check_vector(row: Vector) -> None:
    if not row.embedding:
        raise InvalidRecordError("embedding", "has no numbers")
