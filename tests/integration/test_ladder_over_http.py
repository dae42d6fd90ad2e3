"""An engine that runs out of the card's memory: fewer demands, step by step, and finished parts that are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services import failure_desk
from backend.services.ladder import MAX_RUNGS
from tests.support.rendering_engine import RungedEngine
from tests.support.studio import running_studio, video_hops
from tests.support.twin_speech_engine import TwinSpeechEngine
from tests.support.twin_worker import write_tone


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between two tries add up, and are not what this is about."""
    monkeypatch.setattr(failure_desk, "RETRY_DELAY_MS", 0)


RUNGS = ("a shorter window", "stronger offloading", "a lower resolution")


def out_of_memory() -> EngineFailure:
    return EngineFailure(ErrorCode.GPU_OOM, "The graphics card ran out of memory.")


async def emptied(folder: Path) -> bool:
    """Files go after the rows that tell of the end."""
    for _ in range(500):
        if not list(folder.iterdir()):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_each_try_gives_up_one_thing_more_and_says_what(tmp_path: Path) -> None:
    engine = RungedEngine("gpu_twin", [out_of_memory(), out_of_memory()], RUNGS)
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="gpu_twin"))
        assert view["status"] == "completed"
        assert video_hops(view) == [
            ("gpu_twin", "failed", None),
            ("gpu_twin", "failed", "a shorter window"),
            ("gpu_twin", "succeeded", "a shorter window; stronger offloading"),
        ]
        assert [settings["rung"] for settings in engine.seen] == [0, 1, 2]
        assert engine.found == [[], ["part-1"], ["part-1", "part-2"]], "finished parts are kept"
        assert len(studio.speech.seen) == 1
        assert await emptied(tmp_path / "data" / "checkpoints"), "the video is there"


async def test_at_the_bottom_the_job_ends_or_the_next_engine_follows(tmp_path: Path) -> None:
    engine = RungedEngine("gpu_twin", [out_of_memory() for _ in range(4)], RUNGS)
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        router = studio.http._transport.app.state.services.jobs._router  # type: ignore[attr-defined]
        router._registry._adapters["wan2gp"] = engine
        view = await studio.wait_for(await studio.submit())
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert "takes over" in view["fallback_reason"]
        assert [hop[:2] for hop in video_hops(view)] == [*[("wan2gp", "failed")] * 4, ("draft", "succeeded")]
        assert [settings["rung"] for settings in engine.seen] == [0, 1, 2, 3]


async def test_a_second_hop_does_not_hide_why_the_first_engine_gave_up(tmp_path: Path) -> None:
    first = RungedEngine("infinitetalk", [EngineFailure(ErrorCode.IMPORT_FAILED, "A package is broken.")])
    second = RungedEngine("wan2gp", [EngineFailure(ErrorCode.HOST_OOM, "The memory was not enough.")])
    async with running_studio(tmp_path) as studio:
        router = studio.http._transport.app.state.services.jobs._router  # type: ignore[attr-defined]
        router._registry._adapters.update(infinitetalk=first, wan2gp=second)
        view = await studio.wait_for(await studio.submit())
        assert [hop[:2] for hop in video_hops(view)] == [
            ("infinitetalk", "failed"),
            ("wan2gp", "failed"),
            ("draft", "succeeded"),
        ]
        told = view["fallback_reason"]
        assert told.index("A package is broken.") < told.index("The memory was not enough.")
        assert told.count("takes over") == 2


async def test_another_failure_between_two_steps_is_tried_once_more_on_the_same_step(tmp_path: Path) -> None:
    fault = [EngineFailure(ErrorCode.GPU_FAULT, "The card reported a fault.") for _ in range(2)]
    engine = RungedEngine("gpu_twin", [out_of_memory(), *fault], RUNGS)
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="gpu_twin"))
        assert (view["status"], view["error"]["code"]) == ("failed", "gpu_fault")
        assert [settings["rung"] for settings in engine.seen] == [0, 1, 1]


async def test_an_engine_without_steps_is_asked_once_more_and_one_with_too_many_not_for_ever(
    tmp_path: Path,
) -> None:
    plain = RungedEngine("plain_twin", [out_of_memory(), out_of_memory()])
    endless = RungedEngine("endless_twin", [out_of_memory() for _ in range(30)], tuple("abcdefghijklmnop"))
    async with running_studio(tmp_path, adapters=[plain, endless]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="plain_twin"))
        assert (view["status"], len(plain.seen)) == ("failed", 2)
        view = await studio.wait_for(await studio.submit(preferred_engine="endless_twin"))
        assert (view["status"], len(endless.seen)) == ("failed", MAX_RUNGS + 1)


async def test_the_parts_of_a_failed_job_go_to_its_retry_and_with_its_deletion(tmp_path: Path) -> None:
    fatal: list[Exception] = [
        EngineFailure(ErrorCode.GPU_UNSUPPORTED, "This GPU is too old.") for _ in range(2)
    ]
    engine = RungedEngine("gpu_twin", fatal, RUNGS)
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        checkpoints = tmp_path / "data" / "checkpoints"
        first = await studio.submit(preferred_engine="gpu_twin")
        assert (await studio.wait_for(first))["status"] == "failed"
        assert [path.name for path in (checkpoints / first / "gpu_twin").iterdir()] == ["part-1"]
        disk = (await studio.http.get("/api/system/disk")).json()
        kinds = {kind["kind"]: kind for kind in disk["kinds"]}
        assert (kinds["checkpoints"]["bytes"], kinds["checkpoints"]["count"]) == (1000, 1)

        answer = await studio.http.post(f"/api/jobs/{first}/retry")
        second = answer.json()["job_id"]
        assert (await studio.wait_for(second))["status"] == "failed"
        assert engine.found[1] == ["part-1"]
        assert not (checkpoints / first).exists()
        assert (await studio.http.delete(f"/api/jobs/{second}")).status_code == 204
        assert list(checkpoints.iterdir()) == []


async def test_parts_that_nobody_came_for_count_as_intermediate_and_go_with_them(tmp_path: Path) -> None:
    engine = RungedEngine("gpu_twin", [EngineFailure(ErrorCode.INTERNAL_ERROR, "Broken.")], RUNGS)
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        await studio.wait_for(await studio.submit(preferred_engine="gpu_twin"))
        disk = (await studio.http.get("/api/system/disk")).json()
        promised = {rule["rule"]: rule["bytes"] for rule in disk["reclaimable"]}
        assert promised["intermediates"] >= 1000
        await studio.http.post("/api/system/disk/reclaim", json={"what": ["intermediates"]})
        assert list((tmp_path / "data" / "checkpoints").iterdir()) == []


async def test_a_cancelled_job_keeps_its_parts_for_a_retry(tmp_path: Path) -> None:
    engine = RungedEngine("gpu_twin", [], RUNGS)
    engine.gate.clear()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        first = await studio.submit(preferred_engine="gpu_twin")
        await engine.asked.wait()
        await studio.http.post(f"/api/jobs/{first}/cancel")
        assert (await studio.wait_for(first))["status"] == "cancelled"
        engine.gate.set()
        second = (await studio.http.post(f"/api/jobs/{first}/retry")).json()["job_id"]
        assert (await studio.wait_for(second))["status"] == "completed"
        assert engine.found == [[], ["part-1"]]
        seeds = {settings["seed"] for settings in engine.seen}
        assert len(seeds) == 1, "parts of another seed would be of no use"


async def test_the_parts_of_a_job_outlive_a_restart_of_the_service(tmp_path: Path) -> None:
    engine = RungedEngine("gpu_twin", [], RUNGS)
    engine.gate.clear()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        job_id = await studio.submit(preferred_engine="gpu_twin")
        await engine.asked.wait()
    engine.gate.set()
    async with running_studio(tmp_path, adapters=[engine]) as studio:
        assert (await studio.wait_for(job_id))["status"] == "completed"
        assert engine.found == [[], ["part-1"]]


@pytest.mark.parametrize(("uses_gpu", "warmed"), [(False, 1), (True, 0)])
async def test_no_gpu_engine_is_made_ready_beside_speech_that_needs_the_gpu(
    tmp_path: Path, uses_gpu: bool, warmed: int
) -> None:
    speaker = TwinSpeechEngine()
    speaker.uses_gpu = uses_gpu
    engine = RungedEngine("gpu_twin", [], RUNGS)
    engine.kind = "gpu"
    async with running_studio(tmp_path, adapters=[engine], speech_engines=[speaker]) as studio:
        write_tone(tmp_path / "me.wav", 1.0)
        files = {"audio_file": ("me.wav", (tmp_path / "me.wav").read_bytes(), "audio/wav")}
        voice = (await studio.http.post("/api/voice/clone", files=files)).json()["voice_id"]
        job_id = await studio.submit(preferred_engine="gpu_twin", voice_id=voice, speech_engine="twinclone")
        view = await studio.wait_for(job_id)
        assert (view["status"], view["speech_engine"]) == ("completed", "twinclone")
        assert engine.warmed == warmed
