"""Model files are data: nothing that can run code is loaded from one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Modules that make objects of what a file says, code included.
UNSAFE_MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"})
# Errors that safe readers raise, to be caught.
SAFE_NAMES = frozenset({"UnpicklingError", "PicklingError"})
FILES = sorted(path for room in ("backend", "workers", "launcher") for path in (ROOT / room).rglob("*.py"))


def unsafe_lines(source: str) -> list[str]:
    """Imports of such modules, `torch.load` without `weights_only=True`, `np.load` with pickles allowed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found += [str(node.module) for name in node.names if name.name not in SAFE_NAMES]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            of = ast.unparse(node.func.value)
            if of == "torch" and given.get("weights_only") is not True:
                found.append(ast.unparse(node))
            if of in {"np", "numpy"} and given.get("allow_pickle", False) is not False:
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_that_can_run_code_is_loaded_from_a_file(path: Path) -> None:
    assert unsafe_lines(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from pickle import UnpicklingError, loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy.load(path, allow_pickle=True)",
    ],
)
def test_the_look_out_sees_what_it_is_for(line: str) -> None:
    assert unsafe_lines(line)
