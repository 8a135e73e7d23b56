"""A checkpoint store for AI agents on Django. What is offered here needs no database and no Django settings."""

from __future__ import annotations

from obsku_checkpoint import codec
from obsku_checkpoint.errors import (
    AccessDeniedError,
    CheckpointCorruptionError,
    CheckpointNotFoundError,
    CheckpointStoreError,
    ConfigurationError,
    EntityNotFoundError,
    GraphError,
    IdConflictError,
    InvalidRecordError,
    InvalidResponseError,
    LeaseConflictError,
    MessageNotFoundError,
    NotFoundError,
    SerializationError,
    SessionInUseError,
    SessionNotFoundError,
    StoreUnavailableError,
    VersionConflictError,
)
from obsku_checkpoint.protocols import UNSET, CheckpointStore
from obsku_checkpoint.records import (
    CheckpointRecord,
    CorruptValue,
    CycleState,
    Dangling,
    MessageRecord,
    NodeResult,
    Resumption,
    SessionRecord,
    SessionSummary,
    ToolCall,
    ToolResult,
)

__version__ = "0.1.0"

__all__ = [
    "UNSET",
    "AccessDeniedError",
    "CheckpointCorruptionError",
    "CheckpointNotFoundError",
    "CheckpointRecord",
    "CheckpointStore",
    "CheckpointStoreError",
    "ConfigurationError",
    "CorruptValue",
    "CycleState",
    "Dangling",
    "EntityNotFoundError",
    "GraphError",
    "IdConflictError",
    "InvalidRecordError",
    "InvalidResponseError",
    "LeaseConflictError",
    "MessageNotFoundError",
    "MessageRecord",
    "NodeResult",
    "NotFoundError",
    "Resumption",
    "SerializationError",
    "SessionInUseError",
    "SessionNotFoundError",
    "SessionRecord",
    "SessionSummary",
    "StoreUnavailableError",
    "ToolCall",
    "ToolResult",
    "VersionConflictError",
    "codec",
]
