"""Each test twice: through `run` and `resume`, and through their async forms."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from obsku_checkpoint.graph import Graph, RunResult, aresume, arun, resume, run


class Runner:
    """Runs graphs in one of the two forms."""

    def __init__(self, form: str) -> None:
        self.form = form

    def run(self, graph: Graph, **arguments: Any) -> RunResult:
        return self._wait(arun(graph, **arguments)) if self.form == "async" else run(graph, **arguments)

    def resume(self, graph: Graph, result: RunResult | None = None, **arguments: Any) -> RunResult:
        """Go on with the run that came to this result, or with that of ``session_id`` and ``namespace``."""
        if result:
            arguments = {"session_id": result.session_id, "namespace": result.checkpoint.namespace, **arguments}
        return self._wait(aresume(graph, **arguments)) if self.form == "async" else resume(graph, **arguments)

    def _wait(self, run: Coroutine[Any, Any, RunResult]) -> RunResult:
        return asyncio.run(run)


@pytest.fixture(params=["sync", "async"])
def runner(request: pytest.FixtureRequest) -> Runner:
    return Runner(request.param)
