"""Tokens and their cost, by day and workspace.

Counted are the messages themselves, exactly, by the time at which they were written. What a fork has copied is not
counted twice: a copy keeps its time, which is before its session's. Each stretch of time can be counted for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from django.db import connections

from obsku_checkpoint.maintenance.newest import WORKSPACES, workspaces
from obsku_checkpoint.maintenance.sizes import DAY, day_of

#: workspaces of a day that are told apart; those with fewer tokens are counted together
MANY = 100

#: model or workspace -> price of a million tokens in, and out
Prices = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one workspace has used on a day."""

    #: in UTC
    day: date
    workspace_id: str | None
    #: these are all workspaces together that have no entry of their own that day
    others: bool
    #: that have tokens
    messages: int
    tokens_in: int
    tokens_out: int
    #: by `TOKEN_PRICES`; None where nothing of it has a price
    cost: float | None
    #: tokens, in and out, that have no price, and are not in the cost
    unpriced: int


class Group(NamedTuple):
    """What is counted together."""

    day: int
    workspace_id: str | None
    others: bool
    #: None where no price is for it
    model: str | None


@dataclass(slots=True)
class Counts:
    """What has been counted of the time from ``since`` to ``until``, in milliseconds."""

    since: int
    until: int
    #: messages, tokens in, tokens out
    groups: dict[Group, list[int]] = field(default_factory=dict)


_COUNT = """
WITH written AS MATERIALIZED (
    SELECT id, workspace_id, created_at, {model} AS model FROM sessions
    WHERE updated_at >= %(since)s AND created_at < %(until)s{among}
), grouped AS (
    SELECT m.created_at / {day} AS day, s.workspace_id, {priced} AS model, count(*) AS messages,
           sum(coalesce(m.tokens_in, 0)) AS tokens_in, sum(coalesce(m.tokens_out, 0)) AS tokens_out
    FROM written s JOIN messages m ON m.session_id = s.id
    WHERE m.created_at >= %(since)s AND m.created_at < %(until)s AND m.created_at >= s.created_at
          AND (m.tokens_in > 0 OR m.tokens_out > 0)
    GROUP BY 1, 2, 3
), ranked AS (
    SELECT g.*, dense_rank() OVER (PARTITION BY day ORDER BY total DESC, workspace_id) AS place
    FROM (SELECT *, sum(tokens_in + tokens_out) OVER (PARTITION BY day, workspace_id) AS total FROM grouped) g
)
SELECT day, CASE WHEN place <= {many} THEN workspace_id END, place > {many}, model,
       sum(messages), sum(tokens_in), sum(tokens_out)
FROM ranked GROUP BY 1, 2, 3, 4
"""

# A text that is not JSON has no model, nor one with escapes that PostgreSQL refuses; an escaped backslash is none.
_MODEL_POSTGRES = r"""CASE WHEN metadata LIKE '%%"model"%%' AND pg_input_is_valid(metadata, 'json')
        AND strpos(replace(metadata, '\\', ''), '\u0000') = 0 AND strpos(replace(lower(metadata), '\\', ''), '\ud') = 0
    THEN CASE WHEN json_typeof(metadata::json) = 'object' THEN metadata::json ->> 'model' END END"""
_MODEL_SQLITE = "CASE WHEN json_valid(metadata) THEN json_extract(metadata, '$.model') END"
#: the version of PostgreSQL that has `pg_input_is_valid`
_KNOWS_MODELS = 160_000


def count(using: str, since: int, until: int, visible: Collection[str] | None, prices: Prices) -> Counts:
    """What was written from ``since`` on and before ``until``, of the workspaces ``visible``, None for all."""
    names = workspaces(using) if visible is None else list(visible)
    parameters: dict[str, Any] = {"since": since, "until": until}
    among = ""
    if visible is not None or len(names) <= WORKSPACES:  # the index begins with the workspace
        parameters |= {f"workspace_{number}": name for number, name in enumerate(names)}
        places = ", ".join(f"%(workspace_{number})s" for number in range(len(names)))
        conditions = [f"workspace_id IN ({places})"] if names else []
        conditions += ["workspace_id IS NULL"] if visible is None else []
        among = f" AND ({' OR '.join(conditions) or 'false'})"
    parameters |= {f"model_{number}": name for number, name in enumerate(prices)}
    models = ", ".join(f"%(model_{number})s" for number in range(len(prices)))
    priced = f"CASE WHEN s.model IN ({models}) THEN s.model END" if models else "s.model"
    model = _model(using) if models else "CAST(NULL AS text)"
    sql = _COUNT.format(model=model, priced=priced, among=among, day=DAY, many=MANY)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    groups = {
        Group(day, workspace_id, bool(others), model): [*map(int, rest)]
        for day, workspace_id, others, model, *rest in rows
    }
    return Counts(since, until, groups)


def joined(one: Counts, following: Counts) -> Counts:
    """Of both times together, which follow each other."""
    groups = {group: list(figures) for group, figures in one.groups.items()}
    for group, figures in following.groups.items():
        _add(groups, group, figures)
    return Counts(one.since, following.until, _together(groups))


def spendings(counts: Counts, prices: Prices) -> list[Spending]:
    """By day, most tokens first."""
    found: dict[tuple[int, str | None, bool], dict[str, Any]] = {}
    for group, (messages, tokens_in, tokens_out) in counts.groups.items():
        empty = {"messages": 0, "tokens_in": 0, "tokens_out": 0, "cost": None, "unpriced": 0}
        entry = found.setdefault(group[:3], empty)
        entry["messages"] += messages
        entry["tokens_in"] += tokens_in
        entry["tokens_out"] += tokens_out
        price = _price(group, prices)
        if price is None:
            entry["unpriced"] += tokens_in + tokens_out
        else:
            cost = (tokens_in * price[0] + tokens_out * price[1]) / 1_000_000
            entry["cost"] = (entry["cost"] or 0.0) + float(cost)
    return sorted(
        (
            Spending(day=day_of(day), workspace_id=workspace_id, others=others, **entry)
            for (day, workspace_id, others), entry in found.items()
        ),
        key=lambda one: (one.day, one.others, -one.tokens_in - one.tokens_out, one.workspace_id or ""),
    )


def _model(using: str) -> str:
    """The ``model`` that a session's metadata names, as SQL."""
    connection: Any = connections[using]
    if connection.vendor == "sqlite":
        return _MODEL_SQLITE
    return _MODEL_POSTGRES if connection.pg_version >= _KNOWS_MODELS else "CAST(NULL AS text)"


def _price(group: Group, prices: Prices) -> Sequence[float] | None:
    """That of the model, or else of the workspace."""
    for name in (group.model, group.workspace_id):
        if name is not None and name in prices:
            return prices[name]
    return None


def _together(groups: dict[Group, list[int]]) -> dict[Group, list[int]]:
    """The same, with `MANY` workspaces a day: those with the most tokens."""
    totals: dict[int, Counter[str | None]] = {}
    for group, (_, tokens_in, tokens_out) in groups.items():
        if not group.others:
            totals.setdefault(group.day, Counter())[group.workspace_id] += tokens_in + tokens_out
    if all(len(each) <= MANY for each in totals.values()):
        return groups
    kept = {day: {name for name, _ in each.most_common(MANY)} for day, each in totals.items()}
    bounded: dict[Group, list[int]] = {}
    for group, figures in groups.items():
        apart = group.others or group.workspace_id in kept[group.day]
        _add(bounded, group if apart else Group(group.day, None, True, group.model), figures)
    return bounded


def _add(groups: dict[Group, list[int]], group: Group, figures: Iterable[int]) -> None:
    groups[group] = [one + more for one, more in zip(groups.get(group, (0, 0, 0)), figures, strict=True)]
