"""The one place where errors become answers. The views use it whatever handler the project has set."""

from __future__ import annotations

import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, ValidationError

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


class Unavailable(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database is unavailable: try again."
    default_code = "unavailable"
    #: what Django REST framework answers as Retry-After
    wait = RETRY_AFTER

    def __init__(self, *, maybe_written: bool) -> None:
        super().__init__()
        # Not through the constructor, which makes text of the boolean.
        self.detail: Any = {"detail": self.default_detail, "code": self.default_code, "maybe_written": maybe_written}


def in_http_words(error: Exception, *, reading: bool) -> Exception:
    """The exception of Django REST framework for an error of the store; any other exception as it is.

    ``reading``: nothing can have been written, by the request's method or since its handler has not begun.
    """
    match error:
        case InvalidRecordError():
            return ValidationError({_shown(error.field): [_shown(error.reason)]})
        case SerializationError():
            return ValidationError({_shown(error.path): [_shown(error.reason)]})
        case NotFoundError():
            return NotFound(_problem(error, f"{error.kind.lower()}_not_found"))
        case IdConflictError():
            return Conflict(_problem(error, "id_conflict"))
        case SessionInUseError():
            return Conflict(_problem(error, "session_in_use") | {"id": error.id, "by": _shown(error.by)})
        case VersionConflictError():
            return Conflict(_problem(error, "version_conflict"))
        case CheckpointCorruptionError():  # a write met a stored record that nobody can read
            return Conflict(_problem(f"The stored record cannot be decoded: {error.reason}", "corrupt"))
        case StoreUnavailableError():
            return Unavailable(maybe_written=error.maybe_written)
        case ConfigurationError():  # the reason is the operator's: a role without rights, a read-only server, no tables
            logger.error("The store cannot serve the API: %s", error)
            return Unavailable(maybe_written=False)
        case OperationalError() | InterfaceError():  # it is not the store that asks: users are in the database, too
            return Unavailable(maybe_written=not reading)
    return error


def _problem(error: object, code: str) -> dict[str, str]:
    """``detail`` is for people, ``code`` for programs."""
    return {"detail": _shown(str(error)), "code": code}


def _shown(text: str) -> str:
    """Names of fields may be a client's own, with characters that UTF-8 does not have."""
    return text.encode("utf-8", "backslashreplace").decode()
