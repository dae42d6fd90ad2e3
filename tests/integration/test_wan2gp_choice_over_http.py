"""Wan2GP as callers see it, with twins of its worker: what is missing, which model runs, GPUs, ladder, preview."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from backend.engines.gpu_pool import GpuFacts
from backend.engines.worker_port import EngineWorker
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services import failure_desk
from backend.services.gpu_fleet import WorkerMaker
from backend.services.job_preview import PREVIEW_FILE
from tests.support.studio import Studio, running_studio, video_hops
from tests.support.twin_gpus import gpu
from tests.support.twin_worker import TwinWorker
from tests.support.wan2gp_home import install_wan2gp, lay_weights, tiny_catalogue

JPEG = b"\xff\xd8\xff\xe0 a picture"
SPEAKERS = [
    {"name": "Ann", "voice_id": "voice_builtinafheart", "face": {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4}},
    {"name": "Bob", "voice_id": "voice_builtinafheart", "face": {"x": 0.6, "y": 0.2, "w": 0.3, "h": 0.4}},
]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between two tries are not what this is about."""
    monkeypatch.setattr(failure_desk, "RETRY_DELAY_MS", 0)


@contextlib.asynccontextmanager
async def studio_with(
    folder: Path,
    *weights: str,
    worker: EngineWorker | WorkerMaker | None = None,
    gpus: tuple[GpuFacts, ...] = (gpu(0),),
) -> AsyncIterator[Studio]:
    """A service on a machine with an installed Wan2GP and these weights."""
    models = tiny_catalogue()
    lay_weights(folder, models, *weights)
    workers: Mapping[str, EngineWorker | WorkerMaker] = {"wan2gp": worker or TwinWorker("wan2gp")}
    async with running_studio(
        folder, engines_dir=install_wan2gp(folder), catalogue=models, workers=workers, gpus=gpus
    ) as studio:
        yield studio


async def asked(worker: TwinWorker) -> None:
    """Wait until the worker has a task."""
    while not worker.seen:  # noqa: ASYNC110 - the twin only keeps a list
        await asyncio.sleep(0.01)


async def test_what_is_missing_is_said_with_the_way_out(tmp_path: Path) -> None:
    models = tiny_catalogue()
    async with running_studio(tmp_path, catalogue=models) as studio:
        row = await studio.engine("wan2gp")
        assert (row["state"], row["code"]) == ("NOT_INSTALLED", "engine_not_installed")
        assert "install_wan2gp.sh" in row["fix"]
        assert "install_wan2gp.bat" in row["fix"]
    engines_dir = install_wan2gp(tmp_path, ready=False)
    async with running_studio(tmp_path, catalogue=models, engines_dir=engines_dir) as studio:
        row = await studio.engine("wan2gp")
        assert "not finished" in row["reason"]
        (engines_dir / "wan2gp_core" / "wgp.py").unlink()
        assert "wgp.py" in (await studio.engine("wan2gp"))["reason"]


async def test_without_weights_it_is_not_ready_and_lists_what_each_model_needs(tmp_path: Path) -> None:
    async with studio_with(tmp_path, "wan2gp-core") as studio:
        row = await studio.engine("wan2gp")
        assert (row["ready"], row["code"]) == (False, "model_missing")
        assert "Models" in row["fix"]
        listed = {model["name"]: model for model in row["models"]}
        assert set(listed) == {
            "Wan t2v 1.3B",
            "Wan t2v 14B",
            "Hunyuan Avatar",
            "Wan Multitalk",
            "Fantasy",
            "InfiniteTalk (Wan2GP)",
            "LongCat Avatar 1.5",
        }
        assert (listed["Fantasy"]["missing"], listed["Fantasy"]["ready"]) == (["wan2gp-fantasy"], False)
        assert [name for name, model in listed.items() if model["speakers"] == 2] == [
            "Wan Multitalk",
            "InfiniteTalk (Wan2GP)",
            "LongCat Avatar 1.5",
        ]
        view = await studio.wait_for(await studio.submit(preferred_engine="wan2gp", wangp_model=None))
        assert (view["status"], view["error"]["code"]) == ("failed", "model_missing")
        view = await studio.wait_for(await studio.submit(wangp_model=None))
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")


async def test_the_licence_is_disclosed_with_what_it_forbids(tmp_path: Path) -> None:
    async with studio_with(tmp_path) as studio:
        told = (await studio.engine("wan2gp"))["disclosure"]
        for word in ("Powered by WanGP", "https://github.com/deepbeepmeep/Wan2GP", "Community License 2.0"):
            assert word in told
        assert "consent" in told
        assert "deception" in told


async def test_a_job_that_names_no_model_gets_the_best_that_is_here(tmp_path: Path) -> None:
    worker = TwinWorker("wan2gp")
    ids = ("wan2gp-core", "wan2gp-fantasy", "wan2gp-multitalk", "wan2gp-t2v-1.3b")
    async with studio_with(tmp_path, *ids, worker=worker) as studio:
        job_id = await studio.submit(wangp_model=None, prompt="by the\nsea", seed=5)
        view = await studio.wait_for(job_id)
        assert (view["status"], view["selected_engine"], view["draft"]) == ("completed", "wan2gp", False)
        (request,) = worker.seen
        assert (request.task, request.model, request.seed) == ("talking_avatar", "Wan Multitalk", 5)
        assert set(request.inputs) == {"portrait", "audio", "timings"}
        checkpoint_dir = tmp_path / "data" / "checkpoints" / job_id / "wan2gp"
        assert dict(request.params) == {
            "model": "Wan Multitalk",
            "resolution": "512p",
            "aspect": "1:1",
            "prompt": "by the\nsea",
            "script": "Hello there, this is a test.",
            "speakers": [],
            "face": {"x": 0.35, "y": 0.2685, "w": 0.3044, "h": 0.3716},
            "rung": 0,
            "checkpoint_dir": str(checkpoint_dir),
        }
        assert worker.warmed == 1, "it was loaded while the speech was made"


async def test_a_named_model_that_is_not_here_is_model_missing_with_the_ids_to_fetch(tmp_path: Path) -> None:
    async with studio_with(tmp_path, "wan2gp-core", "wan2gp-fantasy") as studio:
        job_id = await studio.submit(preferred_engine="wan2gp", wangp_model="Hunyuan Avatar")
        view = await studio.wait_for(job_id)
        assert (view["status"], view["error"]["code"]) == ("failed", "model_missing")
        assert "wan2gp-hunyuan-avatar" in view["error"]["hint"]
        assert "wan2gp-core" not in view["error"]["hint"], "that is here"
        view = await studio.wait_for(await studio.submit(wangp_model="Hunyuan Avatar"))
        assert (view["status"], view["selected_engine"]) == ("completed", "draft")
        assert "Hunyuan Avatar is not on this computer" in view["fallback_reason"]


async def test_two_speakers_get_a_model_for_two_and_their_tracks_and_faces(tmp_path: Path) -> None:
    worker = TwinWorker("wan2gp")
    ids = ("wan2gp-core", "wan2gp-fantasy", "wan2gp-multitalk", "wan2gp-infinitetalk")
    talk = {"speakers": SPEAKERS, "script_input": "Ann: Hello there.\nBob: Good day to you."}
    async with studio_with(tmp_path, *ids, worker=worker) as studio:
        view = await studio.wait_for(await studio.submit(wangp_model=None, **talk))
        assert (view["status"], view["selected_engine"]) == ("completed", "wan2gp"), view
        (request,) = worker.seen
        assert request.model == "Wan Multitalk", "InfiniteTalk's weights for two are not here"
        assert request.params["speakers"] == [{"face": speaker["face"]} for speaker in SPEAKERS]
        assert {"track_1", "track_2"} <= set(request.inputs)
        job_id = await studio.submit(preferred_engine="wan2gp", wangp_model="Fantasy", **talk)
        view = await studio.wait_for(job_id)
        assert (view["status"], view["error"]["code"]) == ("failed", "engine_unavailable")
        assert "Wan Multitalk" in view["error"]["hint"]


async def test_when_the_memory_is_not_enough_each_try_says_what_it_gave_up(tmp_path: Path) -> None:
    worker = TwinWorker("wan2gp")
    worker.fail_next(*[EngineFailure(ErrorCode.GPU_OOM, "The graphics card ran out of memory.")] * 2)
    async with studio_with(tmp_path, "wan2gp-core", "wan2gp-multitalk", worker=worker) as studio:
        view = await studio.wait_for(await studio.submit(wangp_model=None))
        assert view["status"] == "completed"
        (_, _, first), (_, _, second), (_, _, third) = video_hops(view)
        assert first is None
        assert second is not None
        assert "window" in second
        assert third is not None
        assert third.startswith(f"{second}; ")
        assert [request.params["rung"] for request in worker.seen] == [0, 1, 2]


async def test_several_gpus_run_several_jobs_each_in_a_process_of_its_own(tmp_path: Path) -> None:
    twins: dict[int | None, TwinWorker] = {}

    def make(one: GpuFacts | None) -> TwinWorker:
        twin = TwinWorker("wan2gp")
        twin.gate.clear()
        return twins.setdefault(one.index if one else None, twin)

    cards = (gpu(0), gpu(1, capability=(12, 0)))
    ids = ("wan2gp-core", "wan2gp-multitalk")
    async with studio_with(tmp_path, *ids, worker=make, gpus=cards) as studio:
        told = (await studio.http.get("/api/system")).json()
        assert [(one["name"], one["total_mib"], one["compute_capability"]) for one in told["gpus"]] == [
            ("Twin 0", 24_000, "8.9"),
            ("Twin 1", 24_000, "12.0"),
        ]
        assert sum(worker["name"] == "wan2gp" for worker in told["workers"]) == 2
        assert set(twins) == {0, 1}
        jobs = [await studio.submit(wangp_model=None) for _ in range(2)]
        for twin in twins.values():
            await asked(twin)
        for twin in twins.values():
            twin.gate.set()
        for job_id in jobs:
            assert (await studio.wait_for(job_id))["status"] == "completed"


async def test_a_running_job_shows_its_preview_and_an_ended_one_has_none(tmp_path: Path) -> None:
    worker = TwinWorker("wan2gp")
    worker.gate.clear()
    async with studio_with(tmp_path, "wan2gp-core", "wan2gp-multitalk", worker=worker) as studio:
        job_id = await studio.submit(wangp_model=None)
        url = f"/api/jobs/{job_id}/preview"
        await asked(worker)
        answer = await studio.http.get(url)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["cache-control"] == "no-store"

        picture = worker.seen[0].output_dir / PREVIEW_FILE
        picture.write_bytes(JPEG)
        answer = await studio.http.get(url)
        assert (answer.status_code, answer.content) == (200, JPEG)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"

        picture.write_bytes(b"<svg onload=alert(1)>")
        assert (await studio.http.get(url)).status_code == 204
        picture.unlink()
        secret = tmp_path / "secret.jpg"
        secret.write_bytes(JPEG)
        picture.symlink_to(secret)
        assert (await studio.http.get(url)).status_code == 204, "a link leads nowhere"

        worker.gate.set()
        await studio.wait_for(job_id)
        assert (await studio.http.get(url)).status_code == 204
        assert (await studio.http.get("/api/jobs/job_zzzzzzzz1/preview")).status_code == 404


async def test_the_time_that_a_video_took_is_learned_for_the_model_that_ran(tmp_path: Path) -> None:
    ids = ("wan2gp-core", "wan2gp-multitalk")
    async with studio_with(tmp_path, *ids, worker=lambda _gpu: TwinWorker("wan2gp")) as studio:
        await studio.wait_for(await studio.submit(wangp_model=None))
        body = {
            "voice_id": "voice_builtinafheart",
            "avatar_url": "avatar_builtinaria",
            "script_input": "Hello there, this is a test.",
            "preferred_engine": "wan2gp",
        }
        told = (await studio.http.post("/api/jobs/estimate", json=body)).json()
        assert (told["wangp_model"], told["basis"], told["runs"]) == ("Wan Multitalk", "measured", 1)
