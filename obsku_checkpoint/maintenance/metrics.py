"""Figures for Prometheus, in its text format, and a view of them::

    path("metrics/", obsku_checkpoint.maintenance.metrics.view)

The view asks for no login, and names workspaces: keep its address from strangers (in the proxy, or by a decorator of
your own). What it says is `recent_stats` of today, from the setting ``REPLICA`` where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from obsku_checkpoint import replica
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.maintenance.figures import Stats, recent_stats
from obsku_checkpoint.maintenance.spending import Spending

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: workspaces that have labels of their own; one with a name of more characters has none
WORKSPACES, CHARACTERS = 50, 200

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


@require_safe
@never_cache
def view(request: HttpRequest) -> HttpResponse:
    """What Prometheus scrapes, a minute old at most; 503 where the database is away."""
    try:
        text = prometheus_text(recent_stats(replica.source(request), days=1))
    except CheckpointStoreError as error:
        return HttpResponse(f"# {type(error).__name__}\n", status=503, content_type=CONTENT_TYPE)
    return HttpResponse(text.encode("utf-8", "replace"), content_type=CONTENT_TYPE)


def prometheus_text(stats: Stats) -> str:
    """Today's figures. What is an estimate has the label ``estimated="true"``."""
    return "".join(
        f"# HELP obsku_checkpoint_{name} {help}\n# TYPE obsku_checkpoint_{name} gauge\n"
        + "".join(f"obsku_checkpoint_{name}{_labels(labels)} {_number(value)}\n" for labels, value in samples)
        for name, help, samples in _metrics(stats)
        if samples
    )


def _metrics(stats: Stats) -> Iterator[tuple[str, str, list[Sample]]]:
    estimated = {True: "true", False: "false"}
    yield "time_seconds", "When these figures were counted, in seconds since 1970.", [({}, stats.at.timestamp())]
    yield (
        "table_rows",
        "Rows of a table.",
        [({"table": one.table, "estimated": estimated[one.estimated]}, one.rows) for one in stats.tables],
    )
    yield (
        "table_bytes",
        "Bytes of a table, with its indexes.",
        [({"table": one.table}, one.bytes) for one in stats.tables if one.bytes is not None],
    )
    whole = stats.database_bytes
    yield "database_bytes", "Bytes of the whole database.", [] if whole is None else [({}, whole)]
    today = stats.at.date()
    yield (
        "rows_today",
        "Rows of a table that were written today (UTC).",
        [
            ({"table": one.table, "estimated": estimated[one.estimated]}, one.rows)
            for one in stats.growth
            if one.day == today
        ],
    )
    standing = stats.standing
    yield (
        "sessions_looked_at",
        "The sessions, those written to last, whose runs were looked at.",
        [({}, standing.sessions)],
    )
    yield "sessions_waiting", "Sessions of these that wait for a person.", [({}, standing.waiting)]
    yield "sessions_failed", "Sessions of these with a failed node.", [({}, standing.failed)]
    large = "Sessions of these with results that are too large to be searched for a failed node."
    yield "sessions_unsearched", large, [({}, standing.unsearched)]
    yield from _spending([one for one in stats.spending if one.day == today])


def _spending(today: Iterable[Spending]) -> Iterator[tuple[str, str, list[Sample]]]:
    """Of the workspaces with the most tokens; the others are one, so that there is a bound to the series."""
    tokens: dict[tuple[str, str], list[float]] = {}
    for place, one in enumerate(today):
        name = one.workspace_id
        if one.others or place >= WORKSPACES or (name is not None and len(name) > CHARACTERS):
            key = ("", "others")
        else:
            key = ("", "none") if name is None else (name, "workspace")
        entry = tokens.setdefault(key, [0, 0, 0, 0])
        for index, value in enumerate((one.tokens_in, one.tokens_out, one.cost or 0, one.unpriced)):
            entry[index] += value
    labelled = [({"workspace": name, "of": of}, values) for (name, of), values in tokens.items()]
    yield (
        "tokens_today",
        "Tokens of messages that were written today (UTC).",
        [
            ({**labels, "direction": direction}, values[index])
            for labels, values in labelled
            for index, direction in enumerate(("in", "out"))
        ],
    )
    yield "cost_today", "What these tokens cost by TOKEN_PRICES.", [(labels, values[2]) for labels, values in labelled]
    help = "Those of these tokens that have no price, and are not in the cost."
    yield "unpriced_tokens_today", help, [(labels, values[3]) for labels, values in labelled]


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(round(value, 6))
