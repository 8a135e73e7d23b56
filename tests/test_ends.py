"""How runs stand is found by PostgreSQL's index, however many checkpoints there are."""

from __future__ import annotations

import pytest
from django.db import connections, transaction

from obsku_checkpoint.store.ends import ends

SESSIONS, CHECKPOINTS, ASKED = 4000, 4, 100


@pytest.mark.usefixtures("committed")
def test_the_table_is_not_read_as_a_whole() -> None:
    asked = range(1, SESSIONS, SESSIONS // ASKED)
    with transaction.atomic("postgres"), connections["postgres"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO sessions (id, directory, created_at, updated_at)"
            " SELECT 's' || i, '/', i, i FROM generate_series(1, %s) AS i",
            [SESSIONS],
        )
        cursor.execute(
            "INSERT INTO checkpoints (id, session_id, version, step, node_results, source, created_at)"
            " SELECT 'c' || i || '-' || v, 's' || i, v, v, '{}', 'loop', i + v"
            " FROM generate_series(1, %s) AS i, generate_series(1, %s) AS v",
            [SESSIONS, CHECKPOINTS],
        )
        cursor.execute("ANALYZE sessions, checkpoints")

        def scans() -> int:
            """Of the whole table, in this transaction."""
            cursor.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'checkpoints'::regclass")
            ((count,),) = cursor.fetchall()
            return int(count)

        before = scans()
        found = ends("postgres", [f"s{number}" for number in asked])
        assert scans() == before
        transaction.set_rollback(True, "postgres")
    assert len(found) == 2 * ASKED
    assert {end.id for end in found if end.is_newest} == {f"c{number}-{CHECKPOINTS}" for number in asked}
