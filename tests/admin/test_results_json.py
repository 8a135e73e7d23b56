"""Large results are taken apart by the database: what is read of them is what stands there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from obsku_checkpoint import codec
from obsku_checkpoint.admin import results_json, runs
from obsku_checkpoint.admin.results_json import results_in_parts
from obsku_checkpoint.records import CorruptValue
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links
from tests.admin.test_values import VALUES


@pytest.fixture
def stored(store: DjangoCheckpointStore, session_id: str, corrupt: Callable[..., None]) -> Callable[[str], str]:
    """Stores a checkpoint with this text as its results; returns its id."""

    def store_text(text: str) -> str:
        id = store.save_checkpoint(session_id, step=1, node_results={}).id
        corrupt("checkpoints", "node_results", id, text)
        return id

    return store_text


def test_every_value_is_read_as_it_stands(store: DjangoCheckpointStore, stored: Callable[[str], str]) -> None:
    sound = {kind: value for kind, value in VALUES.items() if kind not in ("corrupt", "acting text")}
    fields = ",".join(f'"{kind}":{value}' for kind, value in sound.items())
    small = {kind: value for kind, value in sound.items() if len(value) < 4000}
    if store.using == "default":  # SQLite rounds it
        del small["bare integer"]
    id = stored(f'{{"node":{{{fields}}},"other":7}}')
    results, left_out = results_in_parts(store.using, [id])[id]
    assert left_out == 0
    assert list(results) == ["node", "other"]
    for kind, value in small.items():
        assert repr(results["node"][kind]) == repr(codec.loads(value)), kind


def test_of_many_entries_those_of_interest_are_read(store: DjangoCheckpointStore, stored: Callable[[str], str]) -> None:
    done = [f'"done {number}":{{"status":"completed","output":{number}}}' for number in range(50)]
    done[7] = '"broken":{"status":"failed","error":"gone"}'
    id = stored(f'{{"#run":{{"status":"failed"}},{",".join(done)}}}')
    results, left_out = results_in_parts(store.using, [id], 4)[id]
    assert list(results) == ["#run", "broken", "done 48", "done 49"]
    assert results["broken"] == {"status": "failed", "error": "gone"}
    assert left_out == 47


def test_escapes_that_a_database_refuses_hide_nothing_else(
    store: DjangoCheckpointStore, stored: Callable[[str], str]
) -> None:
    texts = (
        r'{"a":{"status":"failed","error":"\u0000 \ud83d\ude00 \ud800 \\ud800"}}',
        '{"a":{"status":"completed","output":"plain"}}',
        r'{"a":{"status":"completed","output":"\ud83d\ude00"}}',
        '{"a":',
    )
    odd, plain, smiling, broken = ids = [stored(text) for text in texts]
    found = results_in_parts(store.using, ids)
    assert found[plain].value == {"a": {"status": "completed", "output": "plain"}}
    assert found[smiling].value == {"a": {"status": "completed", "output": "\N{GRINNING FACE}"}}
    assert found[odd].value["a"]["status"] == "failed"
    assert found[odd].value["a"].keys() == {"status", "error"}
    assert not found[broken].value or isinstance(found[broken].value, CorruptValue)


def test_what_is_not_read_for_its_escapes_is_said(
    root: Reader,
    store: DjangoCheckpointStore,
    session_id: str,
    stored: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if store.using == "default":
        pytest.skip("SQLite reads every escape")
    for name in ("first", "second"):
        stored(f'{{"{name}":{{"status":"failed","error":"\\u0000"}}}}')
    monkeypatch.setattr(runs, "WHOLE", 0)
    address = links.session(session_id, "checkpoints")
    assert "not read" not in root.read(address)
    monkeypatch.setattr(results_json, "REPLACED", 1)
    assert "not read" in root.read(address)


def test_every_value_has_pages_where_it_is_taken_apart(
    root: Reader, session_id: str, stored: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = '{"status":%s,"output":%s,"error":%s,"startedAt":%s,"completedAt":%s,"interrupt":%s,"questions":%s}'
    sound = {kind: result.replace("%s", value) for kind, value in VALUES.items() if kind != "corrupt"}
    stored("{" + ",".join(f'"{kind}":{text}' for kind, text in sound.items()) + "}")
    monkeypatch.setattr(runs, "WHOLE", 0)
    for page in ("change", "timeline", "checkpoints", "forks"):
        root.see(links.session(session_id, page))
    root.see(links.waiting())
