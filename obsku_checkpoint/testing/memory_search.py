"""Searches of entities and facts by the nearness of their vectors."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from obsku_checkpoint.errors import InvalidRecordError
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import EntityRecord, FactRecord, Scored, SessionRecord
from obsku_checkpoint.testing.base import ConformanceBase, Corrupt, pass_by, unique, wrong

#: stored texts that are no vector, or that count as none
UNREADABLE = [
    *("", "null", "[]", "{}", "5", '"[1,2]"', "[1,2", "[1,,2]", "[1 2]", "[1-2,3]", "[[1],2]", '["1",2]', "[null,2]"),
    *("[1,NaN]", "[1e999,1]", "[-1e400,1]", "[true,2]", "[1,2]]", '{"0":1,"1":2}', "x,y", "[0x1,2]", "é,ü"),
]


class SearchConformance(ConformanceBase):
    def test_the_nearest_come_first(self, subject: CheckpointStore, session: SessionRecord, workspace: str) -> None:
        vectors: dict[str, list[float]] = {
            "same": [2.0, 0.0],
            "near": [3, 1],
            "across": [0, 5],
            "opposite": [-1, 0],
            "nowhere": [0.0, 0.0],
        }
        for name, vector in vectors.items():
            saved = subject.save_entity(
                session.id, name=name, type="t", workspace_id=workspace, embedding=vector, attributes={"of": name}
            )
            subject.save_fact(name, workspace_id=workspace, embedding=vector)
            pass_by(saved.created_at)
        subject.save_entity(session.id, name="none", type="t", workspace_id=workspace)
        found = subject.search_entities([1, 0], workspace_id=workspace)
        assert [one.record.name for one in found] == ["same", "near", "nowhere", "across"]
        assert [one.score for one in found] == pytest.approx([1, 3 / math.sqrt(10), 0, 0])
        assert found[0] == Scored(record=subject.get_entity(found[0].record.id), score=1.0)
        facts = subject.search_facts([1, 0], workspace_id=workspace)
        assert [one.record.content for one in facts] == ["same", "near", "nowhere", "across"]
        assert [one.score for one in facts] == [one.score for one in found]
        assert facts[0].record == subject.get_fact(facts[0].record.id)
        everything = subject.search_facts([7, 0], workspace_id=workspace, threshold=-1)
        assert [one.record.content for one in everything] == ["same", "near", "nowhere", "across", "opposite"]
        assert everything[-1].score == -1
        assert subject.search_facts([1, 0], workspace_id=workspace, threshold=1) == facts[:1]
        assert subject.search_facts([1, 0], workspace_id=workspace, threshold=1.001) == []
        assert subject.search_facts([1, 0], workspace_id=workspace, top_k=2) == facts[:2]
        assert subject.search_facts([1, 0], workspace_id=workspace, top_k=0) == []
        assert {one.score for one in subject.search_facts([0, 0], workspace_id=workspace)} == {0}
        assert len(subject.search_facts([0, 0], workspace_id=workspace)) == len(vectors)

    def test_equally_near_ones_come_newest_first(self, subject: CheckpointStore, workspace: str) -> None:
        for factor in (1, 3, 0.1, 7e5):
            saved = subject.save_fact(str(factor), workspace_id=workspace, embedding=[factor, factor * 2, factor * 3])
            pass_by(saved.created_at)
        found = subject.search_facts([1, 2, 3], workspace_id=workspace)
        assert [one.record.content for one in found] == ["700000.0", "0.1", "3", "1"]
        assert {one.score for one in found} == {1.0}

    def test_a_search_keeps_to_its_workspace_and_session(self, subject: CheckpointStore, workspace: str) -> None:
        sessions = [subject.create_session("/repo", workspace_id=workspace) for _ in range(2)]
        for session in sessions:
            for place in (workspace, f"{workspace} 2"):
                subject.save_entity(session.id, name=place, type="t", workspace_id=place, embedding=[1.0])

        def found(**filters: Any) -> int:
            return len(subject.search_entities([1.0], **filters))

        assert found(workspace_id=workspace) == 2
        assert found(session_id=sessions[0].id) == 2
        assert found(session_id=sessions[0].id, workspace_id=workspace) == 1
        assert found(session_id=unique()) == found(workspace_id=unique()) == found(workspace_id="\x00") == 0
        assert found(top_k=500) >= 4
        subject.save_fact("a", workspace_id="", embedding=[1.0])
        assert {one.record.workspace_id for one in subject.search_facts([1.0], workspace_id="", top_k=3)} == {""}

    def test_other_dimensions_are_left_out(self, subject: CheckpointStore, workspace: str) -> None:
        for dimension in (1, 2, 3):
            subject.save_fact(str(dimension), workspace_id=workspace, embedding=[1.0] * dimension)
        for dimension in (1, 2, 3):
            found = subject.search_facts([1.0] * dimension, workspace_id=workspace)
            assert [one.record.content for one in found] == [str(dimension)]
        assert subject.search_facts([1.0] * 4, workspace_id=workspace) == []

    def test_a_search_scores_as_the_cosine_is_defined(self, subject: CheckpointStore, workspace: str) -> None:
        chance = random.Random(7)
        vectors = [[chance.gauss(0, 1) for _ in range(64)] for _ in range(40)]
        query = [chance.gauss(0, 1) for _ in range(64)]
        for number, vector in enumerate(vectors):
            subject.save_fact(str(number), workspace_id=workspace, embedding=vector)
        cosines = sorted(((_cosine(query, vector), str(number)) for number, vector in enumerate(vectors)), reverse=True)
        found = subject.search_facts(query, workspace_id=workspace, top_k=25, threshold=-1)
        assert [one.record.content for one in found] == [number for _, number in cosines[:25]]
        assert [one.score for one in found] == pytest.approx([cosine for cosine, _ in cosines[:25]])

    @pytest.mark.parametrize(
        ("vector", "score"),
        [
            ([1e308, 1e308], math.sqrt(0.5)),
            ([1e-308, 1e-308], math.sqrt(0.5)),
            ([5e-324, 0], 1),
            ([1e308, 1e-308], 1),
            ([1e-170, -1e-170], math.sqrt(0.5)),
            ([1e99, 1e-99], 1),
            ([-1e22, 1e16], -1),
            ([0.1234567890123456789, 1e-5], 1),
            ([123456789012345678, 12345.678], 1),
        ],
    )
    def test_numbers_of_any_size_are_searched(
        self, subject: CheckpointStore, workspace: str, vector: list[float], score: float
    ) -> None:
        subject.save_fact("a", workspace_id=workspace, embedding=vector)
        [found] = subject.search_facts([1, 0], workspace_id=workspace, threshold=-1)
        assert found.record.embedding == [*map(float, vector)]
        assert found.score == pytest.approx(score, abs=1e-7)
        subject.save_fact("b", workspace_id=workspace, embedding=[1, 1])
        by_itself = subject.search_facts(vector, workspace_id=workspace, threshold=-1)
        assert max(one.score for one in by_itself if one.record.content == "a") == 1

    def test_stored_texts_that_are_no_vectors_are_in_nobodys_way(
        self, subject: CheckpointStore, corrupt: Corrupt, session: SessionRecord, workspace: str
    ) -> None:
        for text in UNREADABLE:
            entity = subject.save_entity(session.id, name=text, type="t", workspace_id=workspace, embedding=[1, 2])
            fact = subject.save_fact(text, workspace_id=workspace, embedding=[1, 2])
            corrupt("entities", entity.id, "embedding", text)
            corrupt("facts", fact.id, "embedding", text)
        entity = subject.save_entity(session.id, name="good", type="t", workspace_id=workspace, embedding=[1, 2])
        fact = subject.save_fact("good", workspace_id=workspace, embedding=[1, 2])
        corrupt("facts", fact.id, "embedding", " [ 1.0 ,\n\t2e0 ]\n")
        assert {one.embedding is None for one in subject.list_entities(workspace_id=workspace)} == {True, False}
        listed = subject.list_facts(workspace_id=workspace)
        assert [one.content for one in listed if one.embedding is not None] == ["good"]
        assert len(listed) == 1 + len(UNREADABLE)
        for query in ([1.0, 2.0], [1.0], [1.0, 2.0, 3.0]):
            found: list[EntityRecord | FactRecord] = [
                *(one.record for one in subject.search_entities(query, workspace_id=workspace, threshold=-1)),
                *(one.record for one in subject.search_facts(query, workspace_id=workspace, threshold=-1)),
            ]
            assert {one.id for one in found} == ({entity.id, fact.id} if len(query) == 2 else set())

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("embedding", {"embedding": []}),
            ("embedding", {"embedding": "abc"}),
            ("embedding", {"embedding": None}),
            ("embedding[1]", {"embedding": [1, math.nan]}),
            ("top_k", {"top_k": -1}),
            ("top_k", {"top_k": 2.0}),
            ("threshold", {"threshold": math.nan}),
            ("threshold", {"threshold": "1"}),
            ("workspace_id", {"workspace_id": 5}),
        ],
    )
    def test_what_a_search_cannot_be_asked_is_named(
        self, subject: CheckpointStore, field: str, arguments: dict[str, Any]
    ) -> None:
        for search in (subject.search_entities, subject.search_facts):
            with pytest.raises(InvalidRecordError) as caught:
                search(**{"embedding": [1.0], **arguments})
            assert caught.value.field == field

    def test_a_depth_is_a_number_of_steps(self, subject: CheckpointStore) -> None:
        for depth in (-1, 101, 1.0, None):
            with pytest.raises(InvalidRecordError, match="depth"):
                subject.related("x", depth=wrong(depth))


def _cosine(one: list[float], other: list[float]) -> float:
    lengths = math.sqrt(sum(number * number for number in one)) * math.sqrt(sum(number * number for number in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths
