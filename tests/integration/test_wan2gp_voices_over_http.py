"""Wan2GP's voices as callers see them: listed with what is missing, speaking a job, and falling back with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from tests.support.studio import Studio, running_studio
from tests.support.twin_worker import TwinWorker, write_tone
from tests.support.wan2gp_home import install_wan2gp, lay_weights, tiny_catalogue

NAMES = ("wan2gp_qwen3_tts", "wan2gp_index_tts", "wan2gp_chatterbox", "wan2gp_omnivoice")
QWEN = NAMES[0]


async def engines(studio: Studio) -> dict[str, dict[str, Any]]:
    answer = await studio.http.get("/api/speech/engines")
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["data"]}


async def own_voice(studio: Studio, folder: Path) -> str:
    write_tone(folder / "sample.wav", 1.0)
    answer = await studio.http.post(
        "/api/voice/clone",
        files={"audio_file": ("me.wav", (folder / "sample.wav").read_bytes(), "audio/wav")},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["voice_id"])


def hops(view: dict[str, Any]) -> list[tuple[str, str]]:
    return [(hop["engine"], hop["outcome"]) for hop in view["attempts"] if hop["stage"] == "speech"]


async def test_all_four_are_listed_with_what_is_missing_and_how_to_mend_it(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        found = await engines(studio)
        assert [name for name in found if name.startswith("wan2gp")] == list(NAMES)
        order = list(found)
        assert order.index("voxcpm") < order.index(QWEN) < order.index(NAMES[3]) < order.index("moss_nano")
        for name in NAMES:
            one = found[name]
            assert (one["ready"], one["state"], one["code"]) == (
                False,
                "NOT_INSTALLED",
                "engine_not_installed",
            )
            assert "install_wan2gp" in one["fix"]
            assert one["is_clone"] is True
            assert {"zh", "en"} <= set(one["languages"])
            assert "WanGP" in one["disclosure"]
            assert "imitates a real voice" in one["disclosure"]
            assert one["title_en"] != one["title_zh"]
        assert set(found["wan2gp_chatterbox"]["languages"]) == {"en", "zh"}
        assert "commercial" in found["wan2gp_omnivoice"]["disclosure"]
        assert found["wan2gp_omnivoice"]["licence"] == "CC-BY-NC-4.0"
        assert "bilibili" in found["wan2gp_index_tts"]["disclosure"]


async def test_without_weights_it_says_which_and_with_them_it_is_ready(tmp_path: Path) -> None:
    models = tiny_catalogue()
    lay_weights(tmp_path, models, "wan2gp-core", "wan2gp-omnivoice")
    async with running_studio(tmp_path, engines_dir=install_wan2gp(tmp_path), catalogue=models) as studio:
        found = await engines(studio)
        assert found["wan2gp_omnivoice"]["ready"] is True
        qwen = found[QWEN]
        assert (qwen["ready"], qwen["code"]) == (False, "model_missing")
        assert "POST /api/models/wan2gp-qwen3-tts/download" in qwen["fix"]
        assert "wan2gp-core" not in qwen["fix"]


async def test_a_job_is_spoken_by_the_voice_that_is_asked_for_and_says_so(tmp_path: Path) -> None:
    models = tiny_catalogue()
    lay_weights(tmp_path, models, "wan2gp-core", "wan2gp-qwen3-tts", "wan2gp-index-tts")
    twin = TwinWorker("wan2gp")
    async with running_studio(
        tmp_path, engines_dir=install_wan2gp(tmp_path), catalogue=models, workers={"wan2gp": twin}
    ) as studio:
        voice = await own_voice(studio, tmp_path)
        for asked, speaks in ((QWEN, QWEN), ("wan2gp_index_tts", "wan2gp_index_tts"), ("auto", QWEN)):
            view = await studio.wait_for(
                await studio.submit(voice_id=voice, speech_engine=asked, preferred_engine="draft")
            )
            assert (view["status"], view["speech_engine"], view["fallback_reason"]) == (
                "completed",
                speaks,
                None,
            )
            assert hops(view) == [(speaks, "succeeded")]
            assert "voice_clone" in view["notice_codes"]
        spoken = [request for request in twin.seen if request.task == "speech"]
        assert [request.params["model"] for request in spoken] == [QWEN, "wan2gp_index_tts", QWEN]
        assert [request.model for request in spoken] == [QWEN, "wan2gp_index_tts", QWEN]
        assert all(request.inputs["reference"].name for request in spoken)
        assert twin.warmed == 0


async def test_one_that_is_not_installed_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        voice = await own_voice(studio, tmp_path)
        view = await studio.wait_for(
            await studio.submit(voice_id=voice, speech_engine=QWEN, preferred_engine="draft")
        )
        assert view["status"] == "completed"
        assert hops(view) == [(QWEN, "skipped"), ("builtin", "succeeded")]
        assert "Wan2GP is not installed" in view["fallback_reason"]


async def test_memory_that_is_not_enough_lets_the_next_voice_speak(tmp_path: Path) -> None:
    models = tiny_catalogue()
    lay_weights(tmp_path, models, "wan2gp-core", "wan2gp-qwen3-tts", "wan2gp-omnivoice")
    twin = TwinWorker("wan2gp")
    oom = [EngineFailure(ErrorCode.GPU_OOM, "The GPU's memory was not enough.") for _ in range(2)]
    twin.fail_next(*oom)
    async with running_studio(
        tmp_path, engines_dir=install_wan2gp(tmp_path), catalogue=models, workers={"wan2gp": twin}
    ) as studio:
        voice = await own_voice(studio, tmp_path)
        view = await studio.wait_for(await studio.submit(voice_id=voice, preferred_engine="draft"))
        assert (view["status"], view["speech_engine"]) == ("completed", "wan2gp_omnivoice")
        assert hops(view) == [(QWEN, "failed"), (QWEN, "failed"), ("wan2gp_omnivoice", "succeeded")]
        assert "memory" in view["fallback_reason"]
