"""The contract of a checkpoint store as tests, for ours and for yours. Needs pytest.

Subclass `CheckpointStoreConformance` and give it a store::

    class TestMyStore(CheckpointStoreConformance):
        @pytest.fixture
        def store(self):
            return MyStore()

Every test then runs twice: through the store's methods and through their async twins. The tests leave other rows of
the store alone and tolerate them, so nothing has to be emptied between tests. What else can be overridden stands in
`ConformanceBase`.
"""

from __future__ import annotations

from obsku_checkpoint.extras import require

require("", "pytest")

import pytest  # noqa: E402 - it is looked for first

# The assertions of an installed package are shown as plainly as those of a test file.
SUBJECTS = (
    "asynchronous",
    "checkpoints",
    "concurrency",
    "corruption",
    "forks",
    "memory",
    "memory_search",
    "messages",
    "sessions",
    "summaries",
    "transcripts",
    "validation",
    "values",
    "windows",
)
pytest.register_assert_rewrite(*(f"{__name__}.{subject}" for subject in SUBJECTS))

from obsku_checkpoint.testing.asynchronous import AsyncConformance  # noqa: E402
from obsku_checkpoint.testing.base import ConformanceBase, Corrupt  # noqa: E402
from obsku_checkpoint.testing.checkpoints import CheckpointConformance  # noqa: E402
from obsku_checkpoint.testing.concurrency import ConcurrencyConformance  # noqa: E402
from obsku_checkpoint.testing.corruption import CorruptionConformance  # noqa: E402
from obsku_checkpoint.testing.forks import ForkConformance  # noqa: E402
from obsku_checkpoint.testing.memory import EntityConformance, FactConformance  # noqa: E402
from obsku_checkpoint.testing.memory_search import SearchConformance  # noqa: E402
from obsku_checkpoint.testing.messages import MessageConformance  # noqa: E402
from obsku_checkpoint.testing.sessions import SessionConformance  # noqa: E402
from obsku_checkpoint.testing.summaries import SummaryConformance  # noqa: E402
from obsku_checkpoint.testing.sync_over_async import SyncOverAsync  # noqa: E402
from obsku_checkpoint.testing.transcripts import TranscriptConformance  # noqa: E402
from obsku_checkpoint.testing.validation import ValidationConformance  # noqa: E402
from obsku_checkpoint.testing.values import ValueConformance  # noqa: E402
from obsku_checkpoint.testing.windows import WindowConformance  # noqa: E402

__all__ = ["CheckpointStoreConformance", "ConformanceBase", "Corrupt", "SyncOverAsync"]


class CheckpointStoreConformance(
    SessionConformance,
    SummaryConformance,
    MessageConformance,
    TranscriptConformance,
    WindowConformance,
    CheckpointConformance,
    ForkConformance,
    EntityConformance,
    FactConformance,
    SearchConformance,
    ValueConformance,
    ValidationConformance,
    ConcurrencyConformance,
    AsyncConformance,
    CorruptionConformance,
):
    """Every promise of `obsku_checkpoint.protocols.CheckpointStore`."""
