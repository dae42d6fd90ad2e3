"""The host must run in any engine's Python: only the standard library, only what 3.10 understands."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

WORKERS = Path(__file__).resolve().parents[3] / "workers"
# What host.py needs to start, before any handler is imported.
HOST_MODULES = ("__init__", "host", "channel", "messages", "context", "failures", "vitals", "handler")


def imports_of(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports fail when host.py runs as a script"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("name", HOST_MODULES)
def test_a_module_of_the_host_imports_only_the_standard_library_and_its_siblings(name: str) -> None:
    tree = ast.parse((WORKERS / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 10))
    for imported in imports_of(tree):
        root, _, rest = imported.partition(".")
        assert root in sys.stdlib_module_names or (root == "workers" and rest in HOST_MODULES), imported


def test_the_list_of_host_modules_is_closed_under_import() -> None:
    host = ast.parse((WORKERS / "host.py").read_text(encoding="utf-8"))
    reached = {name.partition(".")[2] for name in imports_of(host) if name.startswith("workers.")}
    assert reached <= set(HOST_MODULES)
