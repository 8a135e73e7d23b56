"""Entities and facts of both sides: each reads and finds what the other has saved."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from obsku_checkpoint.maintenance import index_embeddings
from obsku_checkpoint.postgres import PostgresCheckpointStore
from tests.npm.compare import same
from tests.npm.javascript import Form, normal, part, record_form
from tests.npm.process import Npm, skip_without_bun
from tests.pgvector import skip_without_pgvector
from tests.test_codec_properties import relaxed, texts, values

skip_without_bun()
pytestmark = pytest.mark.xdist_group("npm")

names = texts.filter(lambda name: name not in ("__type", "__proto__"))
#: what ids and names may be
plain = texts.filter(lambda text: not re.search("[\x00\ud800-\udfff]", text))
vectors = st.lists(st.floats(-1, 1) | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4)
entities = st.fixed_dictionaries(
    {"name": plain, "type": plain},
    optional={
        "attributes": st.dictionaries(names, values, max_size=3),
        "relationships": st.lists(st.fixed_dictionaries({"targetId": texts, "type": texts}), max_size=2),
        "workspace_id": plain,
        "embedding": vectors,
    },
)
facts = st.fixed_dictionaries(
    {"content": texts, "confidence": st.floats(0, 1)}, optional={"workspace_id": plain, "embedding": vectors}
)


def test_what_is_saved_here_is_read_there(ours: PostgresCheckpointStore, npm: Npm) -> None:
    session = ours.create_session("/memory").id

    @settings(relaxed, max_examples=60, phases=[Phase.generate])  # to shrink takes minutes here
    @given(entities, facts)
    def run(entity: dict[str, Any], fact: dict[str, Any]) -> None:
        known = ours.save_entity(session, **entity)
        same(npm("getEntity", known.id), normal(record_form(known)))
        said = ours.save_fact(**fact, source_session_id=session)
        same(npm("getFact", said.id), normal(record_form(said)))

    run()
    listed = npm("listEntities", {"sessionId": session})[1]
    assert len(listed) == len(ours.list_entities(session_id=session)) >= 50


def test_what_is_saved_here_is_found_there_in_the_same_order(ours: PostgresCheckpointStore, npm: Npm) -> None:
    session, place = ours.create_session("/memory").id, "found here"
    for number in range(40):
        vector = [(number * 37 % 41) - 20, (number * 11 % 23) - 11, number * 5 % 17 - 8]
        ours.save_entity(session, name=str(number), type="t", workspace_id=place, embedding=vector)
        ours.save_fact(str(number), workspace_id=place, embedding=vector)
    query = [3.0, -1.0, 0.5]
    options = {"workspaceId": place, "topK": 12, "threshold": 0.1}
    found = ours.search_entities(query, workspace_id=place, top_k=12, threshold=0.1)
    assert _all(npm("searchEntitiesSemantic", query, options), "id") == [one.record.id for one in found]
    facts = ours.search_facts(query, workspace_id=place, top_k=12, threshold=0.1)
    assert _all(npm("searchFactsSemantic", query, options), "id") == [one.record.id for one in facts]
    assert len(found) == len(facts) == 12


def test_what_is_saved_there_is_read_found_and_changed_here(ours: PostgresCheckpointStore, npm: Npm) -> None:
    session, place = str(part(npm("createSession", "/memory"), "id")), "saved there"
    entity: dict[str, Any] = {
        "sessionId": session,
        "workspaceId": place,
        "name": "Ada",
        "type": "person",
        "embedding": [0.1, 1e-7, -3.0],
        "attributes": {"seen": datetime(2026, 1, 2, tzinfo=UTC), "tags": {"x"}},
        "relationships": [{"targetId": "e-1", "type": "owns"}],
    }
    there = npm("saveEntity", entity)
    [known] = ours.list_entities(session_id=session)
    same(normal(record_form(known)), npm("getEntity", str(part(there, "id"))))
    fact = {"content": "ports", "confidence": 0.7, "workspaceId": place, "embedding": [0.1, 0.2, 0.3]}
    npm("saveFact", {**fact, "sourceSessionId": session})
    [said] = ours.list_facts(workspace_id=place, min_confidence=0.7)
    assert (said.confidence, said.source_session_id, said.embedding) == (0.7, session, [0.1, 0.2, 0.3])
    assert [one.record for one in ours.search_entities([0, 0, -1], workspace_id=place)] == [known]
    assert [one.record for one in ours.search_facts([0, 0, 1], workspace_id=place)] == [said]
    again = ours.save_entity(
        session, name="Ada", type="person", workspace_id=place, attributes={"n": 1}, embedding=[1], upsert=True
    )
    assert again.id == known.id
    changed = npm("getEntity", known.id)
    same(changed, normal(record_form(again)))
    npm("updateEntity", known.id, {"attributes": {"n": 2}})
    after = ours.get_entity(known.id)
    assert after is not None
    assert after.attributes == {"n": 2}


def _all(records: Form, name: str) -> list[Form]:
    return [part(one, name) for one in records[1]]


def test_no_row_of_either_side_is_in_the_way_of_the_indexes_of_vectors(
    ours: PostgresCheckpointStore, npm: Npm, database: str
) -> None:
    place = "indexed"
    with psycopg.connect(database, autocommit=True) as connection:
        skip_without_pgvector(connection)
        connection.execute("CREATE EXTENSION vector")
        names = [index.name for index in index_embeddings(ours.using, dimension=3)]
        for number in range(230):
            fact = {"content": str(number), "workspaceId": place, "embedding": [1, number / 100, 1e-7]}
            npm("saveFact", fact)
        query = [1.0, 0.5, 0.0]
        nearest = npm("searchFactsSemantic", query, {"workspaceId": place, "topK": 5, "threshold": 0.1})
        here = ours.search_facts(query, workspace_id=place, top_k=5, threshold=0.1)
        assert _all(nearest, "id") == [one.record.id for one in here]
        session = part(npm("createSession", "/memory"), "id")
        for embedding in ([1, 0], [0, 0, 0], [1e300, 0, 0], [-1e-300, 2, 3], [], None):
            npm("saveFact", {"content": "another", "workspaceId": place, "embedding": embedding})
            entity = {"sessionId": session, "workspaceId": place, "name": "x", "type": "y", "embedding": embedding}
            npm("saveEntity", entity)
        connection.execute(
            "UPDATE facts SET embedding = %s WHERE workspace_id = %s AND content = '229'", [b"[1, x, \xff", place]
        )
        [known] = ours.search_entities([0, 2, 3], workspace_id=place, threshold=0.9)
        assert known.score == pytest.approx(1)
        found = ours.search_facts([1, 1, 0], workspace_id=place, top_k=3)
        assert [one.record.content for one in found] == ["100", "101", "99"]
        for name in names:
            connection.execute(f"DROP INDEX {name}".encode())
