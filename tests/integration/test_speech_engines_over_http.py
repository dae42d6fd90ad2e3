"""One speech engine after the other: plans, hops, reasons and what the result may be called."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import Readiness
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.media.ffmpeg import locate_ffmpeg
from tests.support.studio import Studio, running_studio
from tests.support.twin_speech_engine import MISSING, TwinSpeechEngine
from tests.support.twin_worker import write_tone


async def cloned_voice(studio: Studio, tmp_path: Path) -> str:
    sample = tmp_path / "sample.wav"
    write_tone(sample, 1.0)
    answer = await studio.http.post(
        "/api/voice/clone", files={"audio_file": ("me.wav", sample.read_bytes(), "audio/wav")}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["voice_id"])


def speech_hops(view: dict[str, Any]) -> list[tuple[str, str]]:
    return [(hop["engine"], hop["outcome"]) for hop in view["attempts"] if hop["stage"] == "speech"]


def crash() -> EngineFailure:
    return EngineFailure(ErrorCode.WORKER_CRASHED, "It crashed.")


def provenance(video: Path) -> dict[str, Any]:
    command = [str(locate_ffmpeg()), "-loglevel", "error", "-i", str(video), "-f", "ffmetadata", "-"]
    text = subprocess.run(
        command, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL
    ).stdout
    line = next(
        line.partition("=")[2]
        for line in text.decode().replace("\\\n", "\n").splitlines()
        if "ai_generated" in line
    )
    found: dict[str, Any] = json.loads(line.replace("\\", ""))
    return found


async def test_a_voice_of_ones_own_is_cloned_by_the_best_engine_that_is_there(tmp_path: Path) -> None:
    clone = TwinSpeechEngine()
    async with running_studio(tmp_path, speech_engines=[clone]) as studio:
        voice = await cloned_voice(studio, tmp_path)
        view = await studio.wait_for(
            await studio.submit(voice_id=voice, voice_settings={"pitch": 2, "speed": 1.1}, seed=7)
        )
        assert (view["status"], view["speech_engine"], view["fallback_reason"]) == (
            "completed",
            "twinclone",
            None,
        )
        assert view["notice_codes"] == ["draft", "voice_clone"]
        assert speech_hops(view) == [("twinclone", "succeeded")]
        (order,) = clone.seen
        assert (order.pitch, order.speed, order.seed, order.text) == (2.0, 1.1, 7, view["script_input"])
        result = await studio.http.get(view["artifacts"]["video"])
        (tmp_path / "video.mp4").write_bytes(result.content)
        told = provenance(tmp_path / "video.mp4")
        assert (told["speech_engine"], told["voice"]) == ("twinclone", "clone")


async def test_a_built_in_voice_is_spoken_by_the_built_in_engine_whatever_is_asked_for(
    tmp_path: Path,
) -> None:
    clone = TwinSpeechEngine()
    async with running_studio(tmp_path, speech_engines=[clone]) as studio:
        for asked, codes in (("auto", ["draft"]), ("twinclone", ["draft", "voice_fallback"])):
            view = await studio.wait_for(await studio.submit(speech_engine=asked))
            assert (view["speech_engine"], view["notice_codes"]) == ("builtin", codes)
            assert speech_hops(view) == [("builtin", "succeeded")]
        assert clone.seen == []


async def test_an_engine_that_fails_hands_over_with_its_reason(tmp_path: Path) -> None:
    first, second = TwinSpeechEngine("alpha", always=ErrorCode.GPU_OOM), TwinSpeechEngine("beta")
    second.fail_next(EngineFailure(ErrorCode.TIMEOUT, "It took too long."))
    async with running_studio(tmp_path, speech_engines=[first, second]) as studio:
        voice = await cloned_voice(studio, tmp_path)
        view = await studio.wait_for(await studio.submit(voice_id=voice))
        assert (view["status"], view["speech_engine"]) == ("completed", "builtin")
        # gpu_oom is worth a second try, a timeout is not.
        assert speech_hops(view) == [
            ("alpha", "failed"),
            ("alpha", "failed"),
            ("beta", "failed"),
            ("builtin", "succeeded"),
        ]
        assert view["fallback_reason"] == "Beta: It took too long. Voice match (approximate) takes over."
        assert view["notice_codes"] == ["draft", "voice_match", "voice_fallback"]
        assert "Alpha: It ends with gpu_oom. Beta: It took too long." in view["notice"]
        script = studio.speech.seen[-1]
        assert script.inputs["profile"].name == "profile.npz", "the match speaks"


async def test_a_crash_is_tried_once_more_and_then_is_forgiven(tmp_path: Path) -> None:
    clone = TwinSpeechEngine()
    clone.fail_next(crash())
    async with running_studio(tmp_path, speech_engines=[clone]) as studio:
        view = await studio.wait_for(await studio.submit(voice_id=await cloned_voice(studio, tmp_path)))
        assert (view["speech_engine"], view["fallback_reason"]) == ("twinclone", None)
        assert speech_hops(view) == [("twinclone", "failed"), ("twinclone", "succeeded")]
        assert view["notice_codes"] == ["draft", "voice_clone"]


async def test_an_engine_that_is_asked_for_and_not_there_is_skipped_with_its_reason(tmp_path: Path) -> None:
    async with running_studio(tmp_path, speech_engines=[TwinSpeechEngine(readiness=MISSING)]) as studio:
        voice = await cloned_voice(studio, tmp_path)
        view = await studio.wait_for(await studio.submit(voice_id=voice))
        assert (view["fallback_reason"], speech_hops(view)) == (None, [("builtin", "succeeded")])
        view = await studio.wait_for(await studio.submit(voice_id=voice, speech_engine="twinclone"))
        assert view["status"] == "completed"
        assert speech_hops(view) == [("twinclone", "skipped"), ("builtin", "succeeded")]
        assert view["fallback_reason"].startswith("Twinclone: It lies on no disk here.")
        view = await studio.wait_for(
            await studio.submit(voice_id=voice, speech_engine="twinclone", fallback={"allow": False})
        )
        assert (view["status"], view["error"]["code"]) == ("failed", "engine_not_installed")
        assert view["error"]["hint"] == "Install it."
        assert speech_hops(view) == [("twinclone", "skipped")]


async def test_an_engine_whose_model_is_missing_is_skipped_and_not_called_a_failure(tmp_path: Path) -> None:
    absent = Readiness("NOT_INSTALLED", ErrorCode.MODEL_MISSING, "Its model is not here.", "Download it.")
    async with running_studio(tmp_path, speech_engines=[TwinSpeechEngine(readiness=absent)]) as studio:
        voice = await cloned_voice(studio, tmp_path)
        view = await studio.wait_for(await studio.submit(voice_id=voice, speech_engine="twinclone"))
        assert speech_hops(view) == [("twinclone", "skipped"), ("builtin", "succeeded")]
        assert view["attempts"][0]["code"] == "model_missing"


async def test_an_engine_is_left_out_for_a_language_that_it_does_not_speak(tmp_path: Path) -> None:
    clone = TwinSpeechEngine(languages="zh")
    async with running_studio(tmp_path, speech_engines=[clone]) as studio:
        voice = await cloned_voice(studio, tmp_path)
        view = await studio.wait_for(await studio.submit(voice_id=voice))
        assert (view["speech_engine"], view["fallback_reason"]) == ("builtin", None)
        view = await studio.wait_for(await studio.submit(voice_id=voice, script_input="你好，世界。"))
        assert view["speech_engine"] == "twinclone"
        view = await studio.wait_for(await studio.submit(voice_id=voice, speech_engine="twinclone"))
        assert speech_hops(view) == [("twinclone", "failed"), ("builtin", "succeeded")]
        assert "does not speak this language" in view["fallback_reason"]


async def test_an_input_that_no_engine_could_use_ends_the_job(tmp_path: Path) -> None:
    clone = TwinSpeechEngine(always=ErrorCode.AUDIO_UNREADABLE)
    async with running_studio(tmp_path, speech_engines=[clone]) as studio:
        view = await studio.wait_for(await studio.submit(voice_id=await cloned_voice(studio, tmp_path)))
        assert (view["status"], view["error"]["code"]) == ("failed", "audio_unreadable")
        assert speech_hops(view) == [("twinclone", "failed")]
        assert view["speech_engine"] is None


async def test_a_retry_keeps_the_speech_and_what_it_may_be_called(tmp_path: Path) -> None:
    async with running_studio(tmp_path, speech_engines=[TwinSpeechEngine()]) as studio:
        job = await studio.submit(voice_id=await cloned_voice(studio, tmp_path))
        assert (await studio.wait_for(job))["status"] == "completed"
        answer = await studio.http.post(f"/api/jobs/{job}/retry")
        view = await studio.wait_for(answer.json()["job_id"])
        assert speech_hops(view) == []
        assert (view["speech_engine"], view["notice_codes"]) == ("twinclone", ["draft", "voice_clone"])


async def test_the_engines_are_listed_best_first_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    async with running_studio(tmp_path, speech_engines=[TwinSpeechEngine(readiness=MISSING)]) as studio:
        listed = (await studio.http.get("/api/speech/engines")).json()["data"]
        assert [(engine["name"], engine["ready"]) for engine in listed][-2:] == [
            ("twinclone", False),
            ("builtin", True),
        ]
        twin = listed[-2]
        assert (twin["state"], twin["code"], twin["fix"]) == (
            "NOT_INSTALLED",
            "engine_not_installed",
            "Install it.",
        )
        assert (twin["is_clone"], twin["languages"]) == (True, ["en", "zh"])
        voice = await cloned_voice(studio, tmp_path)
        view = (await studio.http.get(f"/api/voices/{voice}")).json()
        assert view["engine"] == "builtin"
        labels = {engine["engine"]: engine["label_en"] for engine in view["engines"]}
        assert labels["builtin"] == "Voice match (approximate)"
        names = [engine["title_en"] for engine in listed if engine["is_clone"] and not engine["ready"]]
        assert view["notice"].endswith(
            f"Once installed, one of these would truly clone it: {', '.join(names)}."
        )
        for body in ({"speech_engine": "nobody"}, {"voice_id": voice, "speech_engine": "nobody"}):
            answer = await studio.http.post(
                "/api/jobs",
                json={
                    "voice_id": "voice_builtinafheart",
                    "avatar_url": "avatar_builtinaria",
                    "script_input": "x",
                    **body,
                },
            )
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
            assert answer.json()["errors"][0]["field"] == "speech_engine"


@pytest.mark.parametrize("asked", ["auto", "twinclone"])
async def test_a_preview_falls_back_only_when_the_engine_was_not_named(tmp_path: Path, asked: str) -> None:
    clone = TwinSpeechEngine(always=ErrorCode.GPU_FAULT)
    async with running_studio(tmp_path, speech_engines=[clone]) as studio:
        voice = await cloned_voice(studio, tmp_path)
        answer = await studio.http.post(
            f"/api/voices/{voice}/preview", json={"text": "Hi", "speech_engine": asked, "pitch": -3}
        )
        if asked == "auto":
            assert answer.status_code == 200
            assert studio.speech.seen[-1].params["pitch"] == -3
        else:
            assert answer.json()["code"] == "gpu_fault"
        assert not list(studio.settings.work_dir.iterdir())
