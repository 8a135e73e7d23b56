"""What OpenAPI says of each handler: decorators by the names of the operations."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from obsku_checkpoint.api import serializers
from obsku_checkpoint.api.openapi.schema import (
    CURSOR,
    ETAG,
    IF_MATCH,
    LAST_EVENT_ID,
    LIMIT,
    MESSAGE_ID,
    ON_CORRUPT,
    operation,
)
from obsku_checkpoint.api.serializers import Checkpoint, Session

MOMENT = "2026-01-02T03:04:05.678Z"
SESSION_ID, CHECKPOINT_ID = "019b7d0e-8a4e-7c3a-9d55-2f0f6b1c7e10", "019b7d0e-9c11-7b0e-8f3d-6a52c1d8e4f7"

NEW_SESSION = {
    "id": SESSION_ID,
    "directory": "/srv/shop",
    "title": "Find the slow query",
    "workspace_id": "shop",
    "metadata": {"deadline": {"__type": "Date", "value": "2026-01-05T17:00:00.000Z"}},
}
SESSION = {**NEW_SESSION, "created_at": MOMENT, "updated_at": MOMENT}
NEW_MESSAGE = {
    "role": "assistant",
    "content": "I look at the queries.",
    "tool_calls": [{"name": "explain", "toolUseId": "use-1", "input": {"page": "/orders"}}],
    "tokens_in": 812,
    "tokens_out": 64,
}
MESSAGE = {
    "id": 7,
    "session_id": SESSION_ID,
    **NEW_MESSAGE,
    "tool_results": None,
    "created_at": MOMENT,
}
NEW_CHECKPOINT = {
    "id": CHECKPOINT_ID,
    "step": 1,
    "node_id": "measure",
    "node_results": {"measure": {"status": "completed", "output": {"seconds": 4.2}}},
    "pending_nodes": ["fix", "verify"],
}
CHECKPOINT = {
    "session_id": SESSION_ID,
    "namespace": "",
    "parent_id": None,
    "version": 1,
    **NEW_CHECKPOINT,
    "cycle_state": None,
    "source": "loop",
    "created_at": MOMENT,
}
EVENT = 'id: 1042\nevent: message\ndata: {"id": 7, "role": "assistant", "content": "I look at the queries.", …}\n\n'
FORK = {**SESSION, "id": "019b7d11-02aa-7d31-b6a4-1c7b8e90aa42", "title": "The same, with an index"}


def given(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def shown(name: str, value: Any, *codes: str) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=codes or ("200",))


def page(name: str, value: Any) -> OpenApiExample:
    return shown(name, {"next": None, "previous": None, "results": [value]})


sessions_list = operation(
    "sessions_list",
    "Sessions, last active first",
    answers={200: serializers.SessionPage},
    errors=[400],
    parameters=[CURSOR, LIMIT],
    filters=True,
    examples=[page("A page", SESSION)],
)
sessions_create = operation(
    "sessions_create",
    "Make a session",
    description="With an `id` the call may be repeated: the same content gives 200 and the session that is there.",
    body=serializers.NewSession,
    answers={201: Session, 200: Session},
    errors=[409],
    parameters=[ETAG],
    examples=[given("A session", NEW_SESSION), shown("The session", SESSION, "200", "201")],
)
sessions_latest = operation(
    "sessions_latest",
    "The session last active, with all that is needed to go on with it",
    answers={200: serializers.Resumption},
    errors=[400, 404],
    filters=True,
    examples=[
        shown(
            "Go on",
            {"session": SESSION, "messages": [MESSAGE], "messages_previous": None, "checkpoint": CHECKPOINT},
        )
    ],
)
sessions_retrieve = operation(
    "sessions_retrieve",
    "One session",
    answers={200: Session},
    errors=[404],
    parameters=[ETAG],
    examples=[shown("The session", SESSION)],
)
sessions_update = operation(
    "sessions_update",
    "Change a session",
    description="Null clears a value, what is not given stays. `If-Match` compares what can be edited: an agent "
    "that is at work on the session does not stand in the way.",
    body=serializers.SessionChanges,
    answers={200: Session},
    errors=[404, 412],
    parameters=[ETAG, IF_MATCH],
    examples=[given("Another title", {"title": "Find the slow query again"})],
)
sessions_delete = operation(
    "sessions_delete",
    "Delete a session and all that belongs to it",
    answers={204: None},
    errors=[404],
)
sessions_summaries = operation(
    "sessions_summaries",
    "Sessions in figures, last active first",
    answers={200: serializers.SessionSummaryPage},
    errors=[400],
    parameters=[CURSOR, LIMIT],
    filters=True,
)
sessions_summary = operation(
    "sessions_summary",
    "A session in figures",
    answers={200: serializers.SessionSummary},
    errors=[404],
)
messages_list = operation(
    "messages_list",
    "The transcript, oldest first",
    description="A `limit` gives the newest, or with `after_id` the next ones; `previous` leads back from there. "
    "Without it the pages begin at the first message.",
    answers={200: serializers.MessagePage},
    errors=[400, 404],
    parameters=[CURSOR, LIMIT],
    filters=True,
    examples=[page("A page", MESSAGE)],
)
messages_create = operation(
    "messages_create",
    "Append a message, or a list of them of which all are added or none",
    description="The database numbers messages, so there is no id to make a repeated call safe with.",
    body=serializers.NewMessages,
    answers={201: serializers.AddedMessages},
    errors=[404],
    examples=[
        given("One", NEW_MESSAGE),
        given("Several", [{"role": "user", "content": "And the search page?"}, NEW_MESSAGE]),
        shown("The message", MESSAGE, "201"),
    ],
)
sessions_events = operation(
    "sessions_events",
    "What is new in a session, as server-sent events",
    description="Events `message` and `checkpoint` have the record as `data`, in the order of their commits. "
    "`deleted` is the last one: the session is gone, or may not be seen any more. Comments show that the "
    "connection lives.",
    answers={(200, "text/event-stream"): {"type": "string", "description": "Events without end."}},
    errors=[400, 404, 429, 501],
    parameters=[LAST_EVENT_ID],
    examples=[shown("A message", EVENT)],
)
sessions_dangling = operation(
    "sessions_dangling",
    "The tool calls without a result and the results without a call, in the order of the transcript",
    answers={200: serializers.Dangling(many=True)},
    errors=[400, 404, 409],
    parameters=[ON_CORRUPT],
    examples=[shown("A call without a result", {"message_id": 7, "tool_use_id": "use-1", "kind": "call"})],
)
sessions_repair = operation(
    "sessions_repair",
    "Give every tool call its result and every result its call",
    description="Results without a call are removed.",
    body=serializers.NewRepair,
    answers={200: serializers.Repaired},
    errors=[404, 409],
    examples=[given("Drop the calls", {"how": "drop"}), shown("One was dangling", {"repaired": 1})],
)
messages_fork = operation(
    "messages_fork",
    "A new session that goes on from a message",
    description="It has the messages up to that one and itself, and no checkpoint.",
    body=serializers.NewFork,
    answers={201: Session},
    errors=[404],
    parameters=[MESSAGE_ID, ETAG],
    examples=[given("With a title", {"title": FORK["title"]}), shown("The fork", FORK, "201")],
)
session_checkpoints_list = operation(
    "session_checkpoints_list",
    "The checkpoints of a session, newest first",
    answers={200: serializers.CheckpointPage},
    errors=[400, 404],
    parameters=[CURSOR, LIMIT],
    filters=True,
    examples=[page("A page", CHECKPOINT)],
)
session_checkpoints_create = operation(
    "session_checkpoints_create",
    "Save a checkpoint",
    description="Without a `version` it takes the next one. With an `id` the call may be repeated: the same "
    "content gives 200 and the checkpoint that is there.",
    body=serializers.NewCheckpoint,
    answers={201: Checkpoint, 200: Checkpoint},
    errors=[404, 409],
    examples=[given("After a step", NEW_CHECKPOINT), shown("The checkpoint", CHECKPOINT, "200", "201")],
)
session_checkpoints_latest = operation(
    "session_checkpoints_latest",
    "The newest checkpoint of a session, or of one of its namespaces",
    answers={200: Checkpoint},
    errors=[400, 404],
    filters=True,
    examples=[shown("The checkpoint", CHECKPOINT)],
)
checkpoints_retrieve = operation(
    "checkpoints_retrieve",
    "One checkpoint",
    answers={200: Checkpoint},
    errors=[404],
    examples=[shown("The checkpoint", CHECKPOINT)],
)
checkpoints_lineage = operation(
    "checkpoints_lineage",
    "The checkpoint, its parent, the parent's parent, … across forks",
    description="It ends at the first one that is gone, or that may not be seen.",
    answers={200: serializers.CheckpointPage},
    errors=[400, 404],
    parameters=[CURSOR, LIMIT],
)
checkpoints_fork = operation(
    "checkpoints_fork",
    "A new session that goes on from a checkpoint",
    description="It has the messages written up to the checkpoint, and a copy of the checkpoint itself.",
    body=serializers.NewFork,
    answers={201: Session},
    errors=[404],
    parameters=[ETAG],
    examples=[given("With a title", {"title": FORK["title"]}), shown("The fork", FORK, "201")],
)
