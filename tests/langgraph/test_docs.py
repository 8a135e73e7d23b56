"""The Python of the documentation runs, and prints what its comments say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from django.test import override_settings

REPOSITORY = Path(__file__).parent.parent.parent


def blocks(path: str, heading: str = "") -> list[str]:
    text = (REPOSITORY / path).read_text()
    if heading:
        text = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [code for code in found if not code.startswith("# settings.py")]


def test_the_code_runs(alias: str) -> None:
    code = "\n".join([*blocks("docs/langgraph.md"), *blocks("README.md", "LangGraph")])
    code = code.replace("order-", f"{alias}-order-")
    promised = re.findall(r"^ *print\(.*\)  # (.*)$", code, flags=re.MULTILINE)
    assert len(promised) >= 5
    namespace: dict[str, Any] = {"__name__": "documentation"}
    with override_settings(OBSKU_CHECKPOINT={"DATABASE": alias}), contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, "docs/langgraph.md", "exec"), namespace)
    assert output.getvalue().splitlines() == promised
