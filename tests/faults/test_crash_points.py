"""The service dies at chosen points between two steps; at the next start the job goes on and ends once."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from tests.faults.lives import Life, audit_of, life
from tests.integration.test_library_over_http import png
from tests.support.twin_worker import write_tone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL does not exist on Windows"),
]

POINTS = {
    "in the transaction of the claim": "sql:INSERT INTO job_events:2",
    "between claim and its announcement": "told:started:1",
    "between claim and the start of any work": "sql:UPDATE stages SET state = 'running':1",
    "between claim and the worker of the speech": "sql:INSERT INTO attempts:1",
    "between the speech and its rows": "renamed:/audio.wav:1",
    "between claim and the worker of the video": "sql:INSERT INTO attempts:2",
    "between the picture and its rows": "renamed:/silent.mp4:1",
    "between the result and its rows": "renamed:/video.mp4:1",
    "in the transaction of the result": "sql:UPDATE jobs SET state = 'succeeded':1",
    "between commit and publish of the result": "told:completed:1",
}


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_job_whose_service_died_at_any_step_ends_once_with_one_result(tmp_path: Path, point: str) -> None:
    with life(tmp_path, "--die", point) as first:
        promised = first.submit(key="the-job")
        first.dies_of_itself()
    with life(tmp_path) as second:
        job_id = second.submit(key="the-job")
        assert job_id is not None
        assert promised in (None, job_id), "None: it died before its answer was sent"
        view = second.end_of(job_id)
        assert view["status"] == "completed", view
        made = [hop["stage"] for hop in view["attempts"] if hop["outcome"] == "succeeded"]
        assert made == ["speech", "video"], "what was finished is not made again"
        assert second.http.get(f"/api/jobs/{job_id}/result").status_code == 200
    assert audit_of(tmp_path, job_id).broken == []


def test_a_cancel_that_was_acknowledged_before_the_death_is_kept(tmp_path: Path) -> None:
    with life(tmp_path, "--engine", "unruly:holds_the_gil") as first:
        job_id = first.submit(preferred_engine="fixture")
        assert job_id is not None
        first.until(lambda: first.view(job_id)["stage"] == "video", "the video stage")
        assert first.http.post(f"/api/jobs/{job_id}/cancel").json()["status"] == "cancelling"
        first.kill()
    with life(tmp_path) as second:
        assert second.view(job_id)["status"] == "cancelled"
    # One more start tidies what the dead life had made for it.
    with life(tmp_path) as third:
        third.until(lambda: audit_of(tmp_path, job_id).orphan_files == 0, "the files are tidied")
    assert audit_of(tmp_path, job_id).broken == []


@pytest.mark.parametrize(
    ("point", "exists"),
    [("sql:INSERT INTO jobs :1", False), ("told:queued:1", True)],
    ids=["before", "after"],
)
def test_a_submission_without_an_answer_is_whole_or_not_there_and_its_key_gives_one_job(
    tmp_path: Path, point: str, exists: bool
) -> None:
    with life(tmp_path, "--die", point) as first:
        assert first.submit(key="order-1") is None
        first.dies_of_itself()
    with life(tmp_path) as second:
        listed = [job["job_id"] for job in second.http.get("/api/jobs").json()["data"]]
        assert len(listed) == int(exists)
        job_id = second.submit(key="order-1")
        assert job_id is not None
        assert listed in ([], [job_id])
        assert second.submit(key="order-1") == job_id
        assert second.end_of(job_id)["status"] == "completed"
    assert audit_of(tmp_path, job_id).broken == []


def test_a_job_that_was_lost_with_three_services_is_given_up_and_the_queue_goes_on(tmp_path: Path) -> None:
    job_id: str | None = None
    for number in range(3):
        dying = Life(tmp_path, "--die", "told:started:1")
        try:
            if number == 0:
                dying.until(dying.is_up, "the first answer")
                job_id = dying.submit()
            # Later lives claim the job as soon as they are up, perhaps before they answer anybody.
            dying.dies_of_itself()
        finally:
            dying.kill()
            dying.http.close()
    with life(tmp_path) as last:
        if job_id is None:
            # The first life died between the commit and its answer: the job is there all the same.
            job_id = last.http.get("/api/jobs").json()["data"][-1]["job_id"]
        view = last.view(job_id)
        assert (view["status"], view["error"]["code"]) == ("failed", "worker_lost")
        assert view["error"]["hint"]
        other = last.submit()
        assert other is not None
        assert last.end_of(other)["status"] == "completed"
    assert audit_of(tmp_path, job_id, other).broken == []


def test_a_service_that_died_while_starting_starts_the_next_time(tmp_path: Path) -> None:
    for statement in (1, 12, 60):
        dying = Life(tmp_path, "--die", f"sql::{statement}")
        dying.dies_of_itself()
        dying.http.close()
    with life(tmp_path) as alive:
        job_id = alive.submit()
        assert job_id is not None
        assert alive.end_of(job_id)["status"] == "completed"
    assert audit_of(tmp_path, job_id).broken == []


@pytest.mark.parametrize(
    ("address", "point"),
    [
        ("/api/avatars", "renamed:/uploads/:1"),
        ("/api/avatars", "sql:INSERT INTO avatars:1"),
        ("/api/voice/clone", "renamed:/uploads/:1"),
        ("/api/voice/clone", "sql:INSERT INTO voices:1"),
    ],
)
def test_an_upload_that_was_never_answered_leaves_no_file_and_no_row(
    tmp_path: Path, address: str, point: str
) -> None:
    tone = tmp_path / "tone.wav"
    write_tone(tone, 4.0)
    files = (
        {"image_file": ("me.png", png())}
        if "avatars" in address
        else {"audio_file": ("me.wav", tone.read_bytes())}
    )
    with life(tmp_path, "--die", point) as first:
        with pytest.raises(httpx.TransportError):
            first.http.post(address, files=files, data={"consent": "true"})
        first.dies_of_itself()
    with life(tmp_path) as second:
        for listing in ("/api/avatars", "/api/voices"):
            assert all(item["builtin"] for item in second.http.get(listing).json()["data"])
        second.until(lambda: audit_of(tmp_path).broken == [], "what was left is tidied at the start")
        assert second.http.post(address, files=files, data={"consent": "true"}).is_success
    assert audit_of(tmp_path).broken == []
