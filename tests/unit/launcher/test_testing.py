"""`test.sh` runs every check and fails when one of them does."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from launcher.errors import Exit
from launcher.process import Outcome
from launcher.project import ROOT
from launcher.testing import (
    ENGINE_TESTS,
    IN_PARALLEL,
    LAST_FAILED,
    MAX_UNSTEADY,
    MODELS_CACHE_VARIABLE,
    PAGE_CHECK,
    TestOptions,
    checks,
    has_engine_tests,
    run_checks,
)
from tests.unit.launcher.twins import FakeRunner, MemoryConsole

# What the engine's tests add to a full run, on a Python that they support.
ENGINE = ["pytest"] if sys.version_info >= (3, 11) else []


def names(options: TestOptions, root: Path) -> list[str]:
    return [check.name for check in checks(root, options)]


def test_everything_is_checked_and_pytest_has_the_last_word(tmp_path: Path) -> None:
    runner, console = FakeRunner(), MemoryConsole()

    assert run_checks(TestOptions(), runner, console, tmp_path) == Exit.OK

    assert [call[2] for call in runner.calls] == ["ruff", "ruff", "mypy", *ENGINE, "pytest"]
    assert console.out.getvalue().splitlines()[-1] == "[..] pytest"


@pytest.mark.parametrize("broken", ["check", "--check", "mypy", "pytest"])
def test_one_failed_check_fails_the_run_and_the_others_still_run(tmp_path: Path, broken: str) -> None:
    runner, console = FakeRunner({broken: Outcome(1)}), MemoryConsole()

    assert run_checks(TestOptions(), runner, console, tmp_path) == Exit.FAILED

    assert len(runner.calls) == 4 + len(ENGINE)
    assert "failed" in console.err.getvalue()


def test_the_page_is_checked_before_the_tests_that_use_its_tools(tmp_path: Path) -> None:
    (tmp_path / PAGE_CHECK).parent.mkdir(parents=True)
    (tmp_path / PAGE_CHECK).touch()
    assert names(TestOptions(quick=True), tmp_path)[-2:] == ["page", "pytest"]
    assert (ROOT / PAGE_CHECK).is_file()


def test_a_pytest_that_collects_nothing_fails_the_run(tmp_path: Path) -> None:
    assert (
        run_checks(TestOptions(), FakeRunner({"pytest": Outcome(5)}), MemoryConsole(), tmp_path)
        == Exit.FAILED
    )


class Failing(FakeRunner):
    """Fails as pytest does: it writes down which tests failed. `second`: the status of the tests run alone."""

    def __init__(self, failures: int, second: int) -> None:
        super().__init__()
        self.failures = failures
        self.second = second

    def handover(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        super().handover(args, cwd=cwd, env=env)
        if "--last-failed" in args:
            return self.second
        path = cwd / LAST_FAILED
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({f"tests/test_{n}.py::test": True for n in range(self.failures)}))
        return 1


@pytest.mark.parametrize(
    ("failures", "second", "runs", "status"),
    [
        (1, 0, 2, Exit.OK),
        (MAX_UNSTEADY, 0, 2, Exit.OK),
        (1, 1, 2, Exit.FAILED),
        (MAX_UNSTEADY + 1, 0, 1, Exit.FAILED),
    ],
)
def test_a_few_failed_tests_are_run_alone_and_named(
    tmp_path: Path, failures: int, second: int, runs: int, status: Exit
) -> None:
    runner, console = Failing(failures, second), MemoryConsole()
    assert run_checks(TestOptions(pytest_only=True, quick=True), runner, console, tmp_path) == status
    assert len(runner.calls) == runs
    if runs == 2:
        assert runner.calls[1][-5:] == ["-n", "0", "--last-failed", "--last-failed-no-failures", "none"]
        assert "tests/test_0.py::test" in console.err.getvalue()
    assert ("unsteady" in console.err.getvalue()) is (runs == 2 and second == 0)


def test_failures_of_an_earlier_run_are_no_excuse(tmp_path: Path) -> None:
    stale = tmp_path / LAST_FAILED
    stale.parent.mkdir(parents=True)
    stale.write_text('{"tests/test_old.py::test": true}')
    runner = FakeRunner({"pytest": Outcome(1)})
    assert run_checks(TestOptions(pytest_only=True, quick=True), runner, MemoryConsole(), tmp_path) == 1
    assert len(runner.calls) == 1


def test_the_quick_tier_leaves_out_slow_and_browser_tests(tmp_path: Path) -> None:
    quick = checks(tmp_path, TestOptions(quick=True))[-1].arguments
    assert quick[quick.index("pytest") + 1 :] == (*IN_PARALLEL, "-m", "not slow and not e2e")
    assert "-m" not in checks(tmp_path, TestOptions())[-1].arguments[2:]


def test_the_tests_of_the_engine_run_in_an_environment_of_their_own(tmp_path: Path) -> None:
    runner = FakeRunner()
    run_checks(TestOptions(), runner, MemoryConsole(), tmp_path)
    environments = [Path(call[0]).parent.parent.name for call in runner.calls if call[2] == "pytest"]
    assert environments == [".venv-test-infinitetalk"] * len(ENGINE) + [".venv-test"]
    engine = [call for call in runner.calls if call[-1] == ENGINE_TESTS]
    assert len(engine) == len(ENGINE)


@pytest.mark.parametrize(
    ("options", "version", "expected"),
    [
        (TestOptions(), (3, 11), True),
        (TestOptions(), (3, 10), False),
        (TestOptions(quick=True), (3, 11), False),
        (TestOptions(pytest_arguments=("-k", "voice")), (3, 12), False),
    ],
)
def test_the_tests_of_the_engine_run_where_they_can_and_are_meant(
    options: TestOptions, version: tuple[int, int], expected: bool
) -> None:
    assert has_engine_tests(options, version) is expected


def test_a_run_without_the_tests_of_the_engine_says_so(tmp_path: Path) -> None:
    console = MemoryConsole()
    run_checks(TestOptions(quick=True), FakeRunner(), console, tmp_path)
    assert "InfiniteTalk" in console.err.getvalue() + console.out.getvalue()


def test_other_arguments_go_to_pytest(tmp_path: Path) -> None:
    options = TestOptions(pytest_arguments=("-k", "voice", "tests/unit"))
    assert checks(tmp_path, options)[-1].arguments[-3:] == ("-k", "voice", "tests/unit")


def test_only_pytest_runs_where_only_pytest_is_asked_for(tmp_path: Path) -> None:
    assert names(TestOptions(pytest_only=True, quick=True), tmp_path) == ["pytest"]
    assert names(TestOptions(pytest_only=True), tmp_path)[-1] == "pytest"


def test_the_speech_model_of_the_tests_is_made_once_in_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MODELS_CACHE_VARIABLE, raising=False)
    runner = FakeRunner()
    run_checks(TestOptions(pytest_only=True, quick=True), runner, MemoryConsole(), tmp_path)
    assert runner.environments[0][MODELS_CACHE_VARIABLE] == str(tmp_path / ".test-output" / "models")

    monkeypatch.setenv(MODELS_CACHE_VARIABLE, "/elsewhere")
    run_checks(TestOptions(pytest_only=True, quick=True), runner, MemoryConsole(), tmp_path)
    assert runner.environments[1][MODELS_CACHE_VARIABLE] == "/elsewhere"
