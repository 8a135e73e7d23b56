"""Both stores read the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from obsku_checkpoint.protocols import CheckpointStore
from tests.npm.javascript import Form, count, difference, form, integer, normal, part, record_form, rewritten
from tests.npm.process import Npm


def read_alike(
    ours: CheckpointStore, npm: Npm, session_ids: Sequence[str], view: Callable[[Form], Form] = normal
) -> int:
    """Both read the same in these sessions, field by field; returns how many values were compared.

    ``view`` is `rewritten` where the npm package has written values.
    """
    methods = ("getSession", "getMessages", "listCheckpoints")
    read = iter(npm.at_once(*((method, [id]) for id in session_ids for method in methods)))
    compared = 0
    for id in session_ids:
        summary = ours.get_session_summary(id)
        assert summary
        session, messages, checkpoints = next(read), next(read)[1], next(read)[1]
        same(view(session), view(record_form(summary.session)))
        same(_by_id(messages, view), _by_id(map(record_form, ours.get_messages(id)), view))
        same(_by_id(checkpoints, view), _by_id(map(record_form, ours.list_checkpoints(id)), view))
        assert (summary.message_count, summary.checkpoint_count) == (len(messages), len(checkpoints))
        assert (summary.tokens_in, summary.tokens_out) == (_total(messages, "tokensIn"), _total(messages, "tokensOut"))
        assert (summary.last_message is None) == (not messages)
        compared += sum(map(count, [session, *messages, *checkpoints]))
    return compared


def same(there: Form, here: Form) -> None:
    found = difference(there, here)
    assert not found, found


def _columns(records: Sequence[object], *names: str) -> list[list[object]]:
    return [[getattr(record, name) for record in records] for name in names]


def _by_id(records: Iterable[Form], view: Callable[[Form], Form]) -> list[Form]:
    """Each side has an order of its own where times or steps are equal."""
    return sorted(map(view, records), key=lambda record: str(part(record, "id")))


def _total(messages: list[Form], name: str) -> int:
    return sum(integer(part(message, name)) for message in messages if part(message, name) is not None)


def forked_alike(ours: CheckpointStore, origin: str, fork: str) -> int:
    """A session of one checkpoint and its fork hold the same; returns how many values were compared."""
    columns = ("namespace", "version", "step", "node_id", "node_results", "pending_nodes")
    pairs = [
        *_columns([ours.get_session(id) for id in (origin, fork)], "metadata", "directory", "workspace_id"),
        *_columns([ours.get_latest_checkpoint(id) for id in (origin, fork)], *columns),
    ]
    columns = ("role", "content", "tool_calls", "tool_results", "tokens_in", "tokens_out")
    for messages in zip(ours.get_messages(origin), ours.get_messages(fork), strict=True):
        pairs += _columns(messages, *columns)
    for before, after in pairs:
        same(rewritten(form(after)), rewritten(form(before)))
    return sum(count(form(before)) for before, _ in pairs)
