"""How a method asks: for one answer, or for a list page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import httpx

from obsku_checkpoint.client.connections import Connections
from obsku_checkpoint.client.request import Request
from obsku_checkpoint.client.response import FOREIGN, content, items, members
from obsku_checkpoint.client.retries import Steps, exchange
from obsku_checkpoint.errors import CheckpointStoreError, InvalidResponseError
from obsku_checkpoint.protocols import ITERATION_PAGE


class HTTPStore(Connections):
    """The part of the store that is the same for every subject."""

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
        repeatable: bool = True,
        errors: Mapping[str, CheckpointStoreError] | None = None,
    ) -> Steps[Any]:
        """What the server answers, None where there is no such record. ``params`` that are None are left out;
        ``errors`` are what to raise, by the ``code`` of a refusal.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        request = Request(method=method, path=path, params=given, body=body, repeatable=repeatable)
        response = yield from exchange(request, self._retries)
        return content(response, errors or {})

    def _list(
        self,
        path: str,
        params: Mapping[str, str | None],
        limit: int | None,
        towards: Literal["next", "previous"] = "next",
        cursor: str | None = None,
    ) -> Steps[list[Any]]:
        """The first ``limit`` of a list, or with ``previous`` the last ones, in the list's own order; ``cursor`` is the
        page to begin with.
        """
        found: list[Any] = []
        asked: set[str | None] = set()
        while True:
            self._go_on(path, cursor, asked)
            size = ITERATION_PAGE if limit is None else min(limit - len(found), ITERATION_PAGE)
            page = yield from self._ask("GET", path, params={**params, "limit": str(size), "cursor": cursor})
            if page is None:
                return found
            results, further = members(page, "results", towards)
            found = found + items(results) if towards == "next" else items(results) + found
            if further is None or len(found) == limit:
                return found
            cursor = cursor_of(further)

    def _found(self, path: str, body: bytes) -> Steps[list[Any]]:
        """What a question finds: an array, whose header Link leads to the rest."""
        found: list[Any] = []
        asked: set[str | None] = set()
        cursor: str | None = None
        while True:
            self._go_on(path, cursor, asked)
            params = {} if cursor is None else {"cursor": cursor}
            response = yield from exchange(Request(method="POST", path=path, params=params, body=body), self._retries)
            found += items(content(response, {}))
            further = response.links.get("next")
            if further is None:
                return found
            cursor = cursor_of(further.get("url"))

    def _go_on(self, path: str, cursor: str | None, asked: set[str | None]) -> None:
        """Take a page to those ``asked`` for, unless the list has no end."""
        if cursor in asked or len(asked) == self._limits.max_pages:
            reason = "comes round" if cursor in asked else f"has more than {len(asked)} pages"
            raise InvalidResponseError(f"the list {path} {reason}: {FOREIGN}")
        asked.add(cursor)


def cursor_of(url: Any) -> str:
    """Only the cursor: behind a proxy, the server may not know by which URL it is reached."""
    try:
        return httpx.URL(url).params["cursor"]
    except (TypeError, KeyError, httpx.InvalidURL):
        raise InvalidResponseError(f"the answer has a page without a cursor: {FOREIGN}") from None
