"""The questions asked of the tables, by name. Store, admin and API share them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import connections, models
from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value, Window
from django.db.models.functions import Cast, Coalesce

from obsku_checkpoint.records import CorruptValue

if TYPE_CHECKING:
    from obsku_checkpoint.models import Checkpoint, Message, Session

Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")

#: characters of a pattern; SQLite's own limit is 50,000 bytes
LIKE_LIMIT = 20_000


def beyond(rows: Rows, position: Sequence[Any], *, backward: bool = False) -> Rows:
    """Those of ordered rows that stand after a position, or with ``backward`` before it.

    The position is a row's values in the columns that order the rows, the last of which is unique: the first column
    decides, then the second, …
    """
    after, same, reached = Q(), Q(), Q()
    for name, value in zip(map(str, rows.query.order_by), position, strict=True):
        column = name.removeprefix("-")
        comparison = "gt" if name.startswith("-") is backward else "lt"
        if not after:
            # Implied by the rest; it lets an index find the position, which no database does for an OR.
            reached = Q(**{f"{column}__{comparison}e": value})
        after |= same & Q(**{f"{column}__{comparison}": value})
        same &= Q(**{column: value})
    return rows.filter(reached & after)


class SessionQuerySet(QuerySet["Session"]):
    def in_workspace(self, workspace_id: str | None) -> Self:
        """Those of one workspace, all of them for None; "" is a workspace like any other."""
        return self if workspace_id is None else self.filter(workspace_id=workspace_id)

    def matching(self, query: str) -> Self:
        """Those whose title, directory or id contains the text, in any case."""
        lookup = "icontains"
        if connections[self.db].vendor == "sqlite" and not (query.isascii() and len(query) < LIKE_LIMIT):
            # SQLite's LIKE knows the case of ASCII letters only, and no long patterns; its REGEXP is Python's.
            lookup, query = "iregex", re.escape(query)
        columns = ("title", "directory", "id")
        return self.filter(Q(*((f"{column}__{lookup}", query) for column in columns), _connector=Q.OR))

    def newest_first(self) -> Self:
        return self.order_by("-updated_at", "-id")

    def below(self, moment: datetime | CorruptValue, id: str) -> Self:
        """Those that stand after this position in the order of `newest_first`, and in that order."""
        return beyond(self.newest_first(), (moment, id))

    def pages_of_ids(self, size: int) -> Iterator[list[str]]:
        """The ids in their order, a page at a time, whatever is written or deleted meanwhile."""
        ids = self.order_by("pk").values_list("pk", flat=True)
        page = list(ids[:size])  # the first id may be the empty text
        while page:
            yield page
            page = list(ids.filter(pk__gt=page[-1])[:size])

    def last_message_ids(self, messages: MessageQuerySet) -> QuerySet[Session, int | None]:
        """The id of each session's last message, found by one index look-up a session."""
        last = messages.filter(session_id=OuterRef("pk")).newest_first().values("id")[:1]
        return self.annotate(last_message_id=Subquery(last)).values_list("last_message_id", flat=True)


class MessageQuerySet(QuerySet["Message"]):
    def in_session(self, session_id: str) -> Self:
        return self.filter(session_id=session_id)

    def beside(self, id: int, *, before: bool) -> Self:
        """A transcript's messages on one side of one of them, oldest first; by id alone where it is not one of them."""
        position = self.filter(id=id).values_list("created_at", "id").first()
        if position is None:
            return self.oldest_first().filter(**{f"id__{'lt' if before else 'gt'}": id})
        return beyond(self.oldest_first(), position, backward=before)

    def up_to(self, checkpoint: Checkpoint) -> Self:
        """The messages that a fork of the checkpoint takes."""
        return self.in_session(checkpoint.session_id).filter(created_at__lte=checkpoint.created_at)

    def oldest_first(self) -> Self:
        return self.order_by("created_at", "id")

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def figures(self, session_ids: Sequence[str]) -> QuerySet[Message, tuple[str, int, int, int]]:
        """(session_id, messages, tokens in, tokens out) of each session that has messages."""
        return (
            self.filter(session_id__in=session_ids)
            .order_by()
            .values_list("session_id")
            .annotate(
                _messages=Count("id"),
                _tokens_in=Coalesce(Sum("tokens_in"), 0),
                _tokens_out=Coalesce(Sum("tokens_out"), 0),
            )
        )


class CheckpointQuerySet(QuerySet["Checkpoint"]):
    def in_session(self, session_id: str) -> Self:
        return self.filter(session_id=session_id)

    def newest_version_first(self) -> Self:
        """The order within a namespace."""
        return self.order_by("-version")

    def newest_first(self) -> Self:
        """The order across namespaces: by time, but within each namespace by version.

        A checkpoint counts as no newer than any later version of its namespace, so that writers whose clocks differ
        cannot break the order of versions. Equal milliseconds are told apart by the (time-ordered) ids.
        """

        def least_of_later_versions(column: str) -> Window:
            return Window(Min(column), partition_by=[F("session_id"), F("namespace")], order_by=F("version").desc())

        ranked = self.annotate(_moment=least_of_later_versions("created_at"), _rank=least_of_later_versions("id"))
        return ranked.order_by("-_moment", "-_rank", "-version")

    def below(self, id: str) -> Self:
        """Those of a session that stand after one of them, newest first; all of them where it is not one of them."""
        one = self.filter(id=id).values_list("session_id", "namespace", "version").first()
        if one is None:
            return self.newest_first()
        session_id, namespace, version = one
        later = self.filter(session_id=session_id, namespace=namespace, version__gte=version)
        least = later.aggregate(moment=Min("created_at"), rank=Min("id"))
        return beyond(self.newest_first(), (least["moment"], least["rank"], version))

    def counts(self, session_ids: Sequence[str]) -> QuerySet[Checkpoint, tuple[str, int]]:
        """(session_id, checkpoints) of each session that has checkpoints."""
        return self.filter(session_id__in=session_ids).order_by().values_list("session_id").annotate(_count=Count("id"))


class EntityQuerySet(QuerySet[Any, Any]):
    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")


class FactQuerySet(QuerySet[Any, Any]):
    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def sure(self, confidence: float) -> Self:
        """Those of this confidence or more, compared as the 32-bit floats that the column holds."""
        return self.filter(confidence__gte=Cast(Value(confidence), self.model._meta.get_field("confidence")))


SessionManager = models.Manager.from_queryset(SessionQuerySet)
MessageManager = models.Manager.from_queryset(MessageQuerySet)
CheckpointManager = models.Manager.from_queryset(CheckpointQuerySet)
EntityManager = models.Manager.from_queryset(EntityQuerySet)
FactManager = models.Manager.from_queryset(FactQuerySet)
