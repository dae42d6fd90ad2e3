"""The short form of the kill loop (benchmarks/kill_loop.py): a few kills, then every promise is counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.kill_loop import run_loop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL does not exist on Windows"),
]

KILLS = 6


def test_kills_at_random_moments_lose_no_job_make_none_twice_and_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    ledger, found = run_loop(tmp_path, kills=KILLS, twins=True, seed=20261122)
    assert found.broken == []
    assert ledger.counts["kills"] == KILLS
    assert found.acknowledged >= KILLS
    assert found.states["succeeded"] > 0
