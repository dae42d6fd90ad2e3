"""`POST /api/jobs/estimate` over HTTP: the same refusals as for a job, nothing stored, and what past videos taught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.engines.gpu_pool import GpuFacts
from tests.support.studio import job_body, running_studio

CARD = GpuFacts(0, "GPU-1", "Some card", total_mib=24_000, free_mib=20_000, compute_capability=(8, 9))


async def test_an_estimate_answers_and_leaves_no_job_behind(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.post("/api/jobs/estimate", json=job_body(preferred_engine="draft"))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert (found["fits"], found["engine"], found["reasons"]) == (True, "draft", [])
        assert found["speech_seconds"] == pytest.approx(1.6)
        assert (found["basis"], found["runs"], found["missing_models"]) == ("table", 0, [])
        assert found["disk_free_bytes"] > 0
        assert (await studio.http.get("/api/jobs")).json()["data"] == []
        assert studio.draft.seen == []
        assert studio.speech.seen == []


async def test_an_engine_that_is_not_installed_is_told_with_what_it_would_need(tmp_path: Path) -> None:
    async with running_studio(tmp_path, gpus=(CARD,)) as studio:
        body = job_body(preferred_engine="wan2gp", wangp_model="Wan Multitalk")
        found = (await studio.http.post("/api/jobs/estimate", json=body)).json()
    assert (found["fits"], found["engine"], found["wangp_model"]) == (False, "wan2gp", "Wan Multitalk")
    assert "engine_not_installed" in [reason["code"] for reason in found["reasons"]]
    assert found["missing_models"] == ["wan2gp-core", "wan2gp-multitalk"]
    assert found["vram_free_mib"] == 20_000
    assert found["disk_needed_bytes"] > 30_000_000_000, "the models count"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"script_input": "  "}, 422, "validation_failed"),
        ({"script_input": "x" * 20_001}, 422, "validation_failed"),
        ({"voice_id": "voice_nobody00"}, 404, "voice_not_found"),
        ({"avatar_url": "avatar_nobody00"}, 404, "avatar_not_found"),
        ({"avatar_url": "http://127.0.0.1/x.png"}, 422, "fetch_refused"),
        ({"preferred_engine": "nothing"}, 422, "validation_failed"),
        ({"speech_engine": "nothing"}, 422, "validation_failed"),
        ({"wangp_model": "Wan 9"}, 422, "validation_failed"),
    ],
)
async def test_what_a_job_would_be_refused_for_an_estimate_is_refused_for(
    tmp_path: Path, changes: dict[str, Any], status: int, code: str
) -> None:
    async with running_studio(tmp_path) as studio:
        body = job_body(**changes)
        asked = await studio.http.post("/api/jobs/estimate", json=body)
        made = await studio.http.post("/api/jobs", json=body)
    assert (asked.status_code, asked.json()["code"]) == (status, code)
    assert (made.status_code, made.json()["code"], made.json()["detail"]) == (
        status,
        code,
        asked.json()["detail"],
    )


async def test_the_estimate_of_a_second_video_rests_on_the_first(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        body = job_body(preferred_engine="draft")
        job_id = await studio.submit(preferred_engine="draft")
        assert (await studio.wait_for(job_id))["status"] == "completed"
        found = (await studio.http.post("/api/jobs/estimate", json=body)).json()
        other = (
            await studio.http.post("/api/jobs/estimate", json={**body, "output": {"resolution": "720p"}})
        ).json()
    assert (found["basis"], found["runs"]) == ("measured", 1)
    assert found["minutes"] is not None
    assert (other["basis"], other["runs"]) == ("table", 0)


async def test_estimate_is_no_id_of_a_job(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.get("/api/jobs/estimate")
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
