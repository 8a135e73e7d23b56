"""The history of a delta channel: what the ancestors wrote since the nearest one that holds a value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from obsku_checkpoint.contrib.langgraph import DjangoSaver
from tests.langgraph.steps import checkpoint_of, config_of, new_thread

History = Callable[[RunnableConfig, Sequence[str]], Any]


@pytest.fixture(params=["sync", "async", "theirs"])
def saver_and_history(request: pytest.FixtureRequest, saver: DjangoSaver) -> tuple[Any, History]:
    """Ours, asked both ways, and LangGraph's own in memory, of which the same is expected."""
    if request.param == "async":
        return saver, lambda config, channels: asyncio.run(
            saver.aget_delta_channel_history(config=config, channels=channels)
        )
    chosen: Any = saver if request.param == "sync" else InMemorySaver()
    return chosen, lambda config, channels: chosen.get_delta_channel_history(config=config, channels=channels)


def step(saver: Any, config: RunnableConfig, values: dict[str, Any], writes: Sequence[tuple[str, Any]] = ()) -> Any:
    """A checkpoint after the config's with these values, and what a task writes then."""
    versions = {channel: saver.get_next_version(None, None) for channel in values}
    config["configurable"].setdefault("checkpoint_ns", "")
    stored = saver.put(config, checkpoint_of(values, versions), {"source": "loop", "step": 1}, versions)
    if writes:
        saver.put_writes(stored, writes, "task")
    return stored


def written(history: Any, channel: str) -> list[Any]:
    return [value for _, _, value in history[channel]["writes"]]


def test_no_channels_no_history(saver_and_history: tuple[Any, History]) -> None:
    _, history = saver_and_history
    assert history(config_of(new_thread()), []) == {}


def test_an_unknown_thread_has_none(saver_and_history: tuple[Any, History]) -> None:
    _, history = saver_and_history
    assert history(config_of(new_thread()), ["log"]) == {"log": {"writes": []}}


def test_the_ancestors_writes_oldest_first_without_the_targets_own(saver_and_history: tuple[Any, History]) -> None:
    saver, history = saver_and_history
    first = step(saver, config_of(new_thread()), {}, [("log", 1), ("other", "x"), ("log", 2)])
    second = step(saver, first, {}, [("log", 3)])
    third = step(saver, second, {}, [("log", 4)])
    assert written(history(third, ["log"]), "log") == [1, 2, 3]
    assert history(third, ["log"]) == {"log": {"writes": [("task", "log", number) for number in (1, 2, 3)]}}
    assert written(history(first, ["log"]), "log") == []


def test_it_begins_at_the_nearest_value_with_what_was_written_there(saver_and_history: tuple[Any, History]) -> None:
    saver, history = saver_and_history
    config = step(saver, config_of(new_thread()), {"log": ["old"]}, [("log", 0)])
    for seed in ("seed" * 50, 1, [*range(20)], {"a": 1}):
        config = step(saver, config, {"log": seed}, [("log", 1)])
        config = step(saver, config, {}, [("log", 2)])
        config = step(saver, config, {})
        found = history(config, ["log"])
        assert (found["log"]["seed"], written(found, "log")) == (seed, [1, 2])


def test_each_channel_ends_by_itself(saver_and_history: tuple[Any, History]) -> None:
    saver, history = saver_and_history
    config = step(saver, config_of(new_thread()), {"a": "seed" * 30}, [("a", 1), ("b", 1)])
    config = step(saver, config, {"b": "seed" * 30}, [("a", 2), ("b", 2)])
    config = step(saver, config, {}, [("a", 3), ("b", 3)])
    config = step(saver, config, {})
    found = history(config, ["a", "b", "none"])
    assert (written(found, "a"), written(found, "b"), written(found, "none")) == ([1, 2, 3], [2, 3], [])
    assert "seed" not in found["none"]


def test_only_what_is_on_the_way_counts(saver_and_history: tuple[Any, History]) -> None:
    saver, history = saver_and_history
    root = step(saver, config_of(new_thread()), {}, [("log", "root")])
    left = step(saver, root, {}, [("log", "left")])
    right = step(saver, root, {}, [("log", "right")])
    assert written(history(step(saver, left, {}), ["log"]), "log") == ["root", "left"]
    assert written(history(step(saver, right, {}), ["log"]), "log") == ["root", "right"]


def test_writes_of_one_step_stand_in_the_order_of_their_tasks(saver_and_history: tuple[Any, History]) -> None:
    saver, history = saver_and_history
    config = step(saver, config_of(new_thread()), {})
    for task, path, value in (("a", "~2", 3), ("z", "~1", 2), ("m", "", 1)):
        saver.put_writes(config, [("log", value), ("log", -value)], task, path)
    assert written(history(step(saver, config, {}), ["log"]), "log") == [1, -1, 2, -2, 3, -3]


def test_the_newest_checkpoint_of_its_namespace_is_meant_without_an_id(saver_and_history: tuple[Any, History]) -> None:
    saver, history = saver_and_history
    thread = new_thread()
    step(saver, step(saver, config_of(thread), {}, [("log", "root")]), {})
    step(saver, step(saver, config_of(thread, "sub:1"), {}, [("log", "sub")]), {})
    assert written(history(config_of(thread), ["log"]), "log") == ["root"]
    assert written(history(config_of(thread, "sub:1"), ["log"]), "log") == ["sub"]
