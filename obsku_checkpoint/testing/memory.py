"""Entities and facts: what agents know, kept, followed and searched."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from obsku_checkpoint.errors import (
    EntityNotFoundError,
    IdConflictError,
    InvalidRecordError,
    SerializationError,
    SessionNotFoundError,
)
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import EntityRecord, SessionRecord
from obsku_checkpoint.testing.base import ConformanceBase, pass_by, unique, wrong

ATTRIBUTES = {"seen": datetime(2026, 1, 2, tzinfo=UTC), "ports": {22, 80}, "raw": b"\x00\xff", "nested": {"a": [None]}}


class EntityConformance(ConformanceBase):
    def test_an_entity_is_read_as_it_was_saved(
        self, subject: CheckpointStore, session: SessionRecord, workspace: str
    ) -> None:
        saved = subject.save_entity(
            session.id,
            name="example.com — 🚀",
            type="domain",
            attributes=ATTRIBUTES,
            relationships=[{"targetId": "e-1", "type": "owns"}],
            workspace_id=workspace,
            embedding=[1, 0.25, -3e-7],
        )
        assert saved == subject.get_entity(saved.id)
        assert subject.list_entities(session_id=session.id) == [saved]
        assert (saved.session_id, saved.workspace_id) == (session.id, workspace)
        assert (saved.name, saved.type, saved.attributes) == ("example.com — 🚀", "domain", ATTRIBUTES)
        assert saved.relationships == [{"targetId": "e-1", "type": "owns"}]
        assert saved.embedding == [1.0, 0.25, -3e-7]
        assert saved.created_at == saved.updated_at
        assert subject.get_session(session.id) == session

    def test_an_entity_of_nothing_but_its_name(self, subject: CheckpointStore, session: SessionRecord) -> None:
        saved = subject.save_entity(session.id, name="", type="")
        assert (saved.attributes, saved.relationships) == ({}, [])
        assert (saved.workspace_id, saved.embedding) == (None, None)
        assert saved == subject.get_entity(saved.id)

    def test_a_repeated_entity_is_the_stored_one(self, subject: CheckpointStore, session: SessionRecord) -> None:
        content: dict[str, Any] = {"name": "a", "type": "b", "attributes": {"x": 1, "y": 2}, "embedding": [1.0, 2.0]}
        id = unique()
        saved = subject.save_entity(session.id, id=id, **content)
        assert subject.save_entity(session.id, id=id, **{**content, "attributes": {"y": 2, "x": 1}}) == saved
        for other in ({"name": "c"}, {"attributes": None}, {"embedding": [1.0, 3.0]}, {"workspace_id": "w"}):
            with pytest.raises(IdConflictError, match=id):
                subject.save_entity(session.id, id=id, **{**content, **other})
        assert subject.get_entity(id) == saved

    @pytest.mark.parametrize("upsert", [False, True])
    def test_an_entity_of_an_unknown_session(self, subject: CheckpointStore, upsert: bool) -> None:
        unknown = unique()
        with pytest.raises(SessionNotFoundError, match=unknown):
            subject.save_entity(unknown, name="a", type="b", upsert=upsert)
        assert subject.list_entities(session_id=unknown) == []

    def test_an_upsert_says_anew_what_is_known(
        self, subject: CheckpointStore, session: SessionRecord, workspace: str
    ) -> None:
        key: dict[str, Any] = {"name": "Ada", "type": "person", "workspace_id": workspace, "upsert": True}
        first = subject.save_entity(session.id, attributes={"a": 1}, embedding=[1.0], id=unique(), **key)
        pass_by(first.updated_at)
        other = subject.create_session("/repo", workspace_id=workspace)
        again = subject.save_entity(other.id, attributes={"b": 2}, id=unique(), **key)
        assert (again.id, again.created_at, again.session_id) == (first.id, first.created_at, other.id)
        assert (again.attributes, again.relationships, again.embedding) == ({"b": 2}, [], None)
        assert again.updated_at > first.updated_at
        assert subject.list_entities(workspace_id=workspace) == [again]

    @pytest.mark.parametrize("differs", ["name", "type", "workspace_id"])
    def test_an_upsert_is_by_workspace_type_and_name(
        self, subject: CheckpointStore, session: SessionRecord, workspace: str, differs: str
    ) -> None:
        key: dict[str, Any] = {"name": "Ada", "type": "person", "workspace_id": workspace}
        first = subject.save_entity(session.id, upsert=True, **key)
        other = subject.save_entity(session.id, upsert=True, **{**key, differs: f"other {workspace}"})
        assert other.id != first.id
        assert subject.get_entity(first.id) == first

    def test_an_upsert_without_a_workspace(self, subject: CheckpointStore, session: SessionRecord) -> None:
        name = unique()
        first = subject.save_entity(session.id, name=name, type="t", upsert=True)
        empty = subject.save_entity(session.id, name=name, type="t", upsert=True, workspace_id="")
        again = subject.save_entity(session.id, name=name, type="t", upsert=True)
        assert first.id == again.id != empty.id

    def test_upserts_at_once_make_one_entity(self, store: CheckpointStore, workspace: str) -> None:
        sessions = [store.create_session("/repo", workspace_id=workspace).id for _ in range(8)]

        def upsert(id: str) -> Callable[[], EntityRecord]:
            return lambda: store.save_entity(id, name="Ada", type="person", workspace_id=workspace, upsert=True)

        saved = self.at_once(store, [upsert(id) for id in sessions])
        [entity] = store.list_entities(workspace_id=workspace)
        assert {one.id for one in saved if isinstance(one, EntityRecord)} == {entity.id}
        assert len(saved) == 8

    def test_entities_are_listed_newest_first(
        self, subject: CheckpointStore, session: SessionRecord, workspace: str
    ) -> None:
        kinds = ("host", "person", "host")
        saved = []
        for number, kind in enumerate(kinds):
            saved.append(subject.save_entity(session.id, name=str(number), type=kind, workspace_id=workspace))
            pass_by(saved[-1].created_at)
        elsewhere = subject.save_entity(session.id, name="4", type="host", workspace_id="")
        newest = saved[::-1]
        assert subject.list_entities(workspace_id=workspace) == newest
        assert subject.list_entities(session_id=session.id) == [elsewhere, *newest]
        assert subject.list_entities(session_id=session.id, workspace_id="") == [elsewhere]
        assert subject.list_entities(workspace_id=workspace, type="host") == [newest[0], newest[2]]
        assert subject.list_entities(workspace_id=workspace, limit=2) == newest[:2]
        assert subject.list_entities(workspace_id=workspace, limit=0) == []
        assert subject.list_entities(session_id=unique()) == []
        assert subject.list_entities(workspace_id="\x00") == []
        assert {one.id for one in newest} <= {one.id for one in subject.list_entities()}

    def test_an_update_changes_what_is_given(self, subject: CheckpointStore, session: SessionRecord) -> None:
        saved = subject.save_entity(
            session.id,
            name="a",
            type="b",
            attributes={"x": 1},
            relationships=[{"targetId": "t", "type": "r"}],
            workspace_id="w",
            embedding=[1.0],
        )
        pass_by(saved.updated_at)
        renamed = subject.update_entity(saved.id, name="c")
        assert (renamed.name, renamed.attributes, renamed.embedding) == ("c", {"x": 1}, [1.0])
        assert renamed.relationships == saved.relationships
        assert renamed.created_at == saved.created_at < renamed.updated_at
        cleared = subject.update_entity(
            saved.id, attributes=None, relationships=None, workspace_id=None, embedding=None, type="d"
        )
        assert (cleared.attributes, cleared.relationships) == ({}, [])
        assert (cleared.workspace_id, cleared.embedding, cleared.type, cleared.name) == (None, None, "d", "c")
        assert subject.update_entity(saved.id, embedding=[2, 3]).embedding == [2.0, 3.0]
        changed = subject.get_entity(saved.id)
        assert changed is not None
        assert changed.embedding == [2.0, 3.0]

    @pytest.mark.parametrize("id", ["unknown", "\x00"])
    def test_what_is_not_there(self, subject: CheckpointStore, id: str) -> None:
        assert subject.get_entity(id) is None
        assert subject.delete_entity(id) is False
        assert subject.related(id) == []
        assert subject.get_fact(id) is None
        assert subject.delete_fact(id) is False
        with pytest.raises(EntityNotFoundError):
            subject.update_entity(id, name="a")

    def test_an_entity_is_deleted_alone_or_with_its_session(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        first, second = (subject.save_entity(session.id, name=name, type="t") for name in "ab")
        assert subject.delete_entity(first.id) is True
        assert subject.delete_entity(first.id) is False
        assert subject.list_entities(session_id=session.id) == [second]
        assert subject.delete_session(session.id)
        assert subject.get_entity(second.id) is None

    def test_relationships_are_followed(self, subject: CheckpointStore, session: SessionRecord) -> None:
        prefix = unique()
        # 1 -> 2 -> 3 -> 1 and 2 -> 4; ids of all sorts of characters, and a target that is not there
        ids = {number: f"{prefix}{ending}" for number, ending in enumerate(("", '"\\/\n\t', "é🚀", "'); --"), 1)}
        edges = {1: [2, 2], 2: [3, 4], 3: [1], 4: []}

        for number in (4, 3, 2, 1):
            more: list[Any] = [
                {"targetId": ids[to], "type": "leads to", "why": '"targetId":"no"'} for to in edges[number]
            ]
            saved = subject.save_entity(
                session.id,
                id=ids[number],
                name=str(number),
                type="t",
                relationships=[*more, {"targetId": unique(), "type": "r"}],
            )
            pass_by(saved.created_at)

        def reached(start: int, depth: int) -> list[str]:
            return [entity.name for entity in subject.related(ids[start], depth=depth)]

        assert [entity.name for entity in subject.related(ids[1])] == ["2"]
        assert reached(1, 0) == []
        assert reached(1, 2) == ["2", "3", "4"]
        assert reached(1, 100) == ["2", "3", "4"]
        assert reached(3, 2) == ["1", "2"]
        assert reached(3, 3) == ["1", "2", "4"]
        assert reached(4, 5) == []
        assert subject.related(ids[1]) == [subject.get_entity(ids[2])]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", None),
            ("name", "\x00"),
            ("name", "x" * 4097),
            ("type", "x" * 1025),
            ("attributes", [1]),
            ("attributes", {1: 2}),
            ("relationships", "x"),
            ("relationships[0].targetId", [{"type": "r"}]),
            ("relationships[1].type", [{"targetId": "t", "type": "r"}, {"targetId": "t", "type": 1}]),
            ("workspace_id", 5),
            ("embedding", []),
            ("embedding", "[1]"),
            ("embedding", 1.0),
            ("embedding[1]", [1.0, math.nan]),
            ("embedding[0]", [math.inf]),
            ("embedding[0]", [10**400]),
            ("embedding[0]", [True]),
            ("embedding[0]", [None]),
            ("embedding", [0.0] * 16_001),
        ],
    )
    def test_what_an_entity_cannot_hold_is_named(
        self, subject: CheckpointStore, session: SessionRecord, field: str, value: Any
    ) -> None:
        name = field.partition("[")[0]
        saved = subject.save_entity(session.id, name="a", type="b")
        with pytest.raises(InvalidRecordError) as caught:
            subject.save_entity(session.id, **{"name": "a", "type": "b", name: value})
        assert caught.value.field == field
        with pytest.raises(InvalidRecordError) as caught:
            subject.update_entity(saved.id, **{name: value})
        assert caught.value.field == field
        assert subject.list_entities(session_id=session.id) == [saved]

    def test_values_that_json_plus_cannot_write_are_refused(
        self, subject: CheckpointStore, session: SessionRecord
    ) -> None:
        with pytest.raises(SerializationError, match=r"attributes\.when"):
            subject.save_entity(session.id, name="a", type="b", attributes={"when": datetime(2026, 1, 1)})


class FactConformance(ConformanceBase):
    def test_a_fact_is_read_as_it_was_saved(
        self, subject: CheckpointStore, session: SessionRecord, workspace: str
    ) -> None:
        saved = subject.save_fact(
            "port 22 is open 🚀",
            confidence=0.7,
            workspace_id=workspace,
            source_session_id=session.id,
            embedding=[0.5, 1],
        )
        assert saved == subject.get_fact(saved.id)
        assert subject.list_facts(workspace_id=workspace) == [saved]
        assert (saved.content, saved.confidence) == ("port 22 is open 🚀", 0.7)
        assert (saved.workspace_id, saved.source_session_id, saved.embedding) == (workspace, session.id, [0.5, 1.0])
        assert subject.get_session(session.id) == session

    def test_a_fact_needs_nothing_but_its_content(self, subject: CheckpointStore) -> None:
        saved = subject.save_fact("")
        assert (saved.confidence, saved.workspace_id, saved.source_session_id, saved.embedding) == (
            1.0,
            None,
            None,
            None,
        )
        assert saved == subject.get_fact(saved.id)
        assert subject.delete_fact(saved.id) is True
        assert subject.get_fact(saved.id) is None

    def test_a_repeated_fact_is_the_stored_one(self, subject: CheckpointStore) -> None:
        id = unique()
        saved = subject.save_fact("a", id=id, confidence=0.1, embedding=[1.0])
        assert subject.save_fact("a", id=id, confidence=0.1, embedding=[1.0]) == saved
        content: dict[str, Any] = {"content": "a", "confidence": 0.1, "embedding": [1.0]}
        for other in ({"content": "b"}, {"confidence": 0.2}, {"embedding": [2.0]}):
            with pytest.raises(IdConflictError, match=id):
                subject.save_fact(id=id, **{**content, **other})

    def test_a_fact_of_an_unknown_session(self, subject: CheckpointStore, workspace: str) -> None:
        for unknown in (unique(), "\x00"):
            with pytest.raises(SessionNotFoundError):
                subject.save_fact("a", source_session_id=unknown, workspace_id=workspace)
        assert subject.list_facts(workspace_id=workspace) == []

    def test_a_fact_outlives_its_session(self, subject: CheckpointStore, session: SessionRecord) -> None:
        saved = subject.save_fact("a", source_session_id=session.id)
        assert subject.delete_session(session.id)
        left = subject.get_fact(saved.id)
        assert left is not None
        assert (left.content, left.source_session_id) == ("a", None)

    def test_facts_are_listed_newest_first_from_a_confidence_on(self, subject: CheckpointStore, workspace: str) -> None:
        saved = []
        for confidence in (0.7, 1, 0, 0.1 + 0.2):
            saved.append(subject.save_fact("a", confidence=confidence, workspace_id=workspace))
            pass_by(saved[-1].created_at)
        assert [fact.confidence for fact in saved] == [0.7, 1.0, 0.0, 0.3]
        newest = saved[::-1]
        assert subject.list_facts(workspace_id=workspace) == newest
        assert subject.list_facts(workspace_id=workspace, min_confidence=0) == newest
        assert subject.list_facts(workspace_id=workspace, min_confidence=0.7) == [saved[1], saved[0]]
        assert subject.list_facts(workspace_id=workspace, min_confidence=0.3) == [saved[3], saved[1], saved[0]]
        assert subject.list_facts(workspace_id=workspace, min_confidence=0.70001) == [saved[1]]
        assert subject.list_facts(workspace_id=workspace, min_confidence=0.3, limit=1) == [saved[3]]
        assert subject.list_facts(workspace_id=workspace, limit=0) == []
        assert subject.list_facts(workspace_id=unique()) == []
        assert {one.id for one in newest} <= {one.id for one in subject.list_facts()}

    @pytest.mark.parametrize("tiny", [1e-60, 5e-324, 1e-38, 1 / 3])
    def test_a_confidence_is_a_float_of_32_bits(self, subject: CheckpointStore, tiny: float) -> None:
        saved = subject.save_fact("a", confidence=tiny)
        assert saved == subject.get_fact(saved.id)
        assert saved.confidence == pytest.approx(tiny, rel=1e-7, abs=1e-45)

    def test_what_a_text_cannot_hold_is_replaced_in_content(self, subject: CheckpointStore) -> None:
        assert subject.save_fact("a\x00b\ud800").content == "a\u2400b\ufffd"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("confidence", 1.0001),
            ("confidence", -0.1),
            ("confidence", math.nan),
            ("confidence", None),
            ("confidence", "1"),
            ("confidence", True),
            ("content", None),
            ("content", 5),
            ("workspace_id", "\x00"),
            ("embedding", []),
        ],
    )
    def test_what_a_fact_cannot_hold_is_named(self, subject: CheckpointStore, field: str, value: Any) -> None:
        with pytest.raises(InvalidRecordError) as caught:
            subject.save_fact(**{"content": "a", field: value})
        assert caught.value.field == field

    def test_what_a_list_cannot_be_asked_is_named(self, subject: CheckpointStore) -> None:
        for value in (1.1, "x", math.nan):
            with pytest.raises(InvalidRecordError, match="min_confidence"):
                subject.list_facts(min_confidence=wrong(value))
