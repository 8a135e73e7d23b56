"""Imports point in one direction, and none hides inside a function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "obsku_checkpoint"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: from the lowest to the highest; a module imports from lower layers and from its own
LAYERS = [
    {
        *("errors", "records", "async_twins", "extras", "ids", "printable", "tool_pairs", "url_ids", "windows"),
        *("embeddings", "foreign_databases", "unset"),
    },
    {"codec"},
    {"run_state", "shapes"},
    {"protocols", "validation", "memory_protocol", "memory_validation", "message_validation"},
    {"client", "graph", "messages"},
    {"conf"},
    {"forms", "time_expressions"},
    {"fields", "routers", "signals", "checks", "scope", "replica"},
    {"querysets"},
    {"models", "apps", "migrations", "table_locks"},
    {"store"},
    {"pooled_postgresql"},
    {"postgres"},
    {"contrib"},
    {"maintenance"},
    {"api", "admin", "management"},
    {"templatetags"},
    {"testing"},
]
WITHOUT_DJANGO: set[str] = set().union(*LAYERS[:5])
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> list[str]:
    """The modules that a file imports when it is run, as dotted names."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_lower_layers_only(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return
    for name in imported(path):
        if name.startswith("obsku_checkpoint.") and name.split(".")[1] in HEIGHT:
            assert HEIGHT[name.split(".")[1]] <= HEIGHT[layer(path)], f"{name} is above {layer(path)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_hides_inside_a_function(path: Path) -> None:
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            hidden = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
            assert [ast.unparse(node) for node in hidden] in ([], ["import asyncio"] * (path.name == "async_twins.py"))


BASE = [path for path in MODULES if layer(path) in WITHOUT_DJANGO]


@pytest.mark.parametrize("path", BASE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_base_knows_no_django(path: Path) -> None:
    assert not [one for one in imported(path) if one.split(".")[0] in ("django", "asgiref")]
