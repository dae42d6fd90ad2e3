"""Who may import whom, who knows what: the rules of docs/architecture.md as tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BACKEND = ROOT / "backend"

# room -> rooms it may import from, besides itself
ALLOWED = {
    "main": {"api", "services", "storage", "engines", "models", "utils"},
    "api": {"services", "models", "utils"},
    "services": {"engines", "storage", "models", "utils"},
    "engines": {"models", "utils"},
    "storage": {"models", "utils"},
    "utils": {"models"},
    "models": set(),
}
HEAVY = {"numpy", "cv2", "onnxruntime", "torch", "onnx", "scipy", "PIL"}


def modules(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def imports(path: Path) -> set[str]:
    """Dotted names imported anywhere in a module, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add("<relative>")
    return found


def room_of(path: Path) -> str:
    relative = path.relative_to(BACKEND)
    return relative.parts[0].removesuffix(".py")


def backend_rooms(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(path)]
    return {parts[1] for parts in names if parts[0] == "backend" and len(parts) > 1 and parts[1] in ALLOWED}


@pytest.mark.parametrize("path", modules(BACKEND), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_the_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    strangers = backend_rooms(path) - ALLOWED[room] - {room}
    assert not strangers, f"{room} may not import {sorted(strangers)}"


@pytest.mark.parametrize("path", modules(BACKEND), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_service_imports_nothing_heavy_and_nothing_from_the_workers(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & HEAVY
    assert "workers" not in tops
    assert "<relative>" not in tops


def test_only_the_http_layer_knows_fastapi() -> None:
    for path in modules(BACKEND):
        tops = {name.split(".")[0] for name in imports(path)}
        if tops & {"fastapi", "starlette"}:
            assert room_of(path) in {"api", "main"}, path


def test_only_the_storage_layer_knows_sqlite() -> None:
    for path in modules(BACKEND):
        tops = {name.split(".")[0] for name in imports(path)}
        if tops & {"sqlite3", "aiosqlite"}:
            assert room_of(path) == "storage", path


def test_only_the_settings_read_the_environment() -> None:
    for path in modules(BACKEND):
        if path == BACKEND / "utils" / "config.py":
            continue
        source = path.read_text(encoding="utf-8")
        assert "os.environ" not in source, path
        assert "os.getenv" not in source, path


def test_workers_import_nothing_from_the_backend() -> None:
    for path in modules(ROOT / "workers"):
        assert "backend" not in {name.split(".")[0] for name in imports(path)}, path


def test_the_installer_runs_in_any_python_with_the_standard_library_alone() -> None:
    for path in modules(ROOT / "installer"):
        foreign = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
        assert foreign <= {"installer", "launcher", "__future__"}, path


def test_no_module_is_longer_than_one_concept() -> None:
    longest = {
        str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines())
        for p in [
            *modules(BACKEND),
            *modules(ROOT / "workers"),
            *modules(ROOT / "launcher"),
            *modules(ROOT / "installer"),
        ]
    }
    assert {name: lines for name, lines in longest.items() if lines > 400} == {}


def test_every_module_says_what_it_is() -> None:
    for path in [
        *modules(BACKEND),
        *modules(ROOT / "workers"),
        *modules(ROOT / "launcher"),
        *modules(ROOT / "installer"),
    ]:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_importing_the_app_loads_nothing_heavy_and_touches_no_file(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import backend.main; "
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'torch'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script, str(ROOT)], cwd=tmp_path, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_async_routes_await_something() -> None:
    """A route without an await belongs on a thread: `async def` would hold the loop."""
    for path in modules(BACKEND / "api"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_route = isinstance(node, ast.AsyncFunctionDef) and any(
                isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) and "router" in ast.dump(d.func)
                for d in node.decorator_list
            )
            if is_route:
                assert any(isinstance(child, ast.Await) for child in ast.walk(node)), f"{path}: {node.name}"
