"""What goes in and what comes out. The fields describe; what a value may be is for the store to say, once for all.

So that thousands of records cost no more than they must, nothing here walks over fields: `Shown` reads a record's
attributes, `Body` checks which names there are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

import orjson
from django.utils.duration import duration_iso_string
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from obsku_checkpoint import codec
from obsku_checkpoint.errors import SerializationError
from obsku_checkpoint.models import Role, Source
from obsku_checkpoint.records import JSON_PLUS, CorruptValue, CycleState, NodeResult, ToolCall, ToolResult
from obsku_checkpoint.validation import INT32

#: errors that an answer names at most, and characters of a client's own text that it repeats
ERRORS, QUOTED = 20, 500


class Shown(serializers.Serializer[Any]):
    """Base of what comes out: a record's fields under their own names.

    A stored value that cannot be decoded is null, and ``corrupt`` says why and what is stored.
    """

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        corrupt: dict[str, _CorruptColumn] = {}
        for name in instance.__slots__:
            value = getattr(instance, name)
            kind = type(value)
            if kind is datetime:
                value = moment(value)
            elif kind is CorruptValue:
                corrupt[name], value = _corrupt(value.text, value.reason), None
            elif name in JSON_PLUS and value is not None:
                try:
                    value = column(value)
                except SerializationError as error:  # another program may nest deeper than this one writes
                    corrupt[name], value = _corrupt("", f"{error.path}: {error.reason}"), None
            shown[name] = value
        if corrupt:
            shown["corrupt"] = corrupt
        return shown


class Body(serializers.Serializer[Any]):
    """Base of what comes in: an object with the names below, and no others."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if type(data) is not dict:
            raise ValidationError({"non_field_errors": [f"Takes an object, not {type(data).__name__}."]})
        fields = self._declared_fields
        unknown = [name for name in data if name not in fields]
        errors = {quoted(name): [f"is unknown; known are {', '.join(fields)}"] for name in unknown[:ERRORS]}
        errors |= {name: ["is missing"] for name, field in fields.items() if field.required and name not in data}
        if errors:
            raise ValidationError(errors)
        return data


def quoted(text: str) -> str:
    """A client's own text as an answer repeats it: it may be of any length, and not be UTF-8."""
    short = text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
    return short.encode("utf-8", "backslashreplace").decode()


class JsonPlusField(serializers.JSONField):
    """A value of JSON-plus, of the type that ``holds`` is."""

    def __init__(self, *, holds: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.holds = holds


def column(value: Any) -> orjson.Fragment:
    """A stored value in its tagged form; `SerializationError` where it is nested deeper than can be written."""
    return orjson.Fragment(codec.dumps(value))


def moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _corrupt(text: str, reason: str) -> _CorruptColumn:
    return {"text": text.encode("utf-8", "backslashreplace").decode(), "reason": reason.removeprefix("$: ")}


# Fields that several of them have


class Id(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)


class Text(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, **kwargs)


class Moment(serializers.DateTimeField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)  # null where what is stored is no time


class _Tokens(serializers.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, min_value=0, max_value=INT32, **kwargs)


@extend_schema_field({"type": "string", "pattern": r"^P\d+DT\d{2}H\d{2}M\d{2}(\.\d{6})?S$"})
class _Duration(serializers.DurationField):
    pass


class _Sum(serializers.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_value=2**63 - 1, **kwargs)


class _CorruptColumn(TypedDict):
    text: str
    reason: str


class Corrupt(JsonPlusField):
    def __init__(self) -> None:
        super().__init__(
            required=False,
            holds=dict[str, _CorruptColumn],
            help_text="Only where stored values cannot be decoded: each such field is null, and here by its name with "
            "the stored text and the reason.",
        )


# What comes out


class Session(Shown):
    """One run, or one conversation, of an agent."""

    id = Id(help_text="Any text; a UUIDv7 where the client gave none.")
    workspace_id = Text(allow_null=True, help_text="Which workspace it belongs to, if any.")
    title = Text(allow_null=True, help_text="For people to read.")
    directory = Text(help_text="Where the agent works.")
    created_at = Moment(help_text="When it was made; UTC, whole milliseconds.")
    updated_at = Moment(help_text="When it was last active; UTC, whole milliseconds.")
    metadata = JsonPlusField(allow_null=True, holds=dict[str, Any], help_text="The application's own, as JSON-plus.")
    corrupt = Corrupt()


class Message(Shown):
    """One entry of a session's transcript."""

    id = serializers.IntegerField(help_text="The database's number; it grows.")
    session_id = Id(help_text="The session it belongs to.")
    role = serializers.ChoiceField(choices=Role.choices, help_text="Who speaks.")
    content = Text(allow_null=True, help_text="The text, if there is any.")
    tool_calls = JsonPlusField(allow_null=True, holds=list[ToolCall], help_text="The tools that an assistant calls.")
    tool_results = JsonPlusField(allow_null=True, holds=list[ToolResult], help_text="What the tools gave back.")
    tokens_in = _Tokens(help_text="Tokens that the model read.")
    tokens_out = _Tokens(help_text="Tokens that the model wrote.")
    created_at = Moment(help_text="When it was written; UTC, whole milliseconds.")
    corrupt = Corrupt()


class Checkpoint(Shown):
    """The state of a session's graph after one step."""

    id = Id(help_text="Any text; a UUIDv7 where the client gave none.")
    session_id = Id(help_text="The session it belongs to.")
    namespace = Text(help_text="Which of the session's graphs; the main one is the empty text.")
    parent_id = Text(allow_null=True, help_text="The checkpoint it follows; of another session in a fork.")
    version = serializers.IntegerField(help_text="1, 2, 3, … within session and namespace.")
    step = serializers.IntegerField(help_text="The graph's own count.")
    node_id = Text(allow_null=True, help_text="The node that ran last.")
    node_results = JsonPlusField(
        allow_null=True, holds=dict[str, NodeResult], help_text="How each node ended; null if corrupt."
    )
    pending_nodes = JsonPlusField(
        allow_null=True, holds=list[str], help_text="The nodes still to run; null if corrupt."
    )
    cycle_state = JsonPlusField(allow_null=True, holds=CycleState, help_text="Where a cycle stands, if in one.")
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the metaclass takes it for a field
        choices=Source.choices, help_text="What it was made by."
    )
    created_at = Moment(help_text="When it was saved; UTC, whole milliseconds.")
    corrupt = Corrupt()


class Dangling(Shown):
    """A tool call of a transcript that has no result, or a result that has no call."""

    message_id = serializers.IntegerField(help_text="The message that holds it.")
    tool_use_id = Text(help_text="Its toolUseId.")
    kind = serializers.ChoiceField(choices=["call", "result"], help_text="Which of the two it is.")


class Repaired(serializers.Serializer[Any]):
    """What a repair has done."""

    repaired = serializers.IntegerField(min_value=0, help_text="How many calls and results were dangling.")


class Resumption(serializers.Serializer[Any]):
    """All that a later process needs to go on with a session."""

    session = Session(help_text="The session last active.")
    messages = Message(many=True, help_text="The newest of its messages that fit MAX_PAGE_BYTES, oldest first.")
    messages_previous = serializers.URLField(allow_null=True, help_text="The page of the messages before them, if any.")
    checkpoint = Checkpoint(allow_null=True, help_text="Its newest checkpoint, if it has one.")


class SessionSummary(serializers.Serializer[Any]):
    """A session in figures."""

    session = Session(help_text="The session.")
    message_count = _Sum(help_text="How many messages it has.")
    checkpoint_count = _Sum(help_text="How many checkpoints it has.")
    tokens_in = _Sum(help_text="The sum over the transcript.")
    tokens_out = _Sum(help_text="The sum over the transcript.")
    last_message = Message(allow_null=True, help_text="The newest message, if there is one.")
    duration = _Duration(help_text="From creation to last activity, as an ISO 8601 duration.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = super().to_representation(instance)
        duration: timedelta = instance.duration
        return {**shown, "duration": duration_iso_string(duration)}


class Page(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True, help_text="The page after this one, if there is more.")
    previous = serializers.URLField(allow_null=True, help_text="The page before this one.")


class SessionPage(Page):
    results = Session(many=True, help_text="Sessions, last active first.")


class SessionSummaryPage(Page):
    results = SessionSummary(many=True, help_text="Sessions in figures, last active first.")


class MessagePage(Page):
    results = Message(many=True, help_text="Messages, oldest first.")


class CheckpointPage(Page):
    results = Checkpoint(many=True, help_text="Checkpoints, newest first.")


# What comes in


class NewSession(Body):
    """A session to make."""

    id = Id(required=False, allow_blank=True, help_text="Makes the call repeatable: the same id, the same session.")
    directory = Text(help_text="Where the agent works.")
    title = Text(required=False, allow_null=True, help_text="For people to read.")
    workspace_id = Text(required=False, allow_null=True, help_text="Which workspace it belongs to.")
    metadata = JsonPlusField(required=False, allow_null=True, holds=dict[str, Any], help_text="The application's own.")


class SessionChanges(Body):
    """What to change of a session: null clears, what is not given stays."""

    title = Text(required=False, allow_null=True, help_text="For people to read.")
    directory = Text(required=False, help_text="Where the agent works.")
    workspace_id = Text(required=False, allow_null=True, help_text="Which workspace it belongs to.")
    metadata = JsonPlusField(required=False, allow_null=True, holds=dict[str, Any], help_text="The application's own.")


class NewMessage(Body):
    """A message to append to the transcript. (No id: the database numbers messages.)"""

    role = serializers.ChoiceField(choices=Role.choices, help_text="Who speaks.")
    content = Text(required=False, allow_null=True, help_text="The text; characters no column holds are replaced.")
    tool_calls = JsonPlusField(required=False, allow_null=True, holds=list[ToolCall], help_text="The tools called.")
    tool_results = JsonPlusField(required=False, allow_null=True, holds=list[ToolResult], help_text="What tools gave.")
    tokens_in = _Tokens(help_text="Tokens that the model read.")
    tokens_out = _Tokens(help_text="Tokens that the model wrote.")


class NewCheckpoint(Body):
    """A checkpoint to save."""

    id = Id(required=False, allow_blank=True, help_text="Makes the call repeatable: the same id, the same checkpoint.")
    step = serializers.IntegerField(min_value=-INT32 - 1, max_value=INT32, help_text="The graph's own count.")
    node_results = JsonPlusField(holds=dict[str, NodeResult], help_text="How each node ended.")
    pending_nodes = JsonPlusField(required=False, allow_null=True, holds=list[str], help_text="The nodes still to run.")
    namespace = Text(required=False, help_text="Which of the session's graphs; the main one by default.")
    version = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=INT32, help_text="The next one by default."
    )
    parent_id = Text(required=False, allow_null=True, help_text="The checkpoint it follows.")
    node_id = Text(required=False, allow_null=True, help_text="The node that ran last.")
    cycle_state = JsonPlusField(required=False, allow_null=True, holds=CycleState, help_text="Where a cycle stands.")
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the metaclass takes it for a field
        required=False, choices=Source.choices, help_text="What it is made by; loop by default."
    )


class NewFork(Body):
    """How the fork is to be named."""

    title = Text(required=False, allow_null=True, help_text="Fork of the session's title by default.")


class NewRepair(Body):
    """How calls without a result are to be repaired."""

    how = serializers.ChoiceField(
        required=False, choices=["error", "drop"], help_text="Give them an error as result (the default), or drop them."
    )


NewMessages = PolymorphicProxySerializer(
    "NewMessages", [NewMessage, NewMessage(many=True)], resource_type_field_name=None, many=False
)
AddedMessages = PolymorphicProxySerializer(
    "AddedMessages", [Message, Message(many=True)], resource_type_field_name=None, many=False
)
