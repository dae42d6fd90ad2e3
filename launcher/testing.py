"""`test.sh`: the development environment, then every check in order. Runs in the system's Python.

The checks themselves run inside `.venv-test`. All of them run even when an early one fails, so that one run
shows everything that is wrong.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launcher.console import Console
from launcher.errors import Exit
from launcher.process import Runner
from launcher.project import ROOT, child_environment, python_of, test_environment

# Where the tests keep the patched speech model, so that its 92 MB are made once and not per test.
MODELS_CACHE_VARIABLE = "AIO_TEST_MODELS_DIR"
MODELS_CACHE = ".test-output/models"

# Packages that mypy --strict holds; tests are typed less strictly and checked by ruff.
TYPED = ("backend", "workers", "launcher", "tools/lock.py", "build.py")
# The quick tier: everything but real models, long fault loops and the browser.
QUICK_MARKS = "not slow and not e2e"


@dataclass(frozen=True)
class Check:
    """One program of the suite."""

    name: str
    arguments: tuple[str, ...]


def checks(root: Path, quick: bool, pytest_arguments: Sequence[str]) -> list[Check]:
    """The checks in order; pytest comes last, so that its summary ends the output."""
    typed = tuple(name for name in TYPED if (root / name).exists())
    marks = ("-m", QUICK_MARKS) if quick else ()
    return [
        Check("ruff check", ("-m", "ruff", "check", ".")),
        Check("ruff format", ("-m", "ruff", "format", "--check", ".")),
        Check("mypy", ("-m", "mypy", *typed)),
        Check("pytest", ("-m", "pytest", *marks, *pytest_arguments)),
    ]


def run_checks(
    runner: Runner, console: Console, *, quick: bool, pytest_arguments: Sequence[str], root: Path = ROOT
) -> int:
    """Run all checks in the test environment; OK only when each of them passed."""
    python = str(python_of(test_environment(root).folder))
    cache = os.environ.get(MODELS_CACHE_VARIABLE) or str(root / MODELS_CACHE)
    env = child_environment({MODELS_CACHE_VARIABLE: cache})
    failed = []
    results = []
    for check in checks(root, quick, pytest_arguments):
        console.doing(check.name)
        started = time.monotonic()
        status = runner.handover([python, *check.arguments], cwd=root, env=env)
        results.append(
            f"{check.name} {'ok' if status == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)"
        )
        if status != 0:
            failed.append(check.name)
        if status == Exit.INTERRUPTED or (status == 2 and check.name == "pytest" and sys.platform != "win32"):
            break
    console.plain("")
    console.plain("   ".join(results))
    if failed:
        console.warn("failed: " + ", ".join(failed))
        return Exit.FAILED
    return Exit.OK
