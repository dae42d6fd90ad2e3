"""A full disk: jobs fail with `disk_full`, the queue pauses and says why, the database stays whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.studio import ROOT

# A file system of its own in a namespace of its own: nothing of it is left when the process ends.
IN_A_NAMESPACE = ("unshare", "--map-root-user", "--mount")


def _can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    probe = subprocess.run(
        [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        timeout=30,
        check=False,
    )
    return probe.returncode == 0


pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not _can_mount(), reason="needs Linux where `unshare --map-root-user --mount` may mount a tmpfs"
    ),
]


def scenario(folder: Path, name: str) -> dict[str, Any]:
    done = subprocess.run(
        [*IN_A_NAMESPACE, sys.executable, "-m", "tests.faults.full_disk", str(folder), name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_job_that_meets_a_full_disk_fails_so_and_pauses_the_queue_until_there_is_room(
    tmp_path: Path,
) -> None:
    found = scenario(tmp_path, "speech")
    assert found["failed"]["status"] == "failed"
    assert found["failed"]["error"]["code"] == "disk_full"
    assert found["failed"]["fallback_reason"] is None, "another engine would meet the same disk"
    assert found["queue"]["paused"] is True
    assert "disk is full" in found["queue"]["reason"]
    assert found["waiting"]["status"] == "queued", "nothing more is started"
    # After some space was freed and the queue resumed:
    assert found["waited"]["status"] == "completed"
    assert found["retried"]["status"] == "completed"
    assert found["integrity"] == "ok"


def test_a_disk_without_room_for_the_database_refuses_work_and_forgets_nothing(tmp_path: Path) -> None:
    found = scenario(tmp_path, "database")
    assert found["refused"] == [507, "disk_full"]
    assert found["health"] == 200
    assert found["known"] == found["acknowledged"], "what was acknowledged before is there"
    assert set(found["ended"]) == {"completed"}, "with room again everything goes on by itself"
    assert found["integrity"] == "ok"
