"""A draft becomes a final video: another engine, the same speech, the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.test_jobs_over_http import MissingEngine, RenderingEngine
from tests.integration.test_library_over_http import png
from tests.integration.test_voices_over_http import clone, until_match
from tests.support.studio import Studio, running_studio


async def promote(studio: Studio, job_id: str, key: str | None = None, **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return await studio.http.post(
        f"/api/jobs/{job_id}/promote", json={"quality": "best", **body}, headers=headers
    )


async def test_the_final_video_of_a_draft_takes_over_its_speech_its_seed_and_its_folder(
    tmp_path: Path,
) -> None:
    engine = RenderingEngine("my_engine")
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        folder = (await studio.http.post("/api/folders", json={"name": "f"})).json()["folder_id"]
        draft = await studio.submit(title="old", preferred_engine="draft")
        await studio.wait_for(draft)
        await studio.http.patch(
            f"/api/jobs/{draft}", json={"title": "new", "folder_id": folder, "starred": True}
        )
        answer = await promote(studio, draft, key="once", engine="my_engine")
        assert answer.status_code == 202, answer.text
        final_id = answer.json()["job_id"]
        assert answer.headers["location"] == f"/api/jobs/{final_id}"
        final, source = await studio.wait_for(final_id), await studio.view(draft)
        assert (final["status"], final["draft"], final["selected_engine"]) == (
            "completed",
            False,
            "my_engine",
        )
        assert (final["promoted_from"], final["retry_of"], final["requested_engine"]) == (
            draft,
            None,
            "my_engine",
        )
        assert (final["seed"], final["title"], final["folder_id"], final["starred"]) == (
            source["seed"],
            "new",
            folder,
            False,
        )
        assert len(studio.speech.seen) == 1, "nothing was spoken anew"
        assert source["status"] == "completed"
        assert source["draft"] is True

        again = await promote(studio, draft, key="once", engine="my_engine")
        assert (again.json()["job_id"], again.headers["idempotent-replayed"]) == (final_id, "true")
        other = await promote(studio, draft, key="once", engine="my_engine", preset="turbo")
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        request = (await studio.http.get(f"/api/jobs/{final_id}/request")).json()
        assert request["preferred_engine"] == "my_engine"

        assert (await studio.http.delete(f"/api/jobs/{draft}")).status_code == 204
        sound = await studio.http.get(f"/api/jobs/{final_id}/artifacts/audio.wav")
        assert sound.status_code == 200, "the speech belongs to the final video, too"


async def test_a_voice_that_was_enrolled_anew_since_is_heard_in_the_final_video(tmp_path: Path) -> None:
    async with running_studio(tmp_path, adapters=[RenderingEngine("my_engine")]) as studio:
        voice_id = (await clone(studio, tmp_path))["voice_id"]
        await until_match(studio, voice_id, "refined")
        portrait = await studio.http.post(
            "/api/avatars", files={"image_file": ("me.png", png(), "image/png")}
        )
        draft = await studio.submit(
            preferred_engine="draft", voice_id=voice_id, avatar_url=portrait.json()["avatar_id"]
        )
        await studio.wait_for(draft)
        spoken = [task.task for task in studio.speech.seen].count("speech")
        same = (await promote(studio, draft, engine="my_engine")).json()["job_id"]
        assert (await studio.wait_for(same))["status"] == "completed"
        assert [task.task for task in studio.speech.seen].count("speech") == spoken

        assert (await studio.http.post(f"/api/voices/{voice_id}/enrol")).status_code == 200
        await until_match(studio, voice_id, "refined")
        anew = (await promote(studio, draft, engine="my_engine")).json()["job_id"]
        assert (await studio.wait_for(anew))["status"] == "completed"
        assert [task.task for task in studio.speech.seen].count("speech") == spoken + 1

        assert (await studio.http.delete(f"/api/voices/{voice_id}")).status_code == 204
        last = (await promote(studio, draft, engine="my_engine")).json()["job_id"]
        assert (await studio.wait_for(last))["status"] == "completed"
        assert [task.task for task in studio.speech.seen].count("speech") == spoken + 1, (
            "what it said is kept"
        )


async def free(studio: Studio, rule: str) -> None:
    answer = await studio.http.post("/api/system/disk/reclaim", json={"what": [rule]})
    assert answer.status_code == 200, answer.text


async def refused_for_its_portrait(studio: Studio, draft: str) -> None:
    total = (await studio.http.get("/api/jobs")).json()["total"]
    answer = await promote(studio, draft, engine="my_engine")
    assert (answer.status_code, answer.json()["code"]) == (404, "avatar_not_found")
    assert (await studio.http.get("/api/jobs")).json()["total"] == total, "no job was made"


async def test_a_draft_whose_portrait_was_deleted_is_not_promoted(tmp_path: Path) -> None:
    async with running_studio(tmp_path, adapters=[RenderingEngine("my_engine")]) as studio:
        portrait = await studio.http.post(
            "/api/avatars", files={"image_file": ("me.png", png(), "image/png")}
        )
        avatar_id = portrait.json()["avatar_id"]
        draft = await studio.submit(preferred_engine="draft", avatar_url=avatar_id)
        await studio.wait_for(draft)
        final = (await promote(studio, draft, engine="my_engine")).json()["job_id"]
        assert (await studio.wait_for(final))["status"] == "completed"
        assert (await studio.http.delete(f"/api/avatars/{avatar_id}")).status_code == 204
        await refused_for_its_portrait(studio, draft)


async def test_a_draft_whose_picture_left_the_uploads_is_promoted_only_while_its_copy_is_kept(
    tmp_path: Path,
) -> None:
    async with running_studio(tmp_path, adapters=[RenderingEngine("my_engine")]) as studio:
        picture = studio.settings.uploads_dir / "me.png"
        picture.write_bytes(png())
        draft = await studio.submit(preferred_engine="draft", avatar_url="me.png")
        await studio.wait_for(draft)
        picture.unlink()
        final = (await promote(studio, draft, engine="my_engine")).json()["job_id"]
        assert (await studio.wait_for(final))["status"] == "completed"
        await free(studio, "intermediates")
        await refused_for_its_portrait(studio, draft)


async def test_a_promotion_that_cannot_work_is_refused_before_there_is_a_job(tmp_path: Path) -> None:
    async with running_studio(tmp_path, adapters=[MissingEngine("missing")]) as studio:
        draft = await studio.submit(preferred_engine="draft")
        await studio.wait_for(draft)
        failed = await studio.submit(preferred_engine="wan2gp")
        await studio.wait_for(failed)
        await studio.http.post("/api/queue/pause")
        waiting = await studio.submit()
        for job_id, body, wanted in (
            (draft, {}, (503, "engine_not_installed")),
            (draft, {"engine": "missing"}, (503, "engine_not_installed")),
            (draft, {"engine": "infinitetalk"}, (503, "engine_not_installed")),
            (draft, {"engine": "draft"}, (422, "validation_failed")),
            (draft, {"engine": "nobody"}, (422, "validation_failed")),
            (draft, {"quality": "draft"}, (422, "validation_failed")),
            (failed, {}, (409, "not_ready")),
            (waiting, {}, (409, "not_ready")),
            ("job_nonesuch0", {}, (404, "job_not_found")),
        ):
            answer = await promote(studio, job_id, **body)
            assert (answer.status_code, answer.json()["code"]) == wanted, (job_id, body)
            assert answer.json()["detail"]
        assert (await studio.http.get("/api/jobs")).json()["total"] == 3
