"""`test.sh`: the development environment, then every check in order. Runs in the system's Python.

The checks themselves run inside `.venv-test`, those of the InfiniteTalk engine in an environment like the engine's
own. All of them run even when an early one fails, so that one run shows everything that is wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
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
TYPED = (
    "backend",
    "workers",
    "launcher",
    "installer",
    "tools/lock.py",
    "tools/page_checks/check.py",
    "build.py",
)
# Types and lint of the page's scripts, where Node.js is there; it says so where it is not.
PAGE_CHECK = "tools/page_checks/check.py"
# The quick tier: everything but real models, long fault loops and the browser.
QUICK_MARKS = "not slow and not e2e"
# Tests mostly wait for processes that they started, so every core takes some; beyond four, those processes would
# wait for each other. `-n 0` on the command line runs them one after the other.
IN_PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")
# The tests of the InfiniteTalk engine. Two at a time, with one thread each (its conftest.py).
ENGINE_TESTS = "tests/infinitetalk"
# diffusers and transformers 5 want it.
ENGINE_PYTHON = (3, 11)
# pytest's exit statuses when tests failed and after Ctrl+C (pytest.ExitCode).
PYTEST_FAILED = 1
PYTEST_INTERRUPTED = 2
# Where pytest writes which tests failed.
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
# A few tests that fail while four others run may have met a busy machine; more are a defect at once.
MAX_UNSTEADY = 6


@dataclass(frozen=True)
class TestOptions:
    """What the command line asked for."""

    __test__ = False  # the name is not a test case of pytest's

    quick: bool = False
    pytest_only: bool = False
    environment: str = ".venv-test"
    pytest_arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One program of the suite."""

    name: str
    arguments: tuple[str, ...]
    environment: str | None = None  # folder of another environment than that of the options


ENGINE_CHECK = Check(
    "pytest of InfiniteTalk",
    (
        *("-m", "pytest", "-c", f"{ENGINE_TESTS}/pytest.ini", "--rootdir", "."),
        *("-n", "2", "--dist", "worksteal", ENGINE_TESTS),
    ),
    ".venv-test-infinitetalk",
)


def has_engine_tests(options: TestOptions, version: tuple[int, int] = sys.version_info[:2]) -> bool:
    """Whether the tests of the InfiniteTalk engine run: they need PyTorch, and a Python that its packages support.

    Arguments for pytest are about the other tests, and so is `--quick`.
    """
    return not options.quick and not options.pytest_arguments and version >= ENGINE_PYTHON


def checks(root: Path, options: TestOptions) -> list[Check]:
    """The checks in order; pytest comes last, so that its summary ends the output."""
    typed = tuple(name for name in TYPED if (root / name).exists())
    marks = ("-m", QUICK_MARKS) if options.quick else ()
    static = [
        Check("ruff check", ("-m", "ruff", "check", ".")),
        Check("ruff format", ("-m", "ruff", "format", "--check", ".")),
        Check("mypy", ("-m", "mypy", *typed)),
    ]
    if (root / PAGE_CHECK).exists():
        static.append(Check("page", (PAGE_CHECK,)))
    tests = Check("pytest", ("-m", "pytest", *IN_PARALLEL, *marks, *options.pytest_arguments))
    engine = [ENGINE_CHECK] if has_engine_tests(options) else []
    return [*engine, tests] if options.pytest_only else [*static, *engine, tests]


def run_checks(options: TestOptions, runner: Runner, console: Console, root: Path = ROOT) -> int:
    """Run all checks in the test environment; OK only when each of them passed."""
    cache = os.environ.get(MODELS_CACHE_VARIABLE) or str(root / MODELS_CACHE)
    env = child_environment({MODELS_CACHE_VARIABLE: cache})
    failed = []
    if not has_engine_tests(options) and not options.pytest_arguments:
        console.warn(
            "the tests of the InfiniteTalk engine are left out: they need Python 3.11 and a full run"
        )
    for check in checks(root, options):
        console.doing(check.name)
        started = time.monotonic()
        python = python_of(test_environment(root, check.environment or options.environment).folder)
        if "pytest" in check.arguments:
            (root / LAST_FAILED).unlink(missing_ok=True)
        status = runner.handover([str(python), *check.arguments], cwd=root, env=env)
        if "pytest" in check.arguments and status == PYTEST_FAILED and (unsteady := _few_failures(root)):
            # Alone and one after the other: a defect fails again, a test that only lost a race is named.
            console.warn("once more, one at a time: " + ", ".join(unsteady))
            again = ("-n", "0", "--last-failed", "--last-failed-no-failures", "none")
            status = runner.handover([str(python), *check.arguments, *again], cwd=root, env=env)
            if status == 0:
                console.warn("unsteady (failed, then passed alone): " + ", ".join(unsteady))
        if status == 0:
            # pytest has the last word when all is well: machines read its closing line.
            if check.name != "pytest":
                console.ok(f"{check.name} ({time.monotonic() - started:.0f} s)")
            continue
        failed.append(check.name)
        console.warn(f"{check.name} failed with status {status}")
        if check.name == "pytest" and status == PYTEST_INTERRUPTED:
            return Exit.INTERRUPTED
    if failed:
        console.warn("failed: " + ", ".join(failed))
        return Exit.FAILED
    return Exit.OK


def _few_failures(root: Path) -> list[str]:
    """The tests that failed in the run that has just ended; none when there were too many of them."""
    try:
        failures = json.loads((root / LAST_FAILED).read_text("utf-8"))
    except FileNotFoundError:  # pytest failed before it could write down anything
        return []
    return sorted(failures) if len(failures) <= MAX_UNSTEADY else []
