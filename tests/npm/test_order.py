"""The npm package, which sorts by time alone, reads messages in the order in which they were written here."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.testing.base import CALL, RESULT
from tests.npm.javascript import integer, part
from tests.npm.process import Npm, skip_without_bun

skip_without_bun()
pytestmark = pytest.mark.xdist_group("npm")


def test_two_writers_in_turns_and_their_batches_are_read_there_in_our_order(
    ours: PostgresCheckpointStore, npm: Npm
) -> None:
    ids = [ours.create_session("/order").id for _ in range(2)]

    def write(number: int) -> None:
        chosen = random.Random(number)
        for turn in range(60):
            for id in ids:
                size, use = chosen.randrange(1, 2000), f"{number}-{turn}"
                call = {"role": "assistant", "content": "x" * size, "tool_calls": [{**CALL, "toolUseId": use}]}
                result = {"role": "tool", "content": "r" * size, "tool_results": [{**RESULT, "toolUseId": use}]}
                ours.add_messages(id, [call, result])
                ours.add_messages(id, [{"role": "user", "content": "y" * size}] * chosen.randrange(1, 20))
                ours.add_message(id, "system", "z" * size)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, range(2)))
    for id in ids:
        messages = ours.get_messages(id)
        assert [integer(part(each, "id")) for each in npm("getMessages", id)[1]] == [each.id for each in messages]
        times = [message.created_at for message in messages]
        assert all(earlier < later for earlier, later in pairwise(times))
