"""The Python of the documentation runs, and prints what its comments say."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from django.test import override_settings

from tests.docs.pages import promised, script, section, text_of


def test_the_code_runs(alias: str) -> None:
    code = "\n".join([script(text_of("docs/langgraph.md")), script(section("README.md", "LangGraph"))])
    code = code.replace("order-", f"{alias}-order-")
    assert len(promised(code)) == 6
    namespace: dict[str, Any] = {"__name__": "documentation"}
    with override_settings(OBSKU_CHECKPOINT={"DATABASE": alias}), contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, "docs/langgraph.md", "exec"), namespace)
    assert output.getvalue().splitlines() == promised(code)
