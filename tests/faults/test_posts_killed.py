"""The service is killed while two hundred clients submit: what was answered exists afterwards."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.faults.lives import life
from tests.support.studio import job_body

CLIENTS = 200
POSTS_EACH = 2
# The kill falls when so many are acknowledged and the rest is on its way.
KILL_AFTER = 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL does not exist on Windows"),
]


def test_every_job_that_was_acknowledged_before_a_kill_exists_after_the_restart(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    enough = threading.Event()

    def client(base: str) -> None:
        with httpx.Client(base_url=base, trust_env=False, timeout=60) as http:
            for number in range(POSTS_EACH):
                try:
                    answer = http.post("/api/jobs", json=job_body(title=f"job {number}"))
                except httpx.TransportError:
                    return  # killed; this one was never answered
                if answer.status_code == 503:  # a busy database says so; nothing was promised
                    continue
                assert answer.status_code == 202, answer.text
                acknowledged.append(answer.json()["job_id"])
                if len(acknowledged) >= KILL_AFTER:
                    enough.set()

    with life(tmp_path) as first:
        # Paused: the jobs themselves are the business of other tests.
        first.http.post("/api/queue/pause", json={"reason": "test"})
        clients = [threading.Thread(target=client, args=(first.base,)) for _ in range(CLIENTS)]
        for thread in clients:
            thread.start()
        assert enough.wait(60)
        first.kill()
        for thread in clients:
            thread.join(60)
    assert KILL_AFTER <= len(acknowledged) < CLIENTS * POSTS_EACH, "the kill fell among the submissions"
    assert len(set(acknowledged)) == len(acknowledged)
    with life(tmp_path) as second:
        for job_id in acknowledged:
            view = second.view(job_id)
            assert (view["status"], len(view["stages"])) == ("queued", 4)
        assert second.http.get("/api/queue").json()["reason"] == "test", "the pause survives too"
