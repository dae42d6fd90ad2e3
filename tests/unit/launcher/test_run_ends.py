"""A run of the tests ends, also when a failed test left a thread that never does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from launcher.project import ROOT

LEAVES_A_THREAD = """
import threading

def test_that_leaves_a_thread():
    threading.Thread(target=threading.Event().wait, name="a database connection").start()
    assert {outcome}
"""


@pytest.mark.parametrize(("outcome", "status"), [("False", 1), ("True", 0)])
def test_a_thread_that_never_ends_does_not_keep_the_run(tmp_path: Path, outcome: str, status: int) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(LEAVES_A_THREAD.format(outcome=outcome))
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "-c", str(tmp_path / "pytest.ini"), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert "tests left threads running: a database connection" in ended.stderr
