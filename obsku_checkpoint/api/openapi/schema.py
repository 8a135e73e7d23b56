"""What OpenAPI says of the routes: each method of each view is an `Operation` in `operations.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from obsku_checkpoint.memory_validation import MAX_DEPTH
from obsku_checkpoint.shapes import schema_of

INTEGER = ("integer", ["integer", "null"])
PROBLEM = {
    "type": "object",
    "properties": {
        "detail": {"type": "string", "description": "What is wrong."},
        "code": {"type": "string", "description": "The same for programs, of 404 and 409: as `version_conflict`."},
    },
    "required": ["detail"],
}
FIELDS = {
    "type": "object",
    "description": "What is wrong, by the field's path, as `tool_calls[0].name`; `detail` where it is the body itself.",
    "additionalProperties": {
        "oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}],
    },
}
#: what every route may answer
ERRORS: dict[int, tuple[dict[str, Any], str]] = {
    401: (PROBLEM, "Nobody is signed in."),
    403: (PROBLEM, "The user has no permission, or the workspace is not among theirs."),
    406: (PROBLEM, "Only JSON can be had."),
    411: (PROBLEM, "The body has no Content-Length."),
    413: (PROBLEM, "The body is longer than MAX_BODY_BYTES."),
    503: (PROBLEM, "The database is away: try again after the seconds in Retry-After."),
}
FURTHER: dict[int, tuple[dict[str, Any], str]] = {
    400: (FIELDS, "A value is missing, unknown, or cannot be stored."),
    404: (PROBLEM, "There is no such record, or it may not be seen."),
    409: (PROBLEM, "The id exists with other content, or the version is taken."),
    412: (PROBLEM, "The session was edited since the ETag in If-Match."),
    415: (PROBLEM, "The body is not application/json."),
    501: (PROBLEM, "The server is a WSGI server, which cannot stream."),
}
ID = OpenApiParameter(
    "id",
    str,
    OpenApiParameter.PATH,
    description="The record's id. `~2F` stands for a slash in it, `~7E` for a tilde, a lone `~` for the empty id, and "
    "`~6Catest`, `~73ummaries` and `~73earch` for the ids latest, summaries and search.",
)
MESSAGE_ID = OpenApiParameter("message_id", int, OpenApiParameter.PATH, description="The message's id.")
ON_CORRUPT = OpenApiParameter(
    "on_corrupt",
    str,
    enum=["raise", "keep"],
    description="What to do about a stored column that cannot be decoded: refuse (409), the default, or take it for "
    "empty.",
)
DEPTH = OpenApiParameter(
    "depth",
    {"type": "integer", "format": "int32", "minimum": 0, "maximum": MAX_DEPTH, "default": 1},
    description="How many steps relationships are followed.",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After", int, OpenApiParameter.HEADER, response=[503], description="Seconds to wait."
)
CURSOR = OpenApiParameter("cursor", str, description="The place of a page, as `next` and `previous` have it.")
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "format": "int32", "minimum": 0},
    description="How many records, PAGE_SIZE by default and MAX_PAGE_SIZE at most. Of messages it gives the newest.",
)
ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 201], description="What this state of the session is known by."
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="Change the session only if nobody edited it since this ETag."
)

LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    str,
    OpenApiParameter.HEADER,
    description="The `id` of the last event received: the stream goes on behind it. 0 is the session's beginning, "
    "without it the stream is what comes from now on.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one route."""

    id: str
    summary: str
    description: str = ""
    #: what comes in: a serializer, or a JSON schema
    body: Any = None
    #: status code, or that and the media type where it is not JSON -> what comes out
    answers: dict[int | tuple[int, str], Any]
    #: errors that not every route has
    errors: Sequence[int] = ()
    parameters: Sequence[OpenApiParameter] = ()
    filters: bool = False
    examples: Sequence[OpenApiExample] = field(default_factory=list)


class Schema(AutoSchema):
    """Reads `Operation`s, which the views have by the names of their handlers in ``operations``."""

    view: Any

    @property
    def _operation(self) -> Operation:
        operation: Operation = self.view.operations[self.view.action]
        return operation

    def get_operation_id(self) -> str:
        return self._operation.id

    def get_summary(self) -> str:
        return self._operation.summary

    def get_description(self) -> Any:  # type: ignore[override]  # as drf-spectacular calls it
        return self._operation.description

    def get_tags(self) -> list[str]:
        return [self.view.queryset.model._meta.verbose_name_plural]

    def get_request_serializer(self) -> Any:
        return self._operation.body

    def get_response_serializers(self) -> Any:
        operation = self._operation
        errors = ERRORS | {code: FURTHER[code] for code in operation.errors}
        if operation.body is not None:
            errors |= {code: FURTHER[code] for code in (400, 415)}
        return {
            **{code: OpenApiResponse(shown, operation.summary) for code, shown in operation.answers.items()},
            **{code: OpenApiResponse(*errors[code]) for code in sorted(errors)},
        }

    def get_override_parameters(self) -> list[Any]:
        own = [ID] if self.path_parameters.startswith("id}") else []
        return [*own, *self._operation.parameters, RETRY_AFTER]

    def get_examples(self) -> list[OpenApiExample]:
        return list(self._operation.examples)

    def get_filter_backends(self) -> Any:
        return self.view.filter_backends if self._operation.filters else []

    @property
    def path_parameters(self) -> str:
        return self.path.partition("{")[2]

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Pages are serializers of their own."""
        return isinstance(serializer, serializers.ListSerializer)

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]  # theirs
        if schema.get("type") in INTEGER:
            schema.setdefault("format", "int32")
        return schema


class JsonPlusFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "obsku_checkpoint.api.serializers.JsonPlusField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return schema_of(self.target.holds)
