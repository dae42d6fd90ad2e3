"""`test.sh` runs every check and fails when one of them does."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.errors import Exit
from launcher.process import Outcome
from launcher.testing import IN_PARALLEL, MODELS_CACHE_VARIABLE, TestOptions, checks, run_checks
from tests.unit.launcher.twins import FakeRunner, MemoryConsole


def names(options: TestOptions, root: Path) -> list[str]:
    return [check.name for check in checks(root, options)]


def test_everything_is_checked_and_pytest_has_the_last_word(tmp_path: Path) -> None:
    runner, console = FakeRunner(), MemoryConsole()

    assert run_checks(TestOptions(), runner, console, tmp_path) == Exit.OK

    assert [call[2] for call in runner.calls] == ["ruff", "ruff", "mypy", "pytest"]
    assert console.text.splitlines()[-1] == "[..] pytest"


@pytest.mark.parametrize("broken", ["check", "--check", "mypy", "pytest"])
def test_one_failed_check_fails_the_run_and_the_others_still_run(tmp_path: Path, broken: str) -> None:
    runner, console = FakeRunner({broken: Outcome(1)}), MemoryConsole()

    assert run_checks(TestOptions(), runner, console, tmp_path) == Exit.FAILED

    assert len(runner.calls) == 4
    assert "failed" in console.err.getvalue()


def test_a_pytest_that_collects_nothing_fails_the_run(tmp_path: Path) -> None:
    assert (
        run_checks(TestOptions(), FakeRunner({"pytest": Outcome(5)}), MemoryConsole(), tmp_path)
        == Exit.FAILED
    )


def test_the_quick_tier_leaves_out_slow_and_browser_tests(tmp_path: Path) -> None:
    quick = checks(tmp_path, TestOptions(quick=True))[-1].arguments
    assert quick[quick.index("pytest") + 1 :] == (*IN_PARALLEL, "-m", "not slow and not e2e")
    assert "-m" not in checks(tmp_path, TestOptions())[-1].arguments[2:]


def test_other_arguments_go_to_pytest(tmp_path: Path) -> None:
    options = TestOptions(pytest_arguments=("-k", "voice", "tests/unit"))
    assert checks(tmp_path, options)[-1].arguments[-3:] == ("-k", "voice", "tests/unit")


def test_only_pytest_runs_where_only_pytest_is_asked_for(tmp_path: Path) -> None:
    assert names(TestOptions(pytest_only=True), tmp_path) == ["pytest"]


def test_the_speech_model_of_the_tests_is_made_once_in_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MODELS_CACHE_VARIABLE, raising=False)
    runner = FakeRunner()
    run_checks(TestOptions(pytest_only=True), runner, MemoryConsole(), tmp_path)
    assert runner.environments[0][MODELS_CACHE_VARIABLE] == str(tmp_path / ".test-output" / "models")

    monkeypatch.setenv(MODELS_CACHE_VARIABLE, "/elsewhere")
    run_checks(TestOptions(pytest_only=True), runner, MemoryConsole(), tmp_path)
    assert runner.environments[1][MODELS_CACHE_VARIABLE] == "/elsewhere"
