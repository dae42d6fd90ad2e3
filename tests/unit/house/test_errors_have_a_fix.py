"""Who made a mistake is told what to do about it: no error of a request or a file is raised without a hint."""

from __future__ import annotations

import ast

from backend.utils.config import BUNDLE_DIR

# Errors that reach whoever sent the request. An engine's failure may have its hint from the table of its code.
FOR_CALLERS = {"RequestError", "InputError", "UnknownId", "OutOfDate"}


def _without_a_hint(source: str) -> list[int]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in FOR_CALLERS
        and not any(keyword.arg == "hint" for keyword in call.keywords)
    ]


def test_every_error_for_a_caller_says_what_to_do() -> None:
    found = {
        path.relative_to(BUNDLE_DIR).as_posix(): lines
        for path in sorted((BUNDLE_DIR / "backend").rglob("*.py"))
        if (lines := _without_a_hint(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_an_error_without_a_fix_would_be_found() -> None:
    assert _without_a_hint('raise RequestError(code, "No.")') == [1]
    assert _without_a_hint('raise RequestError(code, "No.", hint="Do it.")') == []
