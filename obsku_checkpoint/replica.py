"""Where requests read: from the setting ``REPLICA``, as soon as it has what their client has written.

After each request that may write, its client keeps the place of the primary's log in a cookie. A later one reads from
the replica once that has replayed its log up to there, and until then from the primary. So nobody misses his or her own
writes, however far the replica is behind, and no server keeps anything. A request that may write does all of its
reading on the primary; so does one that says ``Cache-Control: no-cache``, as `HTTPCheckpointStore` does.

A replica that does not answer, or cannot tell how far it is, is left alone for some seconds, and the primary serves its
reads; the log says so.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import Error, connections, transaction
from django.http import HttpResponseBase

from obsku_checkpoint import conf

logger = logging.getLogger(__name__)

COOKIE = "obsku_written"
#: seconds that a client keeps it: a replica that is further behind shows what it has
LIFE = 3600
POSITION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}", re.ASCII)
#: behind all there will be: where a write ended is not known
UNKNOWN = "FFFFFFFF/FFFFFFFF"
#: seconds that a replica is left alone which did not answer
REST = 5.0
READING = ("GET", "HEAD", "OPTIONS")

# One that was promoted, or that is the primary itself, has all there is.
REPLAYED = """
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END >= %s::pg_lsn
"""
# Not what is written: a commit that does not wait for the disk is before it.
WRITTEN = "SELECT pg_current_wal_insert_lsn()::text"

#: replica -> until when it is left alone
_resting: dict[str, float] = {}
_chosen: ContextVar[str | None] = ContextVar("obsku_checkpoint_replica", default=None)


def source(request: Any) -> str:
    """The alias that a request reads from, which writes nothing; Django's request, or Django REST framework's."""
    fresh = "no-cache" in request.headers.get("Cache-Control", "").lower()
    return conf.current().DATABASE if fresh else source_of_stream(request)


def source_of_stream(request: Any) -> str:
    """The same of a request that goes on to read. Browsers ask for each stream with ``no-cache``."""
    given = conf.current()
    if given.REPLICA is None:
        return given.DATABASE
    written = request.COOKIES.get(COOKIE, "")
    position = written if POSITION.fullmatch(written) else "0/0"
    return given.REPLICA if _serves(given.REPLICA, position) else given.DATABASE


def chosen() -> str:
    """The alias that the admin's request reads from, inside `reading`; elsewhere the primary's."""
    return _chosen.get() or conf.current().DATABASE


@contextmanager
def reading(request: Any) -> Iterator[None]:
    """The block is of a request that writes nothing."""
    token = _chosen.set(source(request))
    try:
        yield
    finally:
        _chosen.reset(token)


def reads(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view of Django's: where it writes nothing, it reads where `chosen` says."""

    @functools.wraps(view)
    def wrapped(request: Any, *arguments: Any, **keywords: Any) -> HttpResponseBase:
        if request.method in READING:
            with reading(request):
                return view(request, *arguments, **keywords)
        response = view(request, *arguments, **keywords)
        keep_place(request, response)
        return response

    return wrapped


def keep_place(request: Any, response: HttpResponseBase) -> None:
    """The request may have written: its client is to read no older state. Once its transaction is committed."""
    primary = conf.current().DATABASE
    if conf.current().REPLICA is None:
        return
    if connections[primary].in_atomic_block:
        transaction.on_commit(lambda: _keep_place(request, response, primary), using=primary)
    else:
        _keep_place(request, response, primary)


def _keep_place(request: Any, response: HttpResponseBase, primary: str) -> None:
    try:
        with connections[primary].cursor() as cursor:
            cursor.execute(WRITTEN)
            ((position,),) = cursor.fetchall()
    except Error as error:
        logger.warning("It is not known where a request ended to write in %r: %s", primary, str(error).strip())
        position = UNKNOWN
    response.set_cookie(COOKIE, position, max_age=LIFE, secure=request.is_secure(), httponly=True, samesite="Lax")


def _serves(alias: str, position: str) -> bool:
    """Whether the replica answers, and has what was written up to the position."""
    if _resting.get(alias, 0.0) > time.monotonic():
        return False
    try:
        served = _asked(alias, position)
    except Error as error:
        _resting[alias] = time.monotonic() + REST
        logger.warning(
            "The replica %r cannot be read, so that %r serves its reads for %s s: %s",
            alias,
            conf.current().DATABASE,
            REST,
            str(error).strip(),
        )
        return False
    if _resting.pop(alias, None):
        logger.warning("The replica %r can be read again", alias)
    return served


def _asked(alias: str, position: str) -> bool:
    connection = connections[alias]
    kept = connection.connection is not None
    try:
        return _replayed(connection, position)
    except Error:
        if not kept or connection.in_atomic_block:
            raise
        connection.close()  # it may have broken since it was last used
        return _replayed(connection, position)


def _replayed(connection: Any, position: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(REPLAYED, [position])
        ((replayed,),) = cursor.fetchall()
    return bool(replayed)
