"""The quality report of a finished video: figures of the file itself, and nothing that was not measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.integration.test_jobs_over_http import RenderingEngine
from tests.support.studio import running_studio


async def test_a_finished_video_has_a_report_of_its_own_file(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        view = await studio.wait_for(job_id)
        assert view["artifacts"]["report"] == f"/api/jobs/{job_id}/artifacts/report.json"
        report = (await studio.http.get(f"/api/jobs/{job_id}/report")).json()
        assert (await studio.http.get(view["artifacts"]["report"])).json() == report
        video = (await studio.http.get(f"/api/jobs/{job_id}/result")).content
        assert (report["job_id"], report["size_bytes"], report["sha256"]) == (
            job_id,
            len(video),
            hashlib.sha256(video).hexdigest(),
        )
        assert (report["video_codec"], report["audio_codec"], report["sample_rate"]) == ("h264", "aac", 48000)
        assert report["frames"] == round(report["fps"] * report["video_seconds"])
        assert abs(report["length_difference_seconds"]) <= 0.2
        assert abs(report["bitrate_kbps"] - len(video) * 8 / 1000 / report["video_seconds"]) < 50
        assert report["loudness_lufs"] < 0
        assert 0 <= report["silence_share"] <= 1
        assert report["unmeasured"] == []
        assert (report["engine"], report["speech_engine"], report["draft"]) == ("draft", "builtin", True)
        assert [(a["stage"], a["outcome"]) for a in report["attempts"]] == [
            ("speech", "succeeded"),
            ("video", "succeeded"),
        ]
        assert "draft" in report["warnings"]
        assert "not_measured" not in report["warnings"]


async def test_a_job_without_a_video_has_no_report(tmp_path: Path) -> None:
    async with running_studio(tmp_path, adapters=[RenderingEngine("my_engine")]) as studio:
        await studio.http.post("/api/queue/pause")
        waiting = await studio.submit()
        for job_id, wanted in (
            (waiting, (409, "not_ready")),
            ("job_nonesuch0", (404, "job_not_found")),
        ):
            answer = await studio.http.get(f"/api/jobs/{job_id}/report")
            assert (answer.status_code, answer.json()["code"]) == wanted
        await studio.http.post("/api/queue/resume")
        await studio.wait_for(waiting)
        (studio.settings.outputs_dir / waiting / "report.json").unlink()
        gone = await studio.http.get(f"/api/jobs/{waiting}/report")
        assert (gone.status_code, gone.json()["code"]) == (410, "gone")
