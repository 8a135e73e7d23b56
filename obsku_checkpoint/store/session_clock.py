"""The session's clock: what it takes from the writing host. The rest is in the statements, under the session's lock.

Every write into a session sets ``updated_at`` to the later of now and ``updated_at + 1``, and takes that time as the
new row's ``created_at``. So the times of a session's rows increase in the order of the commits, whatever the clocks
of their hosts say. A message is also later than its transcript's newest, a checkpoint later than its namespace's
newest: the npm package follows no clock but its host's.
"""

from __future__ import annotations

import time

#: a stored time that is further ahead of now is not followed: one absurd time must not become every later row's
AHEAD_MS = 24 * 60 * 60 * 1000


def now() -> dict[str, int]:
    """The parameters of the statements: now in milliseconds since 1970, and the time from which none is followed."""
    milliseconds = time.time_ns() // 1_000_000
    return {"now": milliseconds, "horizon": milliseconds + AHEAD_MS}
