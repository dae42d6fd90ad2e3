"""Off loopback, a whole process without a usable key does not start, and says why."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.studio import running_studio

ROOT = Path(__file__).resolve().parents[2]
# uvicorn's own: the lifespan failed.
EXIT_STARTUP_FAILED = 3


def started(folder: Path) -> subprocess.CompletedProcess[str]:
    """The service as people start it by hand, on a documentation address that no machine has."""
    env = os.environ | {
        "HOST": "192.0.2.1",
        "DATA_DIR": str(folder / "data"),
        "LOGS_DIR": str(folder / "logs"),
    }
    command = [sys.executable, "-m", "uvicorn", "backend.main:app", "--host", "127.0.0.1", "--port", "0"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.parametrize("row", ["{}", '{"sha256": "not hex"}', '{"sha256": "00"}'])
async def test_a_service_that_cannot_read_its_key_says_why_and_does_not_start(
    tmp_path: Path, row: str
) -> None:
    async with running_studio(tmp_path):
        pass
    database = sqlite3.connect(tmp_path / "data" / "sqlite.db")
    database.execute("INSERT INTO settings_kv (key, value_json, updated_at) VALUES ('api_key', ?, 0)", (row,))
    database.commit()
    database.close()
    assert json.loads(row) is not None
    ended = started(tmp_path)
    assert ended.returncode == EXIT_STARTUP_FAILED
    assert "The stored key of this service is damaged." in ended.stderr
    assert "aio_" not in ended.stderr, "no new key in place of the one that people have"
