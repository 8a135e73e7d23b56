"""Dangerous code: how each rule of the kind "code" is found in the syntax tree of a Python file."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

SUBPROCESS = {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "Popen")}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
UNSAFE_LOADS = {
    *(
        f"{module}.{name}"
        for module in ("pickle", "_pickle", "dill", "cloudpickle", "marshal")
        for name in ("load", "loads")
    ),
    "pickle.Unpickler",
    "shelve.open",
}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"}
HTTP_CLIENTS = ("requests", "httpx")
HTTP_VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request"}
SQL_METHODS = {"execute", "executemany", "executescript", "raw", "RawSQL"}


@dataclass(frozen=True, slots=True)
class Call:
    node: ast.Call
    #: the full name of what is called, as ``subprocess.run``; a method of an unknown object begins with a dot
    name: str
    #: what the file's names stand for
    names: dict[str, str]

    def argument(self, position: int, keyword: str = "") -> ast.expr | None:
        """By keyword, else by position; -1 for one that is given by keyword only."""
        for given in self.node.keywords:
            if given.arg == keyword:
                return given.value
        return self.node.args[position] if 0 <= position < len(self.node.args) else None


def find_dangers(tree: ast.Module, path: str) -> Iterator[tuple[str, int]]:
    """(rule, line) of each dangerous place in the tree of the file ``path``."""
    names = imported_names(tree)
    test = is_test(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            call = Call(node, called_name(node, names), names)
            for rule, applies in CALL_RULES.items():
                if applies(call):
                    yield rule, node.lineno
        elif isinstance(node, ast.Assert) and not test:
            yield "assert", node.lineno


def is_test(path: str) -> bool:
    """Whether the file belongs to tests, where asserts and fixed passwords are the rule."""
    parts = PurePosixPath(path).parts
    folders, file = parts[:-1], parts[-1]
    return (
        not {"test", "tests", "testing"}.isdisjoint(folders)
        or file.startswith(("test_", "conftest."))
        or (file.endswith("_test.py"))
    )


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What the file's names stand for: ``{"sp": "subprocess", "loads": "pickle.loads"}``."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def called_name(call: ast.Call, names: dict[str, str]) -> str:
    parts: list[str] = []
    node = call.func
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    parts.insert(0, names.get(node.id, node.id) if isinstance(node, ast.Name) else "")
    return ".".join(parts)


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def is_fixed(node: ast.expr | None) -> bool:
    """Whether nobody but the author decides the value."""
    if isinstance(node, ast.List | ast.Tuple):
        return all(is_fixed(item) for item in node.elts)
    return node is None or isinstance(node, ast.Constant)


def is_built_text(node: ast.expr | None) -> bool:
    """Whether text is put together from values: f"…{x}", "…" % x, "…" + x, "…".format(x)."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Mod):
            return _is_text(node.left)
        if isinstance(node.op, ast.Add):
            return (_is_text(node.left) or _is_text(node.right)) and not (is_fixed(node.left) and is_fixed(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "format" and _is_text(node.func.value)
    return False


def _is_text(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and isinstance(node.value, str)) or is_built_text(node)


def _eval(call: Call) -> bool:
    return call.name in ("eval", "exec", "builtins.eval", "builtins.exec") and not is_fixed(call.argument(0))


def _unsafe_load(call: Call) -> bool:
    return call.name in UNSAFE_LOADS


def _yaml_load(call: Call) -> bool:
    if call.name in ("yaml.load", "yaml.load_all"):
        loader = call.argument(1, "Loader")
        safe = loader.attr if isinstance(loader, ast.Attribute) else loader.id if isinstance(loader, ast.Name) else ""
        return safe not in SAFE_LOADERS
    return call.name in ("yaml.unsafe_load", "yaml.unsafe_load_all")


def _runs_shell(call: Call) -> bool:
    return call.name in SHELLS or (call.name in SUBPROCESS and is_constant(call.argument(-1, "shell"), True))


def _shell(call: Call) -> bool:
    return _runs_shell(call) and not is_fixed(call.argument(0, "args"))


def _shell_fixed(call: Call) -> bool:
    return _runs_shell(call) and is_fixed(call.argument(0, "args"))


def _mktemp(call: Call) -> bool:
    return call.name == "tempfile.mktemp"


def _weak_hash(call: Call) -> bool:
    if is_constant(call.argument(-1, "usedforsecurity"), False):
        return False
    if call.name == "hashlib.new":
        algorithm = call.argument(0, "name")
        return isinstance(algorithm, ast.Constant) and str(algorithm.value).lower() in ("md5", "sha1")
    return call.name in ("hashlib.md5", "hashlib.sha1")


def _no_tls_check(call: Call) -> bool:
    if call.name == "ssl._create_unverified_context":
        return True
    # Clients hide behind names such as `session`: the import tells that there is one.
    http = any(full.partition(".")[0] in HTTP_CLIENTS for full in call.names.values())
    return http and is_constant(call.argument(-1, "verify"), False)


def _mark_safe(call: Call) -> bool:
    return call.name.rpartition(".")[2] == "mark_safe" and not is_fixed(call.argument(0, "s"))


def _sql_text(call: Call) -> bool:
    return call.name.rpartition(".")[2] in SQL_METHODS and is_built_text(call.argument(0))


def _extract_all(call: Call) -> bool:
    tar = any(full.partition(".")[0] == "tarfile" for full in call.names.values())
    return tar and call.name.endswith(".extractall") and call.argument(-1, "filter") is None


def _no_timeout(call: Call) -> bool:
    module, _, verb = call.name.partition(".")
    return module == "requests" and verb in HTTP_VERBS and call.argument(-1, "timeout") is None


#: rule -> whether a call breaks it
CALL_RULES: dict[str, Callable[[Call], bool]] = {
    "eval": _eval,
    "unsafe-load": _unsafe_load,
    "yaml-load": _yaml_load,
    "shell": _shell,
    "shell-fixed": _shell_fixed,
    "mktemp": _mktemp,
    "weak-hash": _weak_hash,
    "no-tls-check": _no_tls_check,
    "mark-safe": _mark_safe,
    "sql-text": _sql_text,
    "extract-all": _extract_all,
    "no-timeout": _no_timeout,
}
