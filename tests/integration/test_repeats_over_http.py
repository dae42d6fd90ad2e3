"""Requests that come twice under one Idempotency-Key, over HTTP."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests.integration.test_voices_over_http import clone
from tests.support.studio import Studio, job_body, running_studio


async def own_avatar(studio: Studio) -> str:
    picture = io.BytesIO()
    Image.new("RGB", (300, 300), "white").save(picture, "PNG")
    answer = await studio.http.post("/api/avatars", files={"image_file": ("me.png", picture.getvalue())})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["avatar_id"])


async def test_a_repeat_finds_its_job_although_what_it_named_was_deleted_since(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        avatar_id = await own_avatar(studio)
        body, key = job_body(avatar_url=avatar_id), {"Idempotency-Key": "one"}
        first = await studio.http.post("/api/jobs", json=body, headers=key)
        await studio.wait_for(first.json()["job_id"])
        assert (await studio.http.delete(f"/api/avatars/{avatar_id}")).status_code == 204
        again = await studio.http.post("/api/jobs", json=body, headers=key)
        assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
        assert again.headers["idempotent-replayed"] == "true"
        other = await studio.http.post("/api/jobs", json={**body, "title": "x"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        fresh = await studio.http.post("/api/jobs", json=body, headers={"Idempotency-Key": "two"})
        assert (fresh.status_code, fresh.json()["code"]) == (404, "avatar_not_found")


async def test_a_retry_that_is_sent_twice_makes_one_job(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        key, address = {"Idempotency-Key": "again"}, f"/api/jobs/{job_id}/retry"
        first = await studio.http.post(address, headers=key)
        again = await studio.http.post(address, headers=key)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["job_id"] == again.json()["job_id"] != job_id
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        other = await studio.http.post(address, json={"from": "start"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        as_job = await studio.http.post("/api/jobs", json=job_body(), headers=key)
        assert (as_job.status_code, as_job.json()["code"]) == (409, "idempotency_conflict")
        await studio.wait_for(first.json()["job_id"])


async def test_a_repeated_retry_is_answered_after_the_job_it_repeats_is_gone(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        key, address = {"Idempotency-Key": "again"}, f"/api/jobs/{job_id}/retry"
        first = await studio.http.post(address, headers=key)
        await studio.wait_for(first.json()["job_id"])
        assert (await studio.http.delete(f"/api/jobs/{job_id}")).status_code == 204
        again = await studio.http.post(address, headers=key)
        assert again.json()["job_id"] == first.json()["job_id"]


async def refused(studio: Studio, job_id: str, code: str, **body: str) -> None:
    total = (await studio.http.get("/api/jobs")).json()["total"]
    answer = await studio.http.post(f"/api/jobs/{job_id}/retry", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, code), answer.text
    assert answer.json()["hint"]
    assert (await studio.http.get("/api/jobs")).json()["total"] == total, "no job was made"


async def test_a_retry_that_would_miss_its_portrait_is_refused_at_once(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        avatar_id = await own_avatar(studio)
        job_id = await studio.submit(avatar_url=avatar_id)
        await studio.wait_for(job_id)
        key, address = {"Idempotency-Key": "again"}, f"/api/jobs/{job_id}/retry"
        first = (await studio.http.post(address, headers=key)).json()["job_id"]
        await studio.wait_for(first)
        await studio.http.post("/api/queue/pause")
        waiting = await studio.submit(avatar_url=avatar_id)
        await studio.http.post(f"/api/jobs/{waiting}/cancel")
        assert (await studio.http.delete(f"/api/avatars/{avatar_id}")).status_code == 204
        again = await studio.http.post(address, headers=key)
        assert again.json()["job_id"] == first, "a repeat is answered whatever was deleted"
        await refused(studio, job_id, "avatar_not_found")
        await refused(studio, job_id, "avatar_not_found", **{"from": "start"})
        await refused(studio, waiting, "avatar_not_found")


async def test_a_picture_of_the_uploads_is_needed_again_only_by_a_retry_from_the_start(
    tmp_path: Path,
) -> None:
    async with running_studio(tmp_path) as studio:
        picture = studio.settings.uploads_dir / "me.png"
        Image.new("RGB", (300, 300), "white").save(picture, "PNG")
        job_id = await studio.submit(avatar_url="me.png")
        await studio.wait_for(job_id)
        picture.unlink()
        again = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        assert (await studio.wait_for(again))["status"] == "completed"
        await refused(studio, job_id, "avatar_not_found", **{"from": "start"})


async def test_a_voice_that_was_deleted_is_missed_only_by_a_retry_that_speaks(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        job_id = await studio.submit(voice_id=voice_id)
        await studio.wait_for(job_id)
        assert (await studio.http.delete(f"/api/voices/{voice_id}")).status_code == 204
        again = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        assert (await studio.wait_for(again))["status"] == "completed"
        await refused(studio, job_id, "voice_not_found", **{"from": "start"})


async def test_a_retry_makes_anew_what_somebody_removed_by_hand(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        folder = studio.settings.outputs_dir / job_id
        for name, stages in (("audio.wav", ["speech", "video"]), ("script.json", ["speech", "video"])):
            path = folder / name
            path.write_bytes(path.read_bytes()[:-1])
            again = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
            view = await studio.wait_for(again)
            assert (view["status"], view["error"]) == ("completed", None)
            assert [attempt["stage"] for attempt in view["attempts"]] == stages
        (folder / "video.mp4").unlink()
        told = await studio.http.get(f"/api/jobs/{job_id}/result")
        assert (told.status_code, told.json()["hint"]) == (410, "Retry the job to make it again.")
        for path in folder.iterdir():
            path.unlink()
        again = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        assert (await studio.wait_for(again))["status"] == "completed"


async def test_a_portrait_or_a_voice_whose_file_was_removed_by_hand_makes_no_job(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        avatar_id = await own_avatar(studio)
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        for file in studio.settings.uploads_dir.rglob("*"):
            if file.is_file():
                file.unlink()
        for body, code in (
            (job_body(avatar_url=avatar_id), "avatar_not_found"),
            (job_body(voice_id=voice_id), "voice_not_found"),
        ):
            for path in ("/api/jobs", "/api/jobs/estimate"):
                answer = await studio.http.post(path, json=body)
                assert (answer.status_code, answer.json()["code"]) == (404, code), answer.text
                assert "no longer on the disk" in answer.json()["detail"]
                assert answer.json()["hint"]
        assert (await studio.http.get("/api/jobs")).json()["total"] == 0
