"""A process of writers: ``python -m tests.torture.writer``, which reads a pickled `Assignment`.

It works until its standard input ends, and so never longer than the process that has started it.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.errors import StoreUnavailableError
from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.torture.journal import Journal
from tests.torture.processes import Assignment
from tests.workload import Client, Own, Steps, WrongAnswerError, carry_out, carry_out_async

CLIENTS = 4
#: of a write with an id of the client's
TRIES = 3


class Writer(Client):
    """A client that writes down each write before and after it, and goes on where one fails."""

    def __init__(self, name: str, assignment: Assignment, journal: Journal) -> None:
        super().__init__(name, assignment.precious, assignment.seed)
        self._journal, self._pause = journal, assignment.pause

    def turn(self, own: Own | None) -> Steps[Own | None]:
        yield self.random.uniform(0.0, self._pause)
        try:
            return (yield from super().turn(own))
        except StoreUnavailableError:
            if own is not None:
                own.doubtful = True
            yield self.random.uniform(0.01, 0.2)
            return own if own is not None and own.turns >= 0 else None
        except WrongAnswerError as error:
            self._journal.write(wrong=str(error), client=self.name)
        except Exception as error:  # noqa: BLE001 - no other error may come, which is what the journal tells
            self._journal.write(strange=f"{type(error).__name__}: {error}", client=self.name)
        return None

    def write(self, token: str, rows: int, method: str, *arguments: Any, **keywords: Any) -> Steps[Any]:
        self._journal.write(ask=token, client=self.name, method=method, about=arguments[0], rows=rows)
        self.doubtful.add(token)
        tries = TRIES if "id" in keywords else 1
        while True:
            tries -= 1
            try:
                answer = yield from super().write(token, rows, method, *arguments, **keywords)
            except StoreUnavailableError as error:
                self._journal.write(failed=token, maybe_written=error.maybe_written)
                if not tries:
                    raise
                yield self.random.uniform(0.01, 1.0)
                self._journal.write(again=token)
            except Exception:
                self._journal.write(failed=token, maybe_written=False)
                raise
            else:
                self._journal.write(done=token, ids=_ids(answer), at=time.time())
                self.doubtful.remove(token)
                return answer

    def read(self, method: str, *arguments: Any, **keywords: Any) -> Steps[Any]:
        try:
            return (yield from super().read(method, *arguments, **keywords))
        except StoreUnavailableError as error:
            self._journal.write(read=method, maybe_written=error.maybe_written)
            raise


def _ids(answer: Any) -> list[Any]:
    if isinstance(answer, bool):  # of a deletion
        return []
    return [record.id for record in (answer if isinstance(answer, list) else [answer])]


def _store(assignment: Assignment) -> CheckpointStore:
    match assignment.store:
        case "project":
            return DjangoCheckpointStore()
        case "program":
            return PostgresCheckpointStore(assignment.url)
        case "http":
            return HTTPCheckpointStore(assignment.url, headers=assignment.headers)


def main(assignment: Assignment) -> None:
    store, journal = _store(assignment), Journal(assignment.journal)
    writers = [Writer(f"{assignment.name}.{number}", assignment, journal) for number in range(CLIENTS)]
    ended = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=[ended], daemon=True).start()
    work = [writer.work(lambda: not ended.is_set()) for writer in writers]
    if assignment.form == "threads":
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(carry_out, work, [store] * CLIENTS))
    else:
        asyncio.run(_tasks(work, store))


def _wait_for_the_end(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


async def _tasks(work: list[Steps[None]], store: CheckpointStore) -> None:
    await asyncio.gather(*(carry_out_async(steps, store) for steps in work))


if __name__ == "__main__":
    main(pickle.load(sys.stdin.buffer))
