"""How a handler is described: `operations.py` has what is said of each, which stands above it as a decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers

from obsku_checkpoint.memory_validation import MAX_DEPTH
from obsku_checkpoint.shapes import schema_of

F = TypeVar("F", bound=Callable[..., Any])
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
    429: (PROBLEM, "The reader has as many streams open as they may have."),
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
CURSOR = OpenApiParameter("cursor", str, description="Which page, as `next` and `previous` have it.")
LINK = OpenApiParameter(
    "Link", str, OpenApiParameter.HEADER, response=[200], description='The address of what follows, as `rel="next"`.'
)
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


def operation(
    id: str,
    summary: str,
    *,
    description: str = "",
    body: Any = None,
    answers: Mapping[int | tuple[int, str], Any],
    errors: Sequence[int] = (),
    parameters: Sequence[OpenApiParameter] = (),
    filters: bool = False,
    examples: Sequence[OpenApiExample] = (),
) -> Callable[[F], F]:
    """`extend_schema` for a handler, with what all of the API may answer.

    ``answers`` are by status code, or that and the media type where it is not JSON; ``errors`` are those that not every
    route has.
    """
    problems = ERRORS | {code: FURTHER[code] for code in (*errors, *((400, 415) if body is not None else ()))}
    extend = extend_schema(
        operation_id=id,
        summary=summary,
        description=description,
        request=body,
        responses={
            **{code: OpenApiResponse(shown, summary) for code, shown in answers.items()},
            **{code: OpenApiResponse(*problems[code]) for code in sorted(problems)},
        },
        parameters=[*parameters, RETRY_AFTER],
        filters=filters,
        examples=list(examples),
    )

    def described(handler: F) -> F:
        handler.kwargs = {"schema": Schema}  # type: ignore[attr-defined]  # to extend this, not the project's own class
        return extend(handler)

    return described


class Schema(AutoSchema):
    """What all operations have in common; `operation` says the rest."""

    view: Any

    def get_description(self) -> Any:  # type: ignore[override]  # as drf-spectacular calls it
        return ""

    def get_tags(self) -> list[str]:
        return [self.view.queryset.model._meta.verbose_name_plural]

    def get_override_parameters(self) -> list[Any]:
        return [ID] if "{id}" in self.path else []

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Pages are serializers of their own."""
        return isinstance(serializer, serializers.ListSerializer)

    def _get_request_for_media_type(self, serializer: Any, direction: Any = "request") -> Any:
        """A body of one of several forms, none of which may be empty, is required, too."""
        schema, required = super()._get_request_for_media_type(serializer, direction)  # type: ignore[no-untyped-call]  # theirs
        return schema, required or isinstance(serializer, PolymorphicProxySerializer)

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


class BodyExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # as above
    target_class = "obsku_checkpoint.api.serializers.Body"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        """Unknown names are refused."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**schema, "additionalProperties": False}
