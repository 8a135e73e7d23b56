"""The one place where errors become answers: ours have these bodies whatever ``EXCEPTION_HANDLER`` the project has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied, TooManyFieldsSent
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from obsku_checkpoint.api.serializers import quoted
from obsku_checkpoint.errors import (
    CheckpointCorruptionError,
    ConfigurationError,
    IdConflictError,
    InvalidRecordError,
    NotFoundError,
    SerializationError,
    SessionInUseError,
    StoreUnavailableError,
    VersionConflictError,
)
from obsku_checkpoint.store import failures

Handler = Callable[[Exception, dict[str, Any]], Response | None]

logger = logging.getLogger(__name__)

#: seconds after which a client may try again while the database is away
RETRY_AFTER = 1


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "The record exists with other content."
    default_code = "conflict"


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "A body needs a Content-Length."
    default_code = "length_required"


class PreconditionFailed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The session has changed since: get it again."
    default_code = "precondition_failed"


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "body_too_large"


class StreamNeedsASGI(APIException):
    status_code = status.HTTP_501_NOT_IMPLEMENTED
    default_detail = "The stream needs an ASGI server: under WSGI each listener would hold one of its threads."
    default_code = "stream_needs_asgi"


class TooManyStreams(APIException):
    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = "There are as many streams open as one reader may have: close one of them."
    default_code = "too_many_streams"
    wait = RETRY_AFTER

    def __init__(self) -> None:
        super().__init__(_problem(self.default_detail, self.default_code))


class Unavailable(APIException):
    """503, with a body that says whether something may have been written."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database is unavailable: try again."
    default_code = "unavailable"
    #: what Django REST framework answers as Retry-After
    wait = RETRY_AFTER

    def __init__(self, *, maybe_written: bool) -> None:
        super().__init__()
        # Not through the constructor, which makes text of the boolean.
        self.detail: Any = {"detail": self.default_detail, "code": self.default_code, "maybe_written": maybe_written}


class Busy(Unavailable):
    """As many heavy requests wait as may (`turns.py`)."""

    default_detail = "Too many large requests wait for their turn: try again."
    default_code = "busy"

    def __init__(self) -> None:
        super().__init__(maybe_written=False)


class Misconfigured(Unavailable):
    """What waiting does not heal: a role without rights, a read-only server, missing tables."""

    default_detail = "The server cannot do this as it is set up; its operator finds the reason in its log."
    default_code = "misconfigured"


def handler(project: Handler, *, using: str, began: bool, reading: bool) -> Handler:
    """How a view answers errors. Django REST framework's own kinds, and what becomes one of them, have its bodies;
    any other exception is for the project's handler.

    ``began``: the view's handler was called, so a database error is of the tables in ``using``. ``reading``: nothing
    can have been written.
    """

    def handle(error: Exception, context: dict[str, Any]) -> Response | None:
        if _of_database(error, began=began):
            error = failures.translated(error, using, committing=not reading)
        error = in_http_words(error)
        own = isinstance(error, APIException | Http404 | PermissionDenied)
        return (exception_handler if own else project)(error, context)

    return handle


def _of_database(error: Exception, *, began: bool) -> bool:
    """An error of a query: of ours, or of the project's where the database is away (users are in it, too)."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return began and isinstance(error, DatabaseError) and not isinstance(error, TransactionManagementError)


def in_http_words(error: Exception) -> Exception:
    """The exception of Django REST framework for an error of the store; any other exception as it is."""
    match error:
        case TooManyFieldsSent():  # parameters
            return ParseError(quoted(str(error)))
        case InvalidRecordError():
            return ValidationError({quoted(error.field): [quoted(error.reason)]})
        case SerializationError():
            return ValidationError({quoted(error.path): [quoted(error.reason)]})
        case NotFoundError():
            return NotFound(_problem(error, f"{error.kind.lower()}_not_found"))
        case IdConflictError():
            return Conflict(_problem(error, "id_conflict"))
        case SessionInUseError():
            return Conflict(_problem(error, "session_in_use") | {"id": error.id, "by": quoted(error.by)})
        case VersionConflictError():
            return Conflict(_problem(error, "version_conflict"))
        case CheckpointCorruptionError():  # a write met a stored record that nobody can read
            return Conflict(_problem(f"The stored record cannot be decoded: {error.reason}", "corrupt"))
        case StoreUnavailableError():
            return Unavailable(maybe_written=error.maybe_written)
        case ConfigurationError():
            logger.error("The store cannot serve the API: %s", error)
            return Misconfigured(maybe_written=False)
    return error


def _problem(error: object, code: str) -> dict[str, str]:
    """``detail`` is for people, ``code`` for programs."""
    return {"detail": quoted(str(error)), "code": code}
