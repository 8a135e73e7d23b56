"""What a client of the store does in the tests of poolers and in the torture test: mixed calls, each answer compared.

A client is written once, as a generator of calls. A thread or a task carries them out and sends it the answers.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, SessionRecord

R = TypeVar("R")

#: of a client's session, before it begins another
TURNS = range(10, 40)
BATCHES = range(2, 6)
#: seconds after which all clients go on in other sessions that they share
SHARED_SECONDS = 10
SHARED_AT_A_TIME = 2


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


#: a call, or a pause of so many seconds
Step = Call | float
Steps = Generator[Step, Any, R]


def carry_out(steps: Steps[None], store: CheckpointStore) -> None:
    """In this thread."""
    answer: Any = None
    resume: Callable[[Any], Step] = steps.send
    while True:
        try:
            step = resume(answer)
        except StopIteration:
            return
        try:
            if isinstance(step, Call):
                answer = getattr(store, step.method)(*step.arguments, **step.keywords)
            else:
                answer = None
                time.sleep(step)
            resume = steps.send
        except Exception as error:  # noqa: BLE001 - the client judges it
            answer, resume = error, steps.throw


async def carry_out_async(steps: Steps[None], store: CheckpointStore) -> None:
    """In this task, by the async twins."""
    answer: Any = None
    resume: Callable[[Any], Step] = steps.send
    while True:
        try:
            step = resume(answer)
        except StopIteration:
            return
        try:
            if isinstance(step, Call):
                answer = await getattr(store, f"a{step.method}")(*step.arguments, **step.keywords)
            else:
                answer = await asyncio.sleep(step, None)
            resume = steps.send
        except Exception as error:  # noqa: BLE001 - the client judges it
            answer, resume = error, steps.throw


class WrongAnswerError(Exception):
    """The store has answered something else than what was asked for."""


def compare(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise WrongAnswerError(f"{what}: got {got!r:.400}, wanted {wanted!r:.400}")


@dataclass(frozen=True, slots=True)
class Precious:
    """A session that all read and nobody writes to."""

    session: SessionRecord
    messages: list[MessageRecord]
    checkpoint: CheckpointRecord


def create_precious(store: CheckpointStore, count: int) -> list[Precious]:
    found = []
    for number in range(count):
        session = store.create_session("precious", title=f"precious {number}")
        messages = store.add_messages(session.id, [{"role": "user", "content": f"{number}/{turn}"} for turn in "abc"])
        checkpoint = store.save_checkpoint(session.id, step=number, node_results={})
        touched = store.get_session(session.id)
        assert touched is not None
        found.append(Precious(touched, messages, checkpoint))
    return found


@dataclass(slots=True)
class Own:
    """A session that one client writes to, and what the client knows of it."""

    session: SessionRecord
    turns: int
    messages: list[MessageRecord] = field(default_factory=list)
    #: each with the number of messages that were there when it was saved
    checkpoints: list[tuple[CheckpointRecord, int]] = field(default_factory=list)
    #: its rows are compared with those of a fork
    forked: bool = False
    #: a call has failed, so that there may be more than is known
    doubtful: bool = False


class Client:
    """Works in sessions of its own, in sessions that it shares with all clients, and reads precious ones.

    Each row that it writes carries a token that no other row has: as a session's title (or its directory, where that
    is changed), a message's content (``token/0``, ``token/1``, … in a batch), a checkpoint's node.
    """

    def __init__(self, name: str, precious: Sequence[Precious], seed: int) -> None:
        self.name = name
        self.random = random.Random(f"{seed} {name}")
        #: sessions that are not deleted
        self.own: list[Own] = []
        #: tokens of writes of which nobody knows whether they were carried out
        self.doubtful: set[str] = set()
        self._precious = precious
        self._tokens = 0
        #: shared session -> the last message that was seen
        self._followed: dict[str, int] = {}

    def work(self, going_on: Callable[[], bool]) -> Steps[None]:
        own: Own | None = None
        while going_on():
            own = yield from self.turn(own)

    def turn(self, own: Own | None) -> Steps[Own | None]:
        """One thing to do, and the session to go on in; without one, the next turn begins a new one."""
        if own is None:
            return (yield from self._create())
        own.turns -= 1
        if own.turns < 0:
            yield from self._end(own)
            return None
        turns = [self._message] * 4 + [self._batch, self._shared] * 2 + [self._checkpoint] * 3
        turns += [self._change, self._read, self._look, self._read_precious, self._miss]
        if own.checkpoints and self.random.random() < 0.1:
            return (yield from self._fork(own))
        yield from self.random.choice(turns)(own)
        return own

    def write(self, token: str, rows: int, method: str, *arguments: Any, **keywords: Any) -> Steps[Any]:
        """A call that writes so many rows with this token."""
        return (yield Call(method, arguments, keywords))

    def read(self, method: str, *arguments: Any, **keywords: Any) -> Steps[Any]:
        return (yield Call(method, arguments, keywords))

    def check(self, own: Own) -> Steps[None]:
        """All that was acknowledged is there, and nothing that was not asked for."""
        messages = yield from self.read("get_messages", own.session.id)
        known = [message for message in messages if message.content.partition("/")[0] not in self.doubtful]
        compare("get_messages", known, own.messages)
        checkpoints = yield from self.read("list_checkpoints", own.session.id)
        known = [checkpoint for checkpoint in checkpoints if checkpoint.node_id not in self.doubtful]
        compare("list_checkpoints", known, [checkpoint for checkpoint, _ in reversed(own.checkpoints)])

    # -- what there is to do

    def _token(self) -> str:
        self._tokens += 1
        return f"{self.name}.{self._tokens}"

    def _create(self) -> Steps[Own]:
        token = self._token()
        session = yield from self.write(token, 1, "create_session", ".", title=token, metadata={"of": self.name})
        compare("create_session", (session.directory, session.title, session.metadata), (".", token, {"of": self.name}))
        own = Own(session, self.random.choice(TURNS))
        self.own.append(own)
        return own

    def _end(self, own: Own) -> Steps[None]:
        yield from self.check(own)
        if own.forked or self.random.random() < 0.7:
            return
        self.own.remove(own)
        compare("delete_session", (yield from self.write(self._token(), 0, "delete_session", own.session.id)), True)
        compare("get_session", (yield from self.read("get_session", own.session.id)), None)
        compare("get_messages", (yield from self.read("get_messages", own.session.id)), [])

    def _message(self, own: Own) -> Steps[None]:
        own.messages.append((yield from self._written_message(own.session.id)))

    def _written_message(self, session_id: str) -> Steps[MessageRecord]:
        token, tokens = self._token(), self.random.randrange(1000)
        message = yield from self.write(token, 1, "add_message", session_id, "user", token, tokens_in=tokens)
        got = message.session_id, message.role, message.content, message.tokens_in
        compare("add_message", got, (session_id, "user", token, tokens))
        return message  # type: ignore[no-any-return]  # the answer of a call by name

    def _batch(self, own: Own) -> Steps[None]:
        token = self._token()
        wanted = [("assistant", f"{token}/{number}") for number in range(self.random.choice(BATCHES))]
        batch = [{"role": role, "content": content} for role, content in wanted]
        messages = yield from self.write(token, len(batch), "add_messages", own.session.id, batch)
        compare("add_messages", [(message.role, message.content) for message in messages], wanted)
        own.messages += messages

    def _checkpoint(self, own: Own) -> Steps[None]:
        checkpoint = yield from self._written_checkpoint(own.session.id)
        last = own.checkpoints[-1][0].version if own.checkpoints else 0
        if not own.doubtful:
            compare("version", checkpoint.version, last + 1)
        own.checkpoints.append((checkpoint, len(own.messages)))

    def _written_checkpoint(self, session_id: str) -> Steps[CheckpointRecord]:
        token, step = self._token(), self.random.randrange(1000)
        results = {"work": {"status": "completed", "output": {"token": token, "bytes": token.encode()}}}
        id = {"id": token} if self.random.random() < 0.5 else {}
        checkpoint = yield from self.write(
            token, 1, "save_checkpoint", session_id, step=step, node_results=results, node_id=token, **id
        )
        got = checkpoint.session_id, checkpoint.step, checkpoint.node_id, checkpoint.node_results
        compare("save_checkpoint", got, (session_id, step, token, results))
        return checkpoint  # type: ignore[no-any-return]  # as above

    def _fork(self, own: Own) -> Steps[Own]:
        token = self._token()
        checkpoint, count = self.random.choice(own.checkpoints)
        own.forked = True
        session = yield from self.write(token, 1, "fork", checkpoint.id, title=token)
        compare("fork", (session.title, session.metadata), (token, own.session.metadata))
        fork = Own(session, own.turns, doubtful=own.doubtful)
        messages = yield from self.read("get_messages", session.id)
        fork.messages = [message for message in messages if message.content.partition("/")[0] not in self.doubtful]
        wanted = [(message.content, message.created_at) for message in own.messages[:count]]
        compare("a fork's messages", [(message.content, message.created_at) for message in fork.messages], wanted)
        copy = yield from self.read("get_latest_checkpoint", session.id)
        got = copy.parent_id, copy.source, copy.version, copy.node_results
        compare("a fork's checkpoint", got, (checkpoint.id, "fork", checkpoint.version, checkpoint.node_results))
        fork.checkpoints = [(copy, len(fork.messages))]
        self.own.append(fork)
        return fork

    def _change(self, own: Own) -> Steps[None]:
        token = self._token()
        session = yield from self.write(token, 1, "update_session", own.session.id, directory=token)
        compare("update_session", (session.id, session.directory), (own.session.id, token))
        own.session = session

    def _shared(self, own: Own) -> Steps[None]:
        moment = int(time.time()) // SHARED_SECONDS
        id = f"shared-{moment}-{self.random.randrange(SHARED_AT_A_TIME)}"
        session = yield Call("get_or_create_session", (id, "shared"), {})
        compare("get_or_create_session", (session.id, session.directory), (id, "shared"))
        if self.random.random() < 0.5:
            message = yield from self._written_message(id)
            news = yield from self.read("get_messages", id, after_id=self._followed.get(id, 0))
            compare("the messages after the last one that was seen", message in news, True)
            self._followed[id] = news[-1].id
        else:
            checkpoint = yield from self._written_checkpoint(id)
            compare("get_checkpoint", (yield from self.read("get_checkpoint", checkpoint.id)), checkpoint)

    def _read(self, own: Own) -> Steps[None]:
        yield from self.check(own)
        for checkpoint, _ in own.checkpoints[-1:]:
            compare("get_checkpoint", (yield from self.read("get_checkpoint", checkpoint.id)), checkpoint)

    def _look(self, own: Own) -> Steps[None]:
        session = yield from self.read("get_session", own.session.id)
        compare("get_session", (session.id, session.title), (own.session.id, own.session.title))
        summary = yield from self.read("get_session_summary", own.session.id)
        if not own.doubtful:
            compare("directory", session.directory, own.session.directory)
            compare("message_count", summary.message_count, len(own.messages))

    def _read_precious(self, own: Own) -> Steps[None]:
        one = self.random.choice(self._precious)
        compare("get_session", (yield from self.read("get_session", one.session.id)), one.session)
        compare("get_messages", (yield from self.read("get_messages", one.session.id)), one.messages)
        latest = yield from self.read("get_latest_checkpoint", one.session.id)
        compare("get_latest_checkpoint", latest, one.checkpoint)

    def _miss(self, own: Own) -> Steps[None]:
        """What is not there."""
        token = self._token()
        compare("delete_session", (yield Call("delete_session", (token,), {})), False)
        compare("get_session", (yield from self.read("get_session", token)), None)
        compare("get_checkpoint", (yield from self.read("get_checkpoint", token)), None)
