"""How a node, a run and a session stand: the same words in Python, in the API's schema and in the style sheet."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, get_args

from drf_spectacular.generators import SchemaGenerator

from obsku_checkpoint.admin.checkpoint.name import GOES_ON, STATUS_WORDS
from obsku_checkpoint.admin.drawings.svg import STATUSES, status_class
from obsku_checkpoint.admin.session import status
from obsku_checkpoint.records import NodeStatus
from obsku_checkpoint.run_state import RunStatus

STYLES = (resources.files("obsku_checkpoint") / "static" / "obsku_checkpoint" / "admin.css").read_text()


def styled(prefix: str) -> set[str]:
    """The statuses that the style sheet has rules for."""
    return set(re.findall(rf"\.{prefix}([a-z]+)", STYLES))


def test_a_node_s_statuses_are_one_list() -> None:
    stored = set(get_args(NodeStatus))
    # A person's view of a node that is pending, with a question.
    assert set(STATUSES) == stored | {"waiting"}
    for kind in ("bar", "dot", "node", "swatch"):
        assert styled(rf"obsku-{kind}\.obsku-status-") == set(STATUSES), kind
    assert {status_class(each) for each in STATUSES} == {f"obsku-status-{each}" for each in STATUSES}
    assert status_class("dreaming") == status_class(None) == "obsku-status-other"


def test_the_api_says_the_same_statuses_of_a_node() -> None:
    generator: Any = SchemaGenerator
    schema = generator(urlconf="tests.api.urls").get_schema(public=True)
    results = schema["components"]["schemas"]["Checkpoint"]["properties"]["node_results"]
    assert set(results["additionalProperties"]["properties"]["status"]["enum"]) == set(get_args(NodeStatus))


def test_a_run_s_statuses_are_one_list() -> None:
    assert set(STATUS_WORDS) == set(get_args(RunStatus)) == styled("obsku-run-")
    assert set(GOES_ON) < set(STATUS_WORDS)


def test_a_session_s_statuses_are_one_list() -> None:
    assert set(status.STATUSES) - {"new"} | {"fork"} == styled("obsku-badge-")
