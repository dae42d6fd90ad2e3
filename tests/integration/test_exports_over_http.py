"""Many videos as one ZIP: complete, of the announced length, and nothing that was deleted."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from backend.services import export_service
from backend.utils.zip_stream import ZipEntry, ZipSourceChanged
from tests.support.served import serving
from tests.support.studio import TERMINAL, job_body, running_studio


async def test_videos_and_what_belongs_to_them_come_as_one_archive(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        ids = [await studio.submit(title=title) for title in ("六月/公告", "六月_公告", "")]
        for job_id in ids:
            assert (await studio.wait_for(job_id))["status"] == "completed"
        parts = ["video", "audio", "subtitles", "thumbnail", "provenance"]
        answer = await studio.http.post("/api/exports", json={"job_ids": [*ids, ids[0]], "include": parts})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/zip"
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers["content-disposition"].startswith(
            'attachment; filename="export.zip"; filename*=UTF-8'
        )
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            stems = ["六月_公告", "六月_公告 (2)", ids[2]]
            endings = (".mp4", ".provenance.json", ".wav", ".srt", ".vtt", ".jpg")
            assert archive.namelist() == [stem + ending for stem in stems for ending in endings]
            video = await studio.http.get(f"/api/jobs/{ids[1]}/result")
            assert archive.read("六月_公告 (2).mp4") == video.content
            told = json.loads(archive.read(f"{ids[2]}.provenance.json"))
            assert (told["ai_generated"], told["engine"], told["job_id"]) == (True, "draft", ids[2])

        one = await studio.http.post("/api/exports", json={"job_ids": [ids[0]]})
        assert "%E5%85%AD%E6%9C%88_%E5%85%AC%E5%91%8A.zip" in one.headers["content-disposition"]
        with zipfile.ZipFile(io.BytesIO(one.content)) as archive:
            assert archive.namelist() == ["六月_公告.mp4"]


async def test_what_cannot_be_exported_is_named_before_the_first_byte(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        done = await studio.submit(output={"subtitles": "none"})
        deleted = await studio.submit()
        for job_id in (done, deleted):
            await studio.wait_for(job_id)
        await studio.http.delete(f"/api/jobs/{deleted}")
        failed = await studio.submit(preferred_engine="wan2gp")
        await studio.wait_for(failed)
        for job_ids, include, wanted, named in (
            ([done, "job_nonesuch0"], ["video"], (404, "job_not_found"), "job_nonesuch0"),
            ([done, deleted], ["video"], (410, "gone"), deleted),
            ([done, failed], ["video"], (409, "not_ready"), failed),
            ([done], ["subtitles"], (409, "not_ready"), "None of these"),
            ([], ["video"], (422, "validation_failed"), "job_ids"),
            ([done] * 201, ["video"], (422, "validation_failed"), "job_ids"),
            ([done], ["secrets"], (422, "validation_failed"), "include"),
        ):
            answer = await studio.http.post("/api/exports", json={"job_ids": job_ids, "include": include})
            assert (answer.status_code, answer.json()["code"]) == wanted, answer.text
            assert named in answer.json()["detail"]

        video = studio.settings.outputs_dir / done / "video.mp4"
        kept = video.read_bytes()
        video.unlink()
        secret = tmp_path / "secret"
        secret.write_bytes(kept)
        for put_there in (lambda: None, lambda: video.symlink_to(secret), lambda: video.unlink()):
            put_there()
            answer = await studio.http.post("/api/exports", json={"job_ids": [done]})
            assert (answer.status_code, answer.json()["code"]) == (410, "gone")


def test_an_archive_whose_file_goes_away_is_broken_off_and_never_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def half(entries: list[ZipEntry]) -> AsyncIterator[bytes]:
        yield b"PK"
        raise ZipSourceChanged(f"{entries[0].name} is shorter than it was")

    monkeypatch.setattr(export_service, "zip_stream", half)
    with serving(tmp_path) as served, httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
        job_id = http.post("/api/jobs", json=job_body(preferred_engine="draft")).json()["job_id"]
        while http.get(f"/api/jobs/{job_id}").json()["status"] not in TERMINAL:
            pass
        with pytest.raises(httpx.RemoteProtocolError):
            http.post("/api/exports", json={"job_ids": [job_id]})
        assert http.get("/health").status_code == 200
