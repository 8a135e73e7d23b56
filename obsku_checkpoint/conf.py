"""Our settings: one dict, ``OBSKU_CHECKPOINT``, every key optional. Read from Django each time they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.utils.module_loading import import_string

from obsku_checkpoint.embeddings import Embedder

NAME = "OBSKU_CHECKPOINT"


@dataclass(frozen=True, slots=True)
class Settings:
    """The keys of ``OBSKU_CHECKPOINT`` and their defaults."""

    DATABASE: str = DEFAULT_DB_ALIAS
    """The alias in ``DATABASES`` that holds the tables. Other than "default", it needs
    `obsku_checkpoint.routers.CheckpointRouter` in ``DATABASE_ROUTERS``."""
    REPLICA: str | None = None
    """The alias of a streaming replica of that database, which the admin, the API and its searches read from. Whoever
    has written reads from the primary until the replica has it, too (`obsku_checkpoint.replica`); the store's own
    methods always do."""
    ASYNC: str = "native"
    """How async calls reach PostgreSQL: "native", over connections of the event loop; "django", over Django's own
    connection, for projects that set session variables on it for each request (row-level security)."""
    ASYNC_MAX_CONNECTIONS: int = 10
    """The native connections that each event loop opens at most."""
    PERMISSION_CLASSES: Sequence[str] = ("obsku_checkpoint.api.permissions.ModelPermissions",)
    """Dotted paths of Django REST framework's permission classes; all of them guard every route of the API."""
    WORKSPACE_SCOPE: str | None = None
    """Dotted path of a function that takes the request and gives the ids of the workspaces it may see, None for all;
    in the API and in the admin."""
    PAGE_SIZE: int = 50
    """Records on a page of the API where the request names no ``limit``."""
    MAX_PAGE_SIZE: int = 500
    """The largest ``limit`` of the API; a larger one gives this many."""
    MAX_PAGE_BYTES: int = 8 * 2**20
    """The bytes of stored text on a page of the API, after which it ends early; its ``next`` goes on. A single record
    may be larger."""
    MAX_BODY_BYTES: int = 10 * 2**20
    """The longest body of a request that the API reads."""
    STREAM_INTERVAL_MS: int = 250
    """Milliseconds from one look for new events to the next, while somebody listens to a stream."""
    STREAM_MAX_SECONDS: int = 300
    """Seconds after which a stream ends. A browser comes back by itself, from where it was, and is asked anew who it is
    and what it may see: so long a stream outlives its reader's rights at most."""
    STREAMS_PER_USER: int = 20
    """Streams that one user may have open in each process; who is not signed in counts by address."""
    RESUME: str | None = None
    """Dotted path of ``f(checkpoint, answers)``, which goes on with the run that a `CheckpointRecord` is of.

    ``answers`` maps the path of a node (``approve``, nested ``write/approve``) to what a person answered: the value of
    one of the question's options, or text. It is empty where somebody lets a failed or unfinished run go on.
    `obsku_checkpoint.graph.resume` takes the same. Without this setting the admin offers neither."""

    LANGGRAPH_GRAPHS: Mapping[str, str] = field(default_factory=dict)
    """Directory of LangGraph's threads -> the dotted path of the compiled graph that goes on with them when somebody
    answers a question in the admin."""
    LANGGRAPH_TYPES: Sequence[str] = ()
    """Dotted paths of the classes that LangGraph's states may hold besides its safe ones."""
    EMBEDDER: str | None = None
    """Dotted path of an object with ``embed(texts)``, which returns a vector for each: with it the admin searches
    entities and facts by what they mean (`obsku_checkpoint.embeddings.Embedder`)."""
    TOKEN_PRICES: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Model or workspace -> [price in, price out] for a million tokens, in one currency.

    The price of the ``model`` that a session's metadata names goes before that of its workspace. (PostgreSQL reads
    metadata from version 16 on.)"""


KEYS = frozenset(one.name for one in fields(Settings))


def given() -> dict[str, Any]:
    """The project's dict as it stands; the system checks judge it."""
    return getattr(settings, NAME, {})


def current() -> Settings:
    return Settings(**{key: value for key, value in given().items() if key in KEYS})


def embedder() -> Embedder | None:
    """What makes vectors of texts, where the project has said it."""
    path = current().EMBEDDER
    return None if path is None else import_string(path)  # E009 has looked at it


def takes_answers() -> bool:
    """Whether a person's answer can be handed on."""
    return current().RESUME is not None or bool(current().LANGGRAPH_GRAPHS)
