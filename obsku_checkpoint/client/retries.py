"""What is asked once more, and when.

A request that may be repeated is, whatever became of it: reads, and writes under an id that the client gave. One
that may not (messages and forks get their ids from the server) is only where it certainly was not carried out: it
never left, the server's throttle refused it, or the server says so in its 503. (Otherwise a 503 leaves it open: the
database may have been lost while it committed.)
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import orjson

from obsku_checkpoint.client.request import Request
from obsku_checkpoint.errors import ConfigurationError, InvalidRecordError, InvalidResponseError, StoreUnavailableError

#: seconds before the first retry; doubled with each, and taken at random from the upper half
FIRST_WAIT = 0.1
#: a server that wants to be left alone for more seconds than this is unavailable
LONGEST_WAIT = 30.0
#: from the server, or from a proxy that cannot reach it
AWAY = frozenset({502, 503, 504})
THROTTLED = 429
#: the request was not sent
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Failure = httpx.RequestError | httpx.InvalidURL
Outcome = httpx.Response | Failure | InvalidResponseError | None
R = TypeVar("R")
#: a method as its steps: it yields what is to be done, is sent the outcome (None of a pause), and returns its result
Steps = Generator[Request | Pause, Outcome, R]


def exchange(request: Request, retries: int) -> Steps[httpx.Response]:
    """The answer to a request, after as many as ``retries`` more tries; `StoreUnavailableError` where none comes."""
    attempt = 0
    while True:
        outcome = yield request
        if isinstance(outcome, InvalidResponseError):
            raise outcome
        if isinstance(outcome, httpx.Response) and outcome.status_code not in {*AWAY, THROTTLED}:
            return outcome
        if isinstance(outcome, httpx.Response) and problem_of(outcome).get("code") == "misconfigured":
            raise ConfigurationError(str(problem_of(outcome).get("detail")))
        if isinstance(outcome, httpx.InvalidURL):
            raise InvalidRecordError(request.path.partition("/")[0], f"cannot be asked for: {outcome}") from outcome
        if isinstance(outcome, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            # Not quoted: httpx names the header, which may be a secret.
            kind = type(outcome).__name__
            raise ConfigurationError(f"the request cannot be sent: {kind}, of a header or of the URL") from None
        wait = FIRST_WAIT * 2**attempt * random.uniform(0.5, 1)
        if isinstance(outcome, httpx.Response):
            wait = max(wait, _retry_after(outcome))
        not_done = isinstance(outcome, NOT_SENT) or (isinstance(outcome, httpx.Response) and _refused(outcome))
        if attempt >= retries or wait > LONGEST_WAIT or not (request.repeatable or not_done):
            raise _unavailable(request, outcome, not_done) from (outcome if isinstance(outcome, Exception) else None)
        yield Pause(wait)
        attempt += 1


def _refused(response: httpx.Response) -> bool:
    """Whether the answer says that nothing was written."""
    if response.status_code == THROTTLED:
        return True
    return problem_of(response).get("maybe_written") is False


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The body of a refusal; {} where it is a proxy's."""
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(response: httpx.Response) -> float:
    """Seconds, from either form of the header; 0 where there is none."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _unavailable(request: Request, outcome: Outcome, not_done: bool) -> StoreUnavailableError:
    if isinstance(outcome, httpx.Response):
        what = f"answers {outcome.status_code}"
    else:
        what = f"{type(outcome).__name__}: {outcome}"
    maybe_written = request.method != "GET" and not not_done
    doubt = "; it may have been carried out and is not repeated" if maybe_written and not request.repeatable else ""
    return StoreUnavailableError(f"{request.method} {request.path}: {what}{doubt}", maybe_written=maybe_written)
