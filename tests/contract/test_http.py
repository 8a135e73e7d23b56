"""What we promise, over HTTP: the whole suite against the example project on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from obsku_checkpoint.client import HTTPCheckpointStore
from obsku_checkpoint.protocols import CheckpointStore
from obsku_checkpoint.testing import CheckpointStoreConformance, Corrupt
from tests.example.conftest import Project
from tests.example.server import create_user, server, signed_in

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["postgres"]),
    pytest.mark.xdist_group("http"),  # one server for all
]


@pytest.fixture(scope="module", params=["postgres"])
def http_store(database_of_its_own: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HTTPCheckpointStore]:
    folder = tmp_path_factory.mktemp("http")
    project = Project(folder / "unused")
    project.environment["DJANGO_SETTINGS_MODULE"] = "tests.example.pooled"
    project.environment["POSTGRES_URL"] = database_of_its_own
    project.run("migrate", "--verbosity", "0")
    create_user(project)
    with server(project, folder / "log") as (_, port):
        address = f"http://127.0.0.1:{port}"
        with HTTPCheckpointStore(f"{address}/api/", headers=signed_in(address)) as store:
            yield store


class TestStoreOverHTTP(CheckpointStoreConformance):
    """``-k postgres`` selects it, too."""

    @pytest.fixture
    def store(self, http_store: HTTPCheckpointStore) -> CheckpointStore:
        return http_store

    @pytest.fixture
    def corrupt(self, corrupt_in_database_of_its_own: Corrupt) -> Corrupt:
        return corrupt_in_database_of_its_own
