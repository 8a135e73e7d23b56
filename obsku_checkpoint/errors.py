"""Every exception a caller may catch. Knows no Django.

The constructor arguments are the exception's ``args``, so that each error survives pickling (process pools,
task queues) with its attributes.
"""

from __future__ import annotations

__all__ = [
    "AccessDeniedError",
    "CheckpointCorruptionError",
    "CheckpointNotFoundError",
    "CheckpointStoreError",
    "ConfigurationError",
    "EntityNotFoundError",
    "FactNotFoundError",
    "GraphError",
    "IdConflictError",
    "InvalidRecordError",
    "InvalidResponseError",
    "LeaseConflictError",
    "MessageNotFoundError",
    "NotFoundError",
    "SerializationError",
    "SessionInUseError",
    "SessionNotFoundError",
    "StoreUnavailableError",
    "VersionConflictError",
]

PREVIEW_CHARACTERS = 100


class CheckpointStoreError(Exception):
    """Base of all errors raised by this package."""


class NotFoundError(CheckpointStoreError):
    """A record that a call needs does not exist. ``kind`` names its sort, ``id`` the record."""

    kind: str = "Record"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"{self.kind} not found: {self.id}"


class SessionNotFoundError(NotFoundError):
    """The session to write to, or to change, does not exist."""

    kind = "Session"


class SessionInUseError(CheckpointStoreError):
    """The session cannot be deleted while rows of the host project refer to it.

    ``by`` names what does: the database's constraint or, where Django protects, ``app.Model.field``. ``id`` is empty
    where several were to be deleted, and the database does not say which it was.
    """

    def __init__(self, id: str, by: str) -> None:
        super().__init__(id, by)
        self.id = id
        self.by = by

    def __str__(self) -> str:
        session = f"Session {self.id}" if self.id else "One of the sessions"
        return f"{session} cannot be deleted: {self.by} refers to it"


class CheckpointNotFoundError(NotFoundError):
    """The checkpoint to fork does not exist."""

    kind = "Checkpoint"


class MessageNotFoundError(NotFoundError):
    """The message to fork at does not exist. ``id`` is its number as text."""

    kind = "Message"


class EntityNotFoundError(NotFoundError):
    """The entity to change does not exist."""

    kind = "Entity"


class FactNotFoundError(NotFoundError):
    """The fact does not exist."""

    kind = "Fact"


class VersionConflictError(CheckpointStoreError):
    """The given version of (session, namespace) is taken: somebody else saved it first."""

    def __init__(self, session_id: str, namespace: str, version: int) -> None:
        super().__init__(session_id, namespace, version)
        self.session_id = session_id
        self.namespace = namespace
        self.version = version

    def __str__(self) -> str:
        return f"Version {self.version} of namespace {self.namespace!r} exists in session {self.session_id}"


class LeaseConflictError(VersionConflictError):
    """Another writer has the lease of the thread; ``version`` is the number of the one that was lost, or is held."""

    def __str__(self) -> str:
        return f"Another writer has the lease of session {self.session_id} (number {self.version})"


class IdConflictError(CheckpointStoreError):
    """A record with this id exists and its content differs. ``kind`` is ``Session``, ``Checkpoint``, …"""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id)
        self.kind = kind
        self.id = id

    def __str__(self) -> str:
        return f"{self.kind} {self.id} exists with other content"


class InvalidRecordError(CheckpointStoreError, ValueError):
    """A value that a record cannot hold. ``field`` is its path, such as ``tool_calls[0].toolUseId``."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class SerializationError(CheckpointStoreError, ValueError):
    """A value that JSON-plus cannot write without loss. ``path`` leads to it: ``$.when[2]``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class CheckpointCorruptionError(CheckpointStoreError):
    """Stored text that is not valid JSON-plus.

    ``path`` leads to the bad value inside the text and ``preview`` shows at most 100 characters of it;
    ``table``, ``id`` and ``column`` name the stored value where a store read it.
    """

    def __init__(
        self,
        path: str,
        reason: str,
        preview: str = "",
        table: str | None = None,
        id: str | None = None,
        column: str | None = None,
    ) -> None:
        preview = preview[:PREVIEW_CHARACTERS]
        super().__init__(path, reason, preview, table, id, column)
        self.path = path
        self.reason = reason
        self.preview = preview
        self.table = table
        self.id = id
        self.column = column

    def __str__(self) -> str:
        where = f"{self.table}[{self.id}].{self.column} at {self.path}" if self.table else self.path
        return f"{where}: {self.reason}" + (f" in {self.preview!r}" if self.preview else "")


class StoreUnavailableError(CheckpointStoreError):
    """The database did not answer, or gave the call up (connection lost, lock timeout): try again.

    ``maybe_written`` says whether trying again may write a second time: False for reads, and where the call has
    certainly written nothing; True where the connection was lost while the write was under way. The driver's error is
    the ``__cause__``.
    """

    def __init__(self, reason: str, maybe_written: bool = False) -> None:
        super().__init__(reason, maybe_written)
        self.reason = reason
        self.maybe_written = maybe_written

    def __str__(self) -> str:
        return self.reason


class AccessDeniedError(CheckpointStoreError):
    """The server does not know the caller, or does not let it do this."""


class ConfigurationError(CheckpointStoreError):
    """The store cannot be built as it is configured; the message says what to change."""


class InvalidResponseError(ConfigurationError):
    """What answers does not behave as the API does: it speaks another way, sends too much, or has pages without end."""


class GraphError(CheckpointStoreError, ValueError):
    """A graph that cannot be built, or a run that cannot go on as it is asked to. ``nodes`` are those it is about."""

    def __init__(self, reason: str, nodes: tuple[str, ...] = ()) -> None:
        super().__init__(reason, nodes)
        self.reason = reason
        self.nodes = nodes

    def __str__(self) -> str:
        return f"{self.reason}: {', '.join(map(repr, self.nodes))}" if self.nodes else self.reason
