"""Nothing that waits for a disk, a process or a network runs on the event loop: the source is read, nothing is run.

A call inside an `async def` of the service runs on the loop. What it hands to a thread is a function object
(`asyncio.to_thread(path.read_bytes)`, a lambda, a nested `def`), not a call, and is not looked at here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.house.test_rooms import BACKEND, ROOT, modules

# Functions by their full name, as far as it is written.
BLOCKING_CALLS = {"open", "input", "time.sleep", "os.system", "os.popen", "os.walk", "os.fsync", "os.waitpid"}
# Modules of which no function may be called on the loop.
BLOCKING_MODULES = {
    "sqlite3",
    "requests",
    "urllib.request",
    "subprocess",
    "shutil",
    "socket",
    "http.client",
    "glob",
}
# os functions that touch the disk.
BLOCKING_OS = {
    *("open", "stat", "lstat", "listdir", "scandir", "mkdir", "makedirs", "remove", "unlink", "rmdir"),
    *("rename", "replace", "link", "symlink", "truncate", "access", "chmod", "utime"),
}
# Methods of pathlib.Path that touch the disk. `replace`, `match` and the like are methods of str too and left out.
BLOCKING_METHODS = {
    *(
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "iterdir",
        "glob",
        "rglob",
        "exists",
        "is_file",
    ),
    *(
        "is_dir",
        "is_symlink",
        "lstat",
        "stat",
        "mkdir",
        "rmdir",
        "unlink",
        "touch",
        "rename",
        "resolve",
        "samefile",
    ),
    *("symlink_to", "hardlink_to", "readlink", "open", "walk", "expanduser"),
}


def own_calls(function: ast.AsyncFunctionDef) -> Iterator[tuple[ast.Call, bool]]:
    """Calls in the body of `function` itself, not in functions defined inside it; and whether each is awaited."""
    waiting: list[tuple[ast.AST, bool]] = [(node, False) for node in function.body]
    while waiting:
        node, awaited = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Call):
            yield node, awaited
        is_await = isinstance(node, ast.Await)
        waiting += [(child, is_await) for child in ast.iter_child_nodes(node)]


def dotted(node: ast.expr) -> str:
    """`os.path.join` of an expression as far as it is names; `?` for the rest."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def blocks(call: ast.Call) -> bool:
    name = dotted(call.func)
    module, _, last = name.rpartition(".")
    if name in BLOCKING_CALLS or module in BLOCKING_MODULES or module.split(".")[0] in BLOCKING_MODULES:
        return True
    if module == "os":
        return last in BLOCKING_OS
    return bool(module) and last in BLOCKING_METHODS


def blocking_calls(source: str) -> list[str]:
    """`line: name` of every call that would hold the loop. An awaited call is a coroutine, not a blocking one."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.AsyncFunctionDef):
            found += [
                f"{call.lineno}: {dotted(call.func)}"
                for call, awaited in own_calls(function)
                if not awaited and blocks(call)
            ]
    return found


@pytest.mark.parametrize("path", modules(BACKEND), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_async_function_of_the_service_blocks_the_loop(path: Path) -> None:
    assert blocking_calls(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "with open('x') as f: pass",
        "path.read_text()",
        "self._folder.joinpath('x').write_bytes(b'')",
        "time.sleep(1)",
        "sqlite3.connect('x')",
        "requests.get('x')",
        "urllib.request.urlopen('x')",
        "subprocess.run(['x'])",
        "os.replace(a, b)",
        "shutil.copyfile(a, b)",
        "x = [p for p in path.iterdir()]",
        "await use(path.stat().st_size)",
    ],
)
def test_what_blocks_is_recognised(line: str) -> None:
    assert blocking_calls(f"async def f():\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "await asyncio.to_thread(path.read_text)",
        "await asyncio.to_thread(lambda: path.read_text())",
        "def g(): return open('x')",
        "await db.open()",
        "text.replace('a', 'b')",
        "await asyncio.sleep(1)",
    ],
)
def test_what_runs_elsewhere_is_not_blamed(line: str) -> None:
    assert blocking_calls(f"async def f():\n    {line}\n") == []
