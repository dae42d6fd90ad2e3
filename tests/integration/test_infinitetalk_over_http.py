"""InfiniteTalk as callers see it, with twins of its worker: readiness, presets, shape, ladder, GPUs, text to video."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.engines.infinitetalk_models import PRESETS
from backend.engines.worker_port import EngineWorker
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services import failure_desk
from backend.services.gpu_fleet import WorkerMaker
from backend.utils.media.cut import png_size
from backend.utils.media.probe import probe
from tests.media_samples import FFMPEG
from tests.support.studio import Studio, job_body, running_studio, video_hops
from tests.support.twin_gpus import gpu
from tests.support.twin_worker import TwinWorker, write_video
from tests.support.wan2gp_home import install_environment, lay_weights, tiny_catalogue

CORE = "infinitetalk_core"
ENCODERS = "infinitetalk-encoders"
ONE = ("infinitetalk-base", "infinitetalk-single", ENCODERS, "infinitetalk-fusionx")
TWO = ("infinitetalk-base", "infinitetalk-multi", ENCODERS, "infinitetalk-fusionx")
TEXT = "infinitetalk-t2v-1.3b"
SPEAKERS = [
    {"name": "Ann", "voice_id": "voice_builtinafheart", "face": {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4}},
    {"name": "Bob", "voice_id": "voice_builtinafheart", "face": {"x": 0.6, "y": 0.2, "w": 0.3, "h": 0.4}},
]
TALK = {"speakers": SPEAKERS, "script_input": "Ann: Hello there.\nBob: Good day to you."}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between two tries are not what this is about."""
    monkeypatch.setattr(failure_desk, "RETRY_DELAY_MS", 0)


@contextlib.asynccontextmanager
async def studio_with(
    folder: Path, *weights: str, worker: EngineWorker | WorkerMaker | None = None, cards: int = 1
) -> AsyncIterator[Studio]:
    """A service on a machine with InfiniteTalk's environment and these weights, and without Wan2GP."""
    models = tiny_catalogue()
    lay_weights(folder, models, *weights)
    async with running_studio(
        folder,
        engines_dir=install_environment(folder, CORE),
        catalogue=models,
        workers={"infinitetalk": worker or TwinWorker("infinitetalk")},
        gpus=[gpu(index) for index in range(cards)],
    ) as studio:
        yield studio


async def test_what_is_missing_is_said_with_the_way_out(tmp_path: Path) -> None:
    models = tiny_catalogue()
    async with running_studio(tmp_path, catalogue=models) as studio:
        row = await studio.engine("infinitetalk")
        assert (row["state"], row["code"]) == ("NOT_INSTALLED", "engine_not_installed")
        assert "install_infinitetalk.sh" in row["fix"]
        assert "install_infinitetalk.bat" in row["fix"]
    engines_dir = install_environment(tmp_path, CORE, ready=False)
    async with running_studio(tmp_path, catalogue=models, engines_dir=engines_dir) as studio:
        assert "not finished" in (await studio.engine("infinitetalk"))["reason"]


async def test_an_environment_without_a_gpu_makes_no_films_and_says_so(tmp_path: Path) -> None:
    models = tiny_catalogue()
    lay_weights(tmp_path, models, *ONE, TEXT)
    engines_dir = install_environment(tmp_path, CORE, device="cpu")
    async with running_studio(tmp_path, catalogue=models, engines_dir=engines_dir) as studio:
        row = await studio.engine("infinitetalk")
        assert (row["state"], row["code"]) == ("NOT_INSTALLED", "gpu_unsupported")
        assert "NVIDIA" in row["fix"]
        view = await studio.wait_for(await studio.submit(wangp_model="Wan t2v 1.3B"))
        assert (view["selected_engine"], view["fallback_reason"]) == ("draft", None)


async def test_without_weights_it_is_left_out_of_auto_and_says_what_to_fetch(tmp_path: Path) -> None:
    async with studio_with(tmp_path, "infinitetalk-single", ENCODERS) as studio:
        row = await studio.engine("infinitetalk")
        assert (row["ready"], row["code"]) == (False, "model_missing")
        assert "Models" in row["fix"]
        view = await studio.wait_for(await studio.submit(wangp_model=None))
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert view["fallback_reason"] is None, "what is not installed is no hop"
        assert [hop["preset"] for hop in view["attempts"]] == [None, None]


async def test_a_job_gets_the_preset_it_named_and_every_part_of_the_task(tmp_path: Path) -> None:
    worker = TwinWorker("infinitetalk")
    worker.frame = (640, 640)
    async with studio_with(tmp_path, *ONE, "infinitetalk-lightx2v", worker=worker) as studio:
        assert (await studio.engine("infinitetalk"))["ready"] is True
        job_id = await studio.submit(wangp_model=None, preset="turbo", prompt="by the\nsea", seed=5)
        view = await studio.wait_for(job_id)
        assert (view["status"], view["selected_engine"], view["draft"]) == (
            "completed",
            "infinitetalk",
            False,
        )
        assert view["preset"] == "turbo"
        assert view["message"] == "The video is ready. InfiniteTalk made it with the preset turbo."
        assert [hop["preset"] for hop in view["attempts"]] == [None, "turbo"], "the speech has no preset"
        (request,) = worker.seen
        assert (request.task, request.seed) == ("talking_avatar", 5)
        assert set(request.inputs) == {"portrait", "audio", "timings"}
        assert dict(request.params) == {
            "preset": "turbo",
            "resolution": "512p",
            "aspect": "1:1",
            "prompt": "by the\nsea",
            "speakers": [],
            "face": None,  # the picture is cut already
            "rung": 0,
            "checkpoint_dir": str(tmp_path / "data" / "checkpoints" / job_id / "infinitetalk"),
        }
        assert request.min_vram_mib < 8192, "8 GB cards are served"
        assert worker.warmed == 1, "it was loaded while the speech was made"


async def test_a_job_that_names_no_preset_is_balanced_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    async with studio_with(tmp_path, *ONE) as studio:
        view = await studio.wait_for(await studio.submit(wangp_model=None))
        assert (view["selected_engine"], view["preset"]) == ("infinitetalk", "balanced")
        answer = await studio.http.post("/api/jobs", json=job_body(preset="warp"))
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_a_preset_whose_weights_are_not_here_is_model_missing_with_one_that_works(
    tmp_path: Path,
) -> None:
    async with studio_with(tmp_path, *ONE) as studio:
        named = {"preferred_engine": "infinitetalk", "fallback": {"allow": False}, "wangp_model": None}
        view = await studio.wait_for(await studio.submit(preset="fast", **named))
        assert (view["status"], view["error"]["code"]) == ("failed", "model_missing")
        assert "infinitetalk-lightx2v" in view["error"]["detail"]
        assert "infinitetalk-base" not in view["error"]["detail"], "that is here"
        assert "the preset quality works" in view["error"]["hint"]
        view = await studio.wait_for(await studio.submit(preset="balanced", **named, **TALK))
        assert (view["status"], view["error"]["code"]) == ("failed", "model_missing")
        assert "two speakers" in view["error"]["detail"]
        assert "infinitetalk-multi" in view["error"]["detail"]


async def shape_of(studio: Studio, job_id: str, folder: Path) -> tuple[int, int]:
    assert (await studio.wait_for(job_id))["status"] == "completed"
    path = folder / f"{job_id}.mp4"
    path.write_bytes((await studio.http.get(f"/api/jobs/{job_id}/result")).content)
    video = probe(FFMPEG, path).video
    assert video is not None
    return video.width, video.height


async def test_the_video_has_the_shape_that_was_asked_for(tmp_path: Path) -> None:
    """The model knows 896 x 448 for 16:9 and 448 x 832 for 9:16; the portrait is square."""
    worker = TwinWorker("infinitetalk")
    async with studio_with(tmp_path, *ONE, worker=worker) as studio:
        for aspect, frame, shown in (
            ("16:9", (896, 448), (796, 448)),
            ("9:16", (448, 832), (448, 796)),
            ("1:1", (640, 640), (640, 640)),
            ("source", (640, 640), (640, 640)),
        ):
            worker.frame = frame
            job_id = await studio.submit(
                wangp_model=None, output={"aspect": aspect, "resolution": "512p", "subtitles": "none"}
            )
            assert await shape_of(studio, job_id, tmp_path) == shown, aspect
            given = worker.seen[-1].inputs["portrait"]
            assert given.name == ("portrait.png" if aspect != "source" else given.name)


async def test_two_speakers_are_both_inside_the_picture_that_the_worker_is_shown(tmp_path: Path) -> None:
    worker = TwinWorker("infinitetalk")
    sizes: list[tuple[int, int]] = []
    run = worker.run

    async def looking(request: Any, **kwargs: Any) -> Any:
        sizes.append(await asyncio.to_thread(png_size, request.inputs["portrait"]))
        return await run(request, **kwargs)

    worker.run = looking  # type: ignore[method-assign]
    output = {"aspect": "9:16", "resolution": "512p", "subtitles": "none"}
    async with studio_with(tmp_path, *TWO, worker=worker) as studio:
        worker.frame = (448, 832)
        view = await studio.wait_for(await studio.submit(wangp_model=None, output=output, **TALK))
        assert (view["status"], view["selected_engine"]) == ("completed", "infinitetalk"), view
        (request,) = worker.seen
        assert {"track_1", "track_2"} <= set(request.inputs)
        ((width, height),) = sizes
        assert abs(width / height - 9 / 16) < 0.01
        left, right = (speaker["face"] for speaker in request.params["speakers"])
        assert 0 <= left["x"] < left["x"] + left["w"] < right["x"] < right["x"] + right["w"] <= 1
        # As wide in the picture as they were: three tenths each of the square, which is as wide as both now.
        assert left["w"] == pytest.approx(right["w"], abs=0.01)
        assert left["w"] > 0.3


async def test_a_video_becomes_a_portrait_that_infinitetalk_moves(tmp_path: Path) -> None:
    worker = TwinWorker("infinitetalk")
    worker.frame = (640, 640)
    write_video(tmp_path / "me.mp4", 0.4, source="testsrc=size=320x240:rate=25")
    async with studio_with(tmp_path, *ONE, worker=worker) as studio:
        files = {"image_file": ("me.mp4", (tmp_path / "me.mp4").read_bytes(), "application/octet-stream")}
        refused = await studio.http.post("/api/avatars", files=files, data={"crop": "0,0,0.5,0.5"})
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
        answer = await studio.http.post("/api/avatars", files=files)
        assert answer.status_code == 201, answer.text
        avatar = answer.json()
        assert avatar["video"] is True
        picture = await studio.http.get(avatar["image_url"])
        assert picture.content.startswith(b"\x89PNG")
        original = await studio.http.get(avatar["original_url"])
        assert original.content == picture.content, "another part is cut out of the picture"

        worker.gate.clear()
        job_id = await studio.submit(wangp_model=None, avatar_url=avatar["avatar_id"])
        await studio.http.delete(f"/api/avatars/{avatar['avatar_id']}")
        worker.gate.set()
        view = await studio.wait_for(job_id)
        (request,) = worker.seen
        assert (view["status"], view["selected_engine"]) == ("completed", "infinitetalk")
        assert request.inputs["reference"].suffix == ".mp4"
        face = {"x": 0.3, "y": 0.2, "w": 0.4, "h": 0.5}
        assert request.params["face"] == face, "known, although the portrait was deleted"


@pytest.mark.parametrize("size", [0.3, 0.9])
async def test_a_video_that_is_cut_short_is_no_portrait(tmp_path: Path, size: float) -> None:
    write_video(tmp_path / "me.mp4", 0.4, source="testsrc=size=320x240:rate=25")
    data = (tmp_path / "me.mp4").read_bytes()
    async with running_studio(tmp_path) as studio:
        files = {"image_file": ("me.mp4", data[: int(len(data) * size)], "video/mp4")}
        answer = await studio.http.post("/api/avatars", files=files)
        assert (answer.status_code, answer.json()["code"]) == (422, "image_unreadable")
        assert (await studio.http.get("/api/avatars")).json()["data"][-1]["builtin"] is True


async def test_out_of_memory_steps_down_the_plan_and_then_the_picture(tmp_path: Path) -> None:
    worker = TwinWorker("infinitetalk")
    worker.fail_next(*[EngineFailure(ErrorCode.GPU_OOM, "The GPU's memory was not enough.")] * 3)
    async with studio_with(tmp_path, *ONE, worker=worker) as studio:
        output = {"aspect": "1:1", "resolution": "720p", "subtitles": "none"}
        view = await studio.wait_for(await studio.submit(wangp_model=None, output=output))
        assert view["status"] == "completed"
        assert [(r.params["resolution"], r.params["rung"]) for r in worker.seen] == [
            ("720p", 0),
            ("720p", 1),
            ("720p", 2),
            ("512p", 0),
        ]
        changes = [change for _, _, change in video_hops(view)]
        assert changes[0] is None
        assert changes[-1] is not None
        assert changes[-1].endswith("512p instead of 720p")
        assert {hop["preset"] for hop in view["attempts"] if hop["stage"] == "video"} == {"balanced"}


async def test_a_failed_film_falls_back_and_a_cancel_reaches_the_worker(tmp_path: Path) -> None:
    worker = TwinWorker("infinitetalk")
    worker.fail_next(EngineFailure(ErrorCode.NO_OUTPUT, "The film is not as long as the speech."))
    async with studio_with(tmp_path, *ONE, worker=worker) as studio:
        view = await studio.wait_for(await studio.submit(wangp_model=None))
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert "InfiniteTalk" in view["fallback_reason"]
        worker.gate.clear()
        job_id = await studio.submit(wangp_model=None)
        while len(worker.seen) < 2:  # noqa: ASYNC110 - the twin only keeps a list
            await asyncio.sleep(0.01)
        await studio.http.post(f"/api/jobs/{job_id}/cancel")
        assert (await studio.wait_for(job_id))["status"] == "cancelled"
        assert worker.gave_way == 1


async def test_the_estimate_tells_what_each_preset_takes_and_learns_it_by_preset(tmp_path: Path) -> None:
    body = {**job_body(preferred_engine="infinitetalk", wangp_model=None), "preset": "fast"}
    weights = (*ONE, "infinitetalk-lightx2v")
    async with studio_with(tmp_path, *weights, worker=lambda _gpu: TwinWorker("infinitetalk")) as studio:
        told = (await studio.http.post("/api/jobs/estimate", json=body)).json()
        assert (told["engine"], told["preset"], told["basis"]) == ("infinitetalk", "fast", "table")
        assert (told["fits"], told["missing_models"]) == (True, [])
        assert [one["preset"] for one in told["presets"]] == list(PRESETS)
        by_name = {one["preset"]: one for one in told["presets"]}
        assert by_name["fast"]["minutes"] == told["minutes"]
        assert by_name["quality"]["minutes"] > by_name["balanced"]["minutes"] > told["minutes"]
        await studio.wait_for(await studio.submit(wangp_model=None, preset="fast"))
        told = (await studio.http.post("/api/jobs/estimate", json=body)).json()
        bases = {one["preset"]: (one["basis"], one["runs"]) for one in told["presets"]}
        assert bases["fast"] == ("measured", 1)
        assert bases["balanced"] == ("table", 0)
        assert (told["basis"], told["runs"]) == ("measured", 1)


async def test_text_to_video_runs_in_its_environment_where_wan2gp_is_not_installed(tmp_path: Path) -> None:
    worker = TwinWorker("infinitetalk")
    async with studio_with(tmp_path, TEXT, worker=worker) as studio:
        rows = {model["name"]: model for model in (await studio.engine("wan2gp"))["models"]}
        assert (rows["Wan t2v 1.3B"]["ready"], rows["Wan t2v 14B"]["missing"]) == (
            True,
            ["infinitetalk-t2v-14b"],
        )
        job_id = await studio.submit(preferred_engine="wan2gp", wangp_model="Wan t2v 1.3B")
        view = await studio.wait_for(job_id)
        assert (view["status"], view["selected_engine"], view["draft"]) == ("completed", "wan2gp", False), (
            view
        )
        assert "diffusers" in view["message"]
        assert "Wan2GP is not installed" in view["message"]
        (request,) = worker.seen
        assert (request.task, request.model) == ("text_to_video", "Wan t2v 1.3B")
        assert {"model", "resolution", "aspect", "prompt", "script", "rung", "checkpoint_dir"} <= set(
            request.params
        )
        told = (await studio.http.post("/api/jobs/estimate", json=job_body(preferred_engine="wan2gp"))).json()
        assert (told["engine"], told["wangp_model"], told["missing_models"]) == ("wan2gp", "Wan t2v 1.3B", [])
        assert all(reason["code"] != "engine_not_installed" for reason in told["reasons"])


async def test_no_other_model_of_wan2gp_runs_there_and_missing_weights_are_named(tmp_path: Path) -> None:
    async with studio_with(tmp_path, TEXT) as studio:
        for model, code in (
            (None, "engine_not_installed"),
            ("Fantasy", "engine_not_installed"),
            ("Wan t2v 14B", "model_missing"),
        ):
            job_id = await studio.submit(preferred_engine="wan2gp", wangp_model=model)
            view = await studio.wait_for(job_id)
            assert (view["status"], view["error"]["code"]) == ("failed", code), model
        assert "infinitetalk-t2v-14b" in view["error"]["hint"]


async def test_auto_takes_it_for_a_text_model_only_where_it_can_run(tmp_path: Path) -> None:
    async with studio_with(tmp_path, TEXT) as studio:
        view = await studio.wait_for(await studio.submit(wangp_model="Wan t2v 1.3B"))
        assert view["selected_engine"] == "wan2gp"
        view = await studio.wait_for(await studio.submit(wangp_model="Wan t2v 14B"))
        assert (view["selected_engine"], view["fallback_reason"]) == ("draft", None)


async def test_several_gpus_make_several_films(tmp_path: Path) -> None:
    twins: dict[int | None, TwinWorker] = {}

    def make(one: Any) -> TwinWorker:
        twin = TwinWorker("infinitetalk")
        twin.gate.clear()
        return twins.setdefault(one.index if one else None, twin)

    async with studio_with(tmp_path, *ONE, worker=make, cards=2) as studio:
        jobs = [await studio.submit(wangp_model=None) for _ in range(2)]
        for twin in twins.values():
            while not twin.seen:  # noqa: ASYNC110 - the twin only keeps a list
                await asyncio.sleep(0.01)
        # Only now: a GPU that is free again would take the second one too.
        for twin in twins.values():
            twin.gate.set()
        for job_id in jobs:
            assert (await studio.wait_for(job_id))["status"] == "completed"
        assert [len(twin.seen) for twin in twins.values()] == [1, 1]
