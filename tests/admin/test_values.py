"""Whatever JSON-plus holds is shown in every place of every page: no value of any kind is a server error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links

DIGITS = "7" * 5000
#: JSON texts of values of every kind, each with what is odd about it
VALUES = {
    "null": "null",
    "true": "true",
    "text": '"x"',
    "long text": f'"{"y " * 3000}"',
    "acting text": '"\\u202e\\u0000\\ud800"',
    "empty": '""',
    "zero": "0",
    "negative": "-1e14",
    "past": "-62135596800001",
    "future": "253402300800000",
    "huge": "1e300",
    "NaN": '{"__type":"Number","value":"NaN"}',
    "Infinity": '{"__type":"Number","value":"-Infinity"}',
    "BigInt": f'{{"__type":"BigInt","value":"{DIGITS}"}}',
    "bare integer": DIGITS[:300],
    "Decimal": '{"__type":"Decimal","value":"1E+999999"}',
    "UUID": '{"__type":"UUID","value":"00000000-0000-0000-0000-000000000001"}',
    "Date": '{"__type":"Date","value":"0001-01-01T00:00:00.000Z"}',
    "foreign Date": '{"__type":"Date","value":"+275760-09-13T00:00:00.000Z"}',
    "Buffer": '{"__type":"Buffer","value":"AAH/"}',
    "Set": f'{{"__type":"Set","value":[1,"a",null,{{"__type":"BigInt","value":"{DIGITS}"}}]}}',
    "Map": f'{{"__type":"Map","value":[[{{"__type":"BigInt","value":"{DIGITS}"}},1],[[1,[2]],2]]}}',
    "unknown tag": '{"__type":"Else","value":1}',
    "object": '{"a":{"b":[1]},"status":"failed","startedAt":-1e14,"reason":null,"options":{"a":1}}',
    "list": '["a",1,{"status":"failed"},[null]]',
    "deep": "[" * 60 + "]" * 60,
    "corrupt": '{"a":',
}
#: where it stands in each column; %s is the value
PLACES: dict[tuple[str, str], tuple[str, ...]] = {
    ("sessions", "metadata"): ("%s", '{"startedAt":%s,"x":%s}'),
    ("messages", "tool_calls"): (
        "%s",
        "[%s]",
        '[{"name":%s,"toolUseId":%s,"input":%s}]',
        '[{"name":"n","input":{"startedAt":%s}}]',
    ),
    ("messages", "tool_results"): ("%s", "[%s]", '[{"toolUseId":%s,"content":%s,"status":%s,"data":%s,"more":%s}]'),
    ("checkpoints", "node_results"): ("%s", '{"#run":%s}'),
    ("checkpoints", "pending_nodes"): ("%s", "[%s]"),
    ("checkpoints", "cycle_state"): ("%s", '{"backEdge":%s,"iteration":%s}', '{"backEdge":"a->n","iteration":%s}'),
}
#: where it stands in the result of a node; a node of each value stands in one checkpoint
IN_A_RESULT = (
    "%s",
    '{"status":%s,"output":%s,"error":%s,"startedAt":%s,"completedAt":%s,"more":%s}',
    '{"status":"failed","error":%s,"startedAt":1,"completedAt":%s,"answers":%s,"nested":%s}',
    '{"status":"pending","interrupt":%s,"startedAt":%s,"answers":[%s,{"question":%s,"answer":%s}]}',
    '{"status":"pending","interrupt":{"reason":%s,"options":[%s,{"label":%s,"value":%s,"description":%s}],"at":%s}}',
    '{"status":"pending","interrupt":{"reason":"?","options":%s},"questions":%s}',
    '{"status":"pending","interrupt":{"reason":"?"},"questions":{"a":%s,"b/c":{"reason":%s,"options":[%s]}}}',
)
#: where it stands in what a checkpoint says of its run
IN_A_RUN = (
    "%s",
    '{"run":%s,"input":%s,"iterations":%s,"asked":%s,"working":%s,"graph":%s,"by":%s}',
    '{"run":"r","iterations":{"a->b":%s},"working":[%s],"asked":[%s],"graph":{"digest":"d","nodes":[%s],"edges":[%s]}}',
)
RUN = '{"#run":{"status":"failed","output":%s},"n":{"status":"running","startedAt":1}}'


@dataclass(frozen=True)
class Held:
    """A session that holds a value of one kind."""

    session_id: str
    #: an interrupt
    checkpoint_id: str

    def pages(self) -> list[str]:
        """Those that show something of its run."""
        return [
            *(links.session(self.session_id, page) for page in ("change", "timeline", "checkpoints", "forks")),
            *(links.checkpoint(self.checkpoint_id, page) for page in ("change", "compare")),
        ]


@pytest.fixture
def hold(store: DjangoCheckpointStore, workspace: str) -> Iterator[Callable[[], Held]]:
    """Makes sessions with one message, in one workspace."""
    made = []

    def make() -> Held:
        session_id = store.create_session("/srv/shop", title="Find the slow query", workspace_id=workspace).id
        made.append(session_id)
        store.add_message(session_id, "assistant", "hello")
        first = store.save_checkpoint(session_id, step=1, node_results={})
        arguments: Any = {"source": "interrupt", "node_id": "n", "parent_id": first.id, "pending_nodes": ["n"]}
        return Held(session_id, store.save_checkpoint(session_id, step=2, node_results={}, **arguments).id)

    yield make
    for session_id in made:
        store.delete_session(session_id)  # a corrupt one would be in the way of other tests


def of_all(workspace: str) -> list[str]:
    """The pages that show something of all sessions at once."""
    return [f"{links.sessions()}?workspace={workspace}", links.waiting()]


@pytest.mark.parametrize("column", [column for column in PLACES if column[0] == "messages"], ids=".".join)
def test_every_value_in_every_column_of_messages(
    root: Reader,
    store: DjangoCheckpointStore,
    session_id: str,
    column: tuple[str, str],
    corrupt: Callable[..., None],
) -> None:
    ids = {kind: store.add_message(session_id, "assistant", kind).id for kind in VALUES}
    failed = []
    for place in PLACES[column]:
        for kind, value in VALUES.items():
            corrupt(*column, ids[kind], place.replace("%s", value))
        addresses = [links.session(session_id, page) for page in ("change", "transcript", "export")]
        failed += [(place, address) for address in addresses if not answered(root, address)]
    assert failed == []


#: only into results the databases themselves look; of the other columns one knows the text, as the other does
IN_DATABASES = [
    (column, using)
    for column in PLACES
    for using in ("default", "postgres")
    if column[0] != "messages" and (column[1] == "node_results" or using == "postgres")
]


@pytest.mark.parametrize(
    ("column", "store"),
    IN_DATABASES,
    indirect=["store"],
    ids=lambda part: part if isinstance(part, str) else ".".join(part),
)
def test_every_value_in_every_column(
    root: Reader, hold: Callable[[], Held], workspace: str, column: tuple[str, str], corrupt: Callable[..., None]
) -> None:
    table, name = column
    held = {kind: hold() for kind in VALUES}
    failed = []
    for place in PLACES[column]:
        for kind, value in VALUES.items():
            id = held[kind].session_id if table == "sessions" else held[kind].checkpoint_id
            corrupt(table, name, id, place.replace("%s", value))
        for kind, one in held.items():
            pages = [links.session(one.session_id, page) for page in ("change", "transcript", "export")]
            addresses = one.pages() if table == "checkpoints" else pages
            failed += [(place, kind, address) for address in addresses if not answered(root, address)]
        failed += [(place, "all", address) for address in of_all(workspace) if not answered(root, address)]
    assert failed == []


@pytest.mark.parametrize("place", [*IN_A_RESULT, *(RUN.replace("%s", place) for place in IN_A_RUN)])
def test_every_value_in_every_place_of_a_run(
    root: Reader, hold: Callable[[], Held], workspace: str, place: str, corrupt: Callable[..., None]
) -> None:
    sound = {kind: place.replace("%s", value) for kind, value in VALUES.items() if kind != "corrupt"}
    if place in IN_A_RESULT:
        sound = {"all": "{" + ",".join(f'"{kind}":{result}' for kind, result in sound.items()) + "}"}
    failed = []
    for kind, results in sound.items():
        one = hold()
        corrupt("checkpoints", "node_results", one.checkpoint_id, results)
        failed += [(kind, address) for address in one.pages() if not answered(root, address)]
    failed += [("all", address) for address in of_all(workspace) if not answered(root, address)]
    assert failed == []


def answered(root: Reader, address: str) -> bool:
    root.raise_request_exception = False
    response: Any = root.get(address)
    if response.streaming:
        b"".join(response.streaming_content)
    return bool(response.status_code == 200)
