"""Whatever the conformance suite writes, the npm package reads, and it is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from obsku_checkpoint.postgres import PostgresCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.testing import CheckpointStoreConformance, Corrupt
from obsku_checkpoint.testing.base import Mode
from tests.npm.compare import read_alike
from tests.npm.process import Npm, skip_without_bun

skip_without_bun()
pytestmark = pytest.mark.xdist_group("npm")


class TestWhatTheSuiteWrites(CheckpointStoreConformance):
    @pytest.fixture
    def store(self, ours: PostgresCheckpointStore) -> CheckpointStore:
        return ours

    @pytest.fixture
    def mode(self) -> Mode:
        return "sync"  # the twins write the same

    @pytest.fixture
    def corrupt(self) -> Corrupt:
        pytest.skip("what is corrupt is read by neither")

    @pytest.fixture(autouse=True)
    def _read_there(self, ours: PostgresCheckpointStore, npm: Npm) -> Iterator[None]:
        yield
        written = [session.id for session in ours.list_sessions()]
        try:
            print(f"{read_alike(ours, npm, written)} values in {len(written)} sessions are equal")
        finally:
            for id in written:
                ours.delete_session(id)
