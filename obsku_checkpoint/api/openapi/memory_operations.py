"""The operations of entities and facts, as `operations` has the others."""

from __future__ import annotations

from obsku_checkpoint.api import memory_serializers as serializers
from obsku_checkpoint.api.memory_serializers import Entity, Fact
from obsku_checkpoint.api.openapi.operations import MOMENT, SESSION_ID, given, page, shown
from obsku_checkpoint.api.openapi.schema import CURSOR, DEPTH, LIMIT, LINK, operation

NEW_ENTITY = {
    "id": "019b7d12-31bb-7f65-a0a4-7be0f5d7f3a1",
    "session_id": SESSION_ID,
    "workspace_id": "shop",
    "name": "orders",
    "type": "table",
    "attributes": {"rows": 4_200_000},
    "relationships": [{"targetId": "019b7d12-31bb-7f65-a0a4-7be0f5d7f3a2", "type": "refers to"}],
    "embedding": [0.12, -0.5, 0.86],
}
ENTITY = {**NEW_ENTITY, "created_at": MOMENT, "updated_at": MOMENT}
NEW_FACT = {
    "id": "019b7d13-5c4d-7d0b-8a53-0f3c1a3d5b77",
    "content": "The page of orders reads a table without an index.",
    "confidence": 0.9,
    "workspace_id": "shop",
    "source_session_id": SESSION_ID,
    "embedding": [0.2, -0.4, 0.9],
}
FACT = {**NEW_FACT, "created_at": MOMENT}
QUERY = {"embedding": [0.1, -0.5, 0.8], "workspace_id": "shop", "top_k": 3, "threshold": 0.5}
REPEATABLE = "With an `id` the call may be repeated: the same content gives 200 and the record that is there."
NEAREST = (
    "The records whose embeddings are nearest by their cosine, best first; those of another dimension are left out. "
    "Where they do not fit MAX_PAGE_BYTES, the header Link has the address that the same body is to be sent to next."
)

entities_list = operation(
    "entities_list",
    "Entities, newest first",
    answers={200: serializers.EntityPage},
    errors=[400],
    parameters=[CURSOR, LIMIT],
    filters=True,
    examples=[page("A page", ENTITY)],
)
entities_create = operation(
    "entities_create",
    "Save an entity",
    description=f"{REPEATABLE} With `upsert` the entity of this workspace, type and name is said anew, and keeps "
    "its id (200); where there is none, it is made (201). Needs the permissions to add and to change.",
    body=serializers.NewEntity,
    answers={201: Entity, 200: Entity},
    errors=[404, 409],
    examples=[given("An entity", NEW_ENTITY), shown("The entity", ENTITY, "200", "201")],
)
entities_retrieve = operation(
    "entities_retrieve",
    "One entity",
    answers={200: Entity},
    errors=[404],
    examples=[shown("The entity", ENTITY)],
)
entities_update = operation(
    "entities_update",
    "Change an entity",
    description="Null clears a value, what is not given stays.",
    body=serializers.EntityChanges,
    answers={200: Entity},
    errors=[404],
    examples=[given("Other attributes", {"attributes": {"rows": 4_300_000}})],
)
entities_delete = operation("entities_delete", "Delete an entity", answers={204: None}, errors=[404])
entities_related = operation(
    "entities_related",
    "The entities that its relationships lead to, nearest first",
    description="Without itself, and no further than the request may see. Where steps beyond the first would follow "
    "more than MAX_PAGE_BYTES of relationships, the depth is refused.",
    answers={200: serializers.EntityPage},
    errors=[400, 404],
    parameters=[CURSOR, LIMIT, DEPTH],
)
entities_search = operation(
    "entities_search",
    "Search entities",
    description=NEAREST,
    body=serializers.EntitySearch,
    answers={200: serializers.ScoredEntity(many=True)},
    parameters=[CURSOR, LINK],
    examples=[given("In a workspace", QUERY), shown("One", {"record": ENTITY, "score": 0.98})],
)
facts_list = operation(
    "facts_list",
    "Facts, newest first",
    answers={200: serializers.FactPage},
    errors=[400],
    parameters=[CURSOR, LIMIT],
    filters=True,
    examples=[page("A page", FACT)],
)
facts_create = operation(
    "facts_create",
    "Save a fact",
    description=REPEATABLE,
    body=serializers.NewFact,
    answers={201: Fact, 200: Fact},
    errors=[404, 409],
    examples=[given("A fact", NEW_FACT), shown("The fact", FACT, "200", "201")],
)
facts_retrieve = operation(
    "facts_retrieve",
    "One fact",
    answers={200: Fact},
    errors=[404],
    examples=[shown("The fact", FACT)],
)
facts_delete = operation("facts_delete", "Delete a fact", answers={204: None}, errors=[404])
facts_search = operation(
    "facts_search",
    "Search facts",
    description=NEAREST,
    body=serializers.FactSearch,
    answers={200: serializers.ScoredFact(many=True)},
    parameters=[CURSOR, LINK],
    examples=[given("In a workspace", QUERY), shown("One", {"record": FACT, "score": 0.97})],
)
