"""Which Python an engine is built on: a right version, 64 bits, and C headers where an engine builds code at run time."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from installer import interpreters
from launcher.process import Outcome, SystemRunner
from tests.unit.launcher.twins import FakeRunner


def _answer(version: tuple[int, int, int], **more: Any) -> Outcome:
    return Outcome(0, (json.dumps({"version": version, "bits": 64, "path": "/py", "headers": True, **more}),))


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    monkeypatch.setattr(interpreters, "base_python", lambda: "own")
    monkeypatch.setattr(interpreters, "_commands", lambda minor: [[f"python{minor}"]])
    return FakeRunner({"own": _answer((3, 12, 1), path="/own")})


def test_the_favourite_version_is_taken_before_the_python_that_runs(runner: FakeRunner) -> None:
    runner.answers["python3.11"] = _answer((3, 11, 9), path="/usr/bin/python3.11")
    found = interpreters.find(("3.11", "3.12"), runner)
    assert found is not None
    assert (found.path, found.version) == ("/usr/bin/python3.11", "3.11.9")


def test_a_python_without_headers_is_passed_over_where_they_are_needed(runner: FakeRunner) -> None:
    runner.answers["python3.11"] = _answer((3, 11, 9), headers=False)
    assert interpreters.find(("3.11",), runner, headers=True) is None
    assert interpreters.find(("3.11",), runner) is not None
    runner.answers["own"] = _answer((3, 11, 2), headers=False)
    runner.answers["python3.11"] = _answer((3, 11, 9), path="/with/headers")
    found = interpreters.find(("3.11",), runner, headers=True)
    assert found is not None
    assert found.path == "/with/headers"


@pytest.mark.parametrize(
    "answer", [_answer((3, 11, 9), bits=32), Outcome(0, ("no json",)), Outcome(-1), _answer((3, 10, 1))]
)
def test_what_cannot_be_used_is_not_found(runner: FakeRunner, answer: Outcome) -> None:
    runner.answers["python3.11"] = answer
    assert interpreters.find(("3.11",), runner) is None


def test_this_python_says_what_it_is() -> None:
    found = interpreters.ask([sys.executable], SystemRunner())
    assert found is not None
    assert found.minor == f"{sys.version_info[0]}.{sys.version_info[1]}"
