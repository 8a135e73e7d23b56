"""The page on memory: its Python runs, and prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path

from tests.example.conftest import REPOSITORY, Project
from tests.example.test_readme import in_order, promised, run

PAGE = (REPOSITORY / "docs" / "memory.md").read_text()
SCRIPT = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))


def test_the_blocks_run(project: Project, tmp_path: Path) -> None:
    project.run("migrate", "--verbosity", "0")
    lines = run(f"import django\n\ndjango.setup()\n\n{SCRIPT}", project.environment, tmp_path)
    assert len(promised(SCRIPT)) == 4
    assert in_order(promised(SCRIPT), lines), lines
