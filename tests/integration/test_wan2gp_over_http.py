"""Wan2GP as callers of the API see it: the whole service, a real worker process, the stand-in for the engine behind it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.services import failure_desk
from tests.media_samples import FFMPEG
from tests.support.studio import Studio
from tests.support.twin_gpus import gpu
from tests.support.twin_worker import write_tone
from tests.support.wan2gp_rig import FACES, until
from tests.support.wan2gp_studio import ALL_MODELS, wan2gp_studio
from workers.wan2gp.media import VideoInfo, probe_video

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform == "win32",
        reason="the stand-in is laid out as on POSIX, and some of its faults are signals",
    ),
]

SHORT = "Hello there."
MULTITALK = {"preferred_engine": "wan2gp", "wangp_model": "Wan Multitalk", "script_input": SHORT}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between two tries add up, and are not what this is about."""
    monkeypatch.setattr(failure_desk, "RETRY_DELAY_MS", 0)


def hops(view: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (hop["engine"], hop["outcome"], hop["code"], hop["change"])
        for hop in view["attempts"]
        if hop["stage"] == "video"
    ]


async def film(studio: Studio, view: dict[str, Any], folder: Path) -> VideoInfo:
    answer = await studio.http.get(view["artifacts"]["video"])
    assert answer.status_code == 200
    path = folder / "result.mp4"
    path.write_bytes(answer.content)
    return probe_video(path, ffmpeg=str(FFMPEG.binary), check=lambda: None)


async def test_a_job_for_wan2gp_becomes_a_video_of_its_model(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        view = await studio.wait_for(await studio.submit(**MULTITALK, seed=5))
        assert (view["status"], view["selected_engine"], view["fallback_reason"]) == (
            "completed",
            "wan2gp",
            None,
        )
        assert hops(view) == [("wan2gp", "succeeded", None, None)]
        (settings,) = fake.tasks()
        assert (settings["model_type"], settings["seed"]) == ("multitalk", 5)
        info = await film(studio, view, tmp_path)
        assert info.fps == 25
        assert "draft" not in view["notice_codes"]
        await until(
            lambda: not list((tmp_path / "data" / "checkpoints").rglob("*.mp4")), "parts go with success"
        )
        leftovers = [
            path for path in studio.settings.work_dir.rglob("*") if path.suffix in {".mp4", ".wav", ".png"}
        ]
        assert leftovers == []


async def test_auto_takes_the_best_model_that_is_here(tmp_path: Path) -> None:
    weights = ("wan2gp-core", "wan2gp-hunyuan-avatar", "wan2gp-fantasy")
    async with wan2gp_studio(tmp_path, weights=weights) as (studio, fake):
        view = await studio.wait_for(
            await studio.submit(preferred_engine="auto", wangp_model=None, script_input=SHORT)
        )
        assert (view["status"], view["selected_engine"]) == ("completed", "wan2gp")
        assert fake.tasks()[0]["model_type"] == "hunyuan_avatar"


@pytest.mark.parametrize(
    ("name", "model_type"),
    [
        ("Wan t2v 1.3B", "t2v_1.3B"),
        ("Wan t2v 14B", "t2v"),
        ("Hunyuan Avatar", "hunyuan_avatar"),
        ("Fantasy", "fantasy"),
        ("InfiniteTalk (Wan2GP)", "infinitetalk"),
        ("LongCat Avatar 1.5", "longcat_avatar_v1_5"),
    ],
)
async def test_every_name_of_the_wire_reaches_its_model(tmp_path: Path, name: str, model_type: str) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        view = await studio.wait_for(await studio.submit(**{**MULTITALK, "wangp_model": name}))
        assert (view["status"], view["selected_engine"]) == ("completed", "wan2gp"), view
        assert [task["model_type"] for task in fake.tasks()] == [model_type]


async def test_each_step_down_is_an_attempt_that_says_what_it_gave_up(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave({"do": "oom", "unless": {"sliding_window_size": 81, "override_profile": 5}})
        view = await studio.wait_for(await studio.submit(**MULTITALK))
        assert (view["status"], view["selected_engine"], view["fallback_reason"]) == (
            "completed",
            "wan2gp",
            None,
        )
        shorter = "a shorter window (81 instead of 129 frames)"
        assert hops(view) == [
            ("wan2gp", "failed", "gpu_oom", None),
            ("wan2gp", "failed", "gpu_oom", shorter),
            ("wan2gp", "succeeded", None, f"{shorter}; stronger offloading to main memory (profile 5)"),
        ]


async def test_below_the_last_step_the_draft_takes_over_and_says_why(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave({"do": "oom"})
        view = await studio.wait_for(
            await studio.submit(**{**MULTITALK, "preferred_engine": "auto"}, fallback={"allow": True})
        )
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert "memory" in view["fallback_reason"]
        assert [hop[:3] for hop in hops(view)] == [
            *[("wan2gp", "failed", "gpu_oom")] * 4,
            ("draft", "succeeded", None),
        ]
        assert "draft" in view["notice_codes"]
        assert len(studio.draft.seen) >= 1


async def test_weights_that_are_not_here_are_told_before_the_engine_starts(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path, weights=("wan2gp-core", "wan2gp-fantasy")) as (studio, fake):
        view = await studio.wait_for(await studio.submit(**MULTITALK, fallback={"allow": False}))
        assert (view["status"], view["error"]["code"]) == ("failed", "model_missing")
        assert "wan2gp-multitalk" in view["error"]["hint"]
        assert fake.notes("init") == []


async def test_weights_that_the_engine_cannot_read_are_told_and_the_draft_takes_over(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave({"do": "corrupt"})
        view = await studio.wait_for(await studio.submit(**{**MULTITALK, "preferred_engine": "auto"}))
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert "damaged" in view["fallback_reason"]
        assert hops(view)[0][:3] == ("wan2gp", "failed", "model_missing")


@pytest.mark.parametrize(
    ("fault", "code"), [("no_file", "no_output"), ("error", "internal_error"), ("broken_file", "no_output")]
)
async def test_a_failure_ends_a_job_that_allows_no_other_engine(
    tmp_path: Path, fault: str, code: str
) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave({"do": fault})
        view = await studio.wait_for(await studio.submit(**MULTITALK, fallback={"allow": False}))
        assert (view["status"], view["error"]["code"]) == ("failed", code)
        assert view["error"]["detail"]


@pytest.mark.parametrize("fault", ["die", "sticky"])
async def test_a_death_or_a_lost_card_is_tried_once_more(tmp_path: Path, fault: str) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave({"do": fault, "times": 1})
        view = await studio.wait_for(await studio.submit(**MULTITALK))
        assert (view["status"], view["selected_engine"]) == ("completed", "wan2gp")
        assert [hop[1] for hop in hops(view)] == ["failed", "succeeded"]


async def test_a_cancel_stops_it_and_the_next_job_is_made(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave(step_s=0.2)
        job = await studio.submit(**MULTITALK)
        await until(lambda: bool(fake.notes("call")), "it draws")
        answer = await studio.http.post(f"/api/jobs/{job}/cancel")
        assert answer.status_code in {200, 202}, answer.text
        assert (await studio.wait_for(job))["status"] == "cancelled"
        fake.behave()
        assert (await studio.wait_for(await studio.submit(**MULTITALK)))["status"] == "completed"


async def test_a_retry_takes_up_the_parts_of_the_job_that_failed(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave({"do": "error", "when": {"seed": 6}})
        job = await studio.submit(
            preferred_engine="wan2gp",
            wangp_model="Wan t2v 1.3B",
            script_input="One lighthouse stands in the fog. " * 4,
            seed=5,
            fallback={"allow": False},
        )
        assert (await studio.wait_for(job))["status"] == "failed"
        before = len(fake.tasks())
        assert before == 2
        fake.behave()
        again = (await studio.http.post(f"/api/jobs/{job}/retry")).json()["job_id"]
        assert (await studio.wait_for(again))["status"] == "completed"
        assert fake.tasks()[before]["seed"] == 6


async def test_two_speakers_get_their_faces_and_tracks(tmp_path: Path) -> None:
    speakers = [
        {"name": "A", "voice_id": "voice_builtinafheart", **FACES[0]},
        {"name": "B", "voice_id": "voice_builtinammichael", **FACES[1]},
    ]
    async with wan2gp_studio(tmp_path) as (studio, fake):
        view = await studio.wait_for(
            await studio.submit(
                **{**MULTITALK, "script_input": "A: Hello there.\nB：Hi. How are you?"}, speakers=speakers
            )
        )
        assert (view["status"], view["selected_engine"]) == ("completed", "wan2gp"), view
        (call,) = fake.notes("call")
        assert call["audio_prompt_type"] == "PAB"
        assert call["audio_guide"] != call["audio_guide2"]
        boxes = call["speakers_bboxes"]
        assert boxes["human0"][2] <= boxes["human1"][0]


async def test_a_running_job_shows_what_it_draws(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave(step_s=0.06)
        job = await studio.submit(**MULTITALK)
        seen = b""
        view = await studio.view(job)
        while view["status"] not in {"completed", "failed", "cancelled"}:
            answer = await studio.http.get(f"/api/jobs/{job}/preview")
            if answer.status_code == 200:
                seen = answer.content
            await asyncio.sleep(0.05)
            view = await studio.view(job)
        assert view["status"] == "completed"
        assert seen.startswith(b"\xff\xd8")
        assert len(seen) <= 60_000


async def test_progress_of_the_engine_is_the_progress_of_the_job(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave(step_s=0.06)
        job = await studio.submit(**MULTITALK)
        told: list[tuple[int, str]] = []
        view = await studio.view(job)
        while view["status"] not in {"completed", "failed", "cancelled"}:
            told.append((view["progress"], view["message"]))
            await asyncio.sleep(0.05)
            view = await studio.view(job)
        assert [one[0] for one in told] == sorted(one[0] for one in told)
        assert any("step" in message.lower() for _, message in told), told


async def test_the_engine_is_disclosed_with_its_licence_and_what_it_must_not_be_used_for(
    tmp_path: Path,
) -> None:
    async with wan2gp_studio(tmp_path) as (studio, _):
        listed = (await studio.http.get("/api/engines")).json()
        engines = listed["data"] if isinstance(listed, dict) else listed
        (engine,) = [one for one in engines if one["name"] == "wan2gp"]
        assert "WanGP" in engine["disclosure"]
        assert "github.com/deepbeepmeep/Wan2GP" in engine["disclosure"]
        assert "use" in engine["disclosure"].lower()
        assert engine["state"] == "READY", engine


async def test_without_any_weights_it_is_listed_as_not_ready_and_auto_draws_the_draft(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path, weights=()) as (studio, fake):
        view = await studio.wait_for(await studio.submit(preferred_engine="auto", script_input=SHORT))
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert fake.notes("init") == []
        assert len(ALL_MODELS) > 5


async def test_a_job_that_the_service_left_behind_goes_on_with_its_finished_parts(tmp_path: Path) -> None:
    long = {
        **MULTITALK,
        "wangp_model": "Wan t2v 1.3B",
        "script_input": "One lighthouse stands in the fog. " * 4,
    }
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave(step_s=0.05)
        job = await studio.submit(**long, seed=5)
        await until(lambda: len(fake.notes("call")) == 2, "the second part is being made")
    before = len(fake.tasks())
    async with wan2gp_studio(tmp_path, installed=fake) as (studio, fake):
        fake.behave()
        view = await studio.wait_for(job)
        assert (view["status"], view["selected_engine"]) == ("completed", "wan2gp"), view
        assert [task["seed"] for task in fake.tasks()[before:]] == [6], "the first part is there"


async def test_two_cards_draw_two_jobs_at_the_same_time(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path, gpus=[gpu(0), gpu(1)]) as (studio, fake):
        fake.behave(step_s=0.07)
        jobs = [await studio.submit(**MULTITALK, seed=seed) for seed in (1, 2)]
        await until(lambda: len(fake.notes("call")) == 2, "both draw")
        statuses = [(await studio.view(job))["status"] for job in jobs]
        assert statuses == ["processing", "processing"]
        views = [await studio.wait_for(job) for job in jobs]
        assert [view["status"] for view in views] == ["completed", "completed"]
        cards = {note["environment"]["CUDA_VISIBLE_DEVICES"] for note in fake.notes("init")}
        assert cards == {"0", "1"}
        configs = {note["argv"]["config"] for note in fake.notes("init")}
        assert len(configs) == 2, "they do not write each other's configuration"


async def test_jobs_wait_for_the_one_card_and_one_that_waits_can_be_cancelled(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave(step_s=0.05)
        first, second, third = [await studio.submit(**MULTITALK, seed=seed) for seed in (1, 2, 3)]
        await until(lambda: bool(fake.notes("call")), "the first one draws")
        assert (await studio.http.post(f"/api/jobs/{second}/cancel")).status_code in {200, 202}
        assert (await studio.wait_for(second))["status"] == "cancelled"
        for job in (first, third):
            assert (await studio.wait_for(job))["status"] == "completed"
        assert [task["seed"] for task in fake.tasks()] == [1, 3]
        assert len(fake.notes("load")) == 1, "the model stays loaded from job to job"


async def test_a_running_job_can_be_deleted_and_takes_everything_with_it(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        fake.behave(step_s=0.1)
        job = await studio.submit(**MULTITALK)
        await until(lambda: bool(fake.notes("call")), "it draws")
        answer = await studio.http.post(f"/api/jobs/{job}/cancel")
        assert answer.status_code in {200, 202}
        await studio.wait_for(job)
        assert (await studio.http.delete(f"/api/jobs/{job}")).status_code in {200, 202, 204}
        await until(
            lambda: not list((tmp_path / "data" / "checkpoints").glob(f"{job}/**/*")), "its parts go too"
        )
        assert (await studio.http.get(f"/api/jobs/{job}")).status_code in {404, 410}


async def test_a_cloned_voice_and_the_film_come_from_one_process(tmp_path: Path) -> None:
    async with wan2gp_studio(tmp_path) as (studio, fake):
        write_tone(tmp_path / "me.wav", 2.0)
        sample = (tmp_path / "me.wav").read_bytes()
        answer = await studio.http.post(
            "/api/voice/clone", files={"audio_file": ("me.wav", sample, "audio/wav")}
        )
        voice = answer.json()["voice_id"]
        view = await studio.wait_for(
            await studio.submit(**MULTITALK, voice_id=voice, speech_engine="wan2gp_qwen3_tts")
        )
        assert (view["status"], view["selected_engine"], view["speech_engine"]) == (
            "completed",
            "wan2gp",
            "wan2gp_qwen3_tts",
        ), view
        assert [note["model_type"] for note in fake.notes("load")] == ["qwen3_tts_base", "multitalk"]
        assert len(fake.notes("init")) == 1
