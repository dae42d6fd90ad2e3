"""The service's adapters with the real worker process and a tiny random model: a job in, a video in its shape out."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.engines.base import BaseEngineAdapter
from backend.engines.diffusers_text import DiffusersText
from backend.engines.infinitetalk_adapter import InfiniteTalkAdapter
from backend.engines.wan2gp_adapter import Wan2GPAdapter
from backend.engines.wan2gp_models import load_wan2gp_models
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import WorkerLimits
from backend.models.errors import JobCancelled
from backend.utils.media.ffmpeg import Ffmpeg
from backend.utils.media.probe import probe
from installer.state import InstallState, write_state
from tests.fixtures.workers.harness import ROOT, make_spec, supervised
from tests.infinitetalk import test_text_to_video
from tests.infinitetalk.tiny_worker import FFMPEG, make_portrait, make_speech

# Importing torch on a busy machine takes its time, and it says nothing meanwhile.
START_S = 240.0
TOOL = Ffmpeg(Path(FFMPEG), 1)
# The fixture with tiny networks of the text models.
studio = test_text_to_video.studio


def installed(folder: Path) -> Path:
    """What the installer leaves, as far as the service looks at it."""
    core = folder / "infinitetalk_core"
    python = core / "python_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    write_state(core, InstallState(str(core), ready=True, facts={"device": "cuda"}))
    return core


class Desk:
    """One job as the stage runner asks for it, time after time."""

    def __init__(self, folder: Path, seconds: float = 0.6) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.ran: dict[str, Any] = {}
        self.output = folder / "picture.mp4"
        self.speech = make_speech(folder / "speech.wav", seconds)
        self.portrait = make_portrait(folder / "portrait.png")
        self.kept = folder / "kept"
        self.kept.mkdir()
        self.attempt = 0

    def ask(
        self, adapter: BaseEngineAdapter, *, cancel: Callable[[], bool] = lambda: False, **settings: Any
    ) -> Any:
        self.attempt += 1
        work_dir = self.folder / f"attempt-{self.attempt}"
        work_dir.mkdir()

        def report(_fraction: float | None, message: str) -> None:
            self.told.append(message)

        return adapter.process_job(
            "job_abcdefgh",
            "voice",
            "avatar",
            "words",
            audio_path=self.speech,
            avatar_path=self.portrait,
            output_path=self.output,
            settings={
                "preset": "turbo",
                "resolution": "512p",
                "aspect": "16:9",
                "prompt": "a person speaks",
                "speakers": (),
                "rung": 0,
                "checkpoint_dir": self.kept,
                "timings_path": None,
                "attempt": self.attempt,
                "work_dir": work_dir,
                "deadline_s": 240.0,
                "seed": 7,
                "ran": self.ran,
                **settings,
            },
            report=report,
            cancelled=cancel,
        )


def films(worker: EngineWorker, folder: Path) -> BaseEngineAdapter:
    return InfiniteTalkAdapter(
        worker, core_dir=installed(folder), has_weights=lambda _entry: True, ffmpeg=TOOL
    )


def scenes(worker: EngineWorker, folder: Path) -> BaseEngineAdapter:
    """Wan2GP's adapter on a computer where only InfiniteTalk's environment is."""
    return Wan2GPAdapter(
        worker,
        core_dir=folder / "wan2gp_core",
        models=load_wan2gp_models(ROOT / "assets"),
        has_weights=lambda _entry: False,
        largest_gpu_mib=lambda: None,
        text=DiffusersText(worker, core_dir=installed(folder), has_weights=lambda _entry: True),
    )


def drive(
    folder: Path,
    models_dir: Path,
    work: Callable[[BaseEngineAdapter], Any],
    adapter: Callable[[EngineWorker, Path], BaseEngineAdapter] = films,
    **options: str,
) -> None:
    """Run `work` with the adapter over a worker process as the service starts it, on the processor."""
    spec = replace(
        make_spec(folder),
        name="infinitetalk",
        handler="workers.infinitetalk.handler",
        models_dir=models_dir,
        options={"ffmpeg": FFMPEG, "device": "cpu", **options},
        start_timeout_s=START_S,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        limits=WorkerLimits(),
    )

    async def run() -> None:
        async with supervised(spec) as worker:
            await work(adapter(worker, folder))

    asyncio.run(run())


def test_a_job_becomes_a_video_in_the_shape_and_with_the_preset_that_were_asked_for(
    tmp_path: Path, models_dir: Path
) -> None:
    desk = Desk(tmp_path)

    async def work(adapter: BaseEngineAdapter) -> None:
        await desk.ask(adapter)

    drive(tmp_path, models_dir, work)
    video = probe(TOOL, desk.output).video
    assert video is not None
    # The tiny model draws 32 x 16, and 16:9 of that is shown.
    assert (video.width, video.height, video.frames) == (28, 16, 15)
    assert desk.ran["model"] == "turbo"
    assert desk.ran["parts_reused"] == 0
    # Not each of them: what comes faster than anybody reads is left out.
    assert any("of 3" in message and message.startswith("Window") for message in desk.told), desk.told
    with Image.open(tmp_path / "attempt-1" / "portrait.png") as shown:
        assert shown.size == (90, 51), "the whole width, and as much of the height as belongs to it"
    assert (tmp_path / "attempt-1" / "infinitetalk" / "preview.jpg").is_file(), "where the page looks for it"


def test_a_cancelled_job_is_gone_on_with_at_the_window_that_was_not_finished(
    tmp_path: Path, models_dir: Path
) -> None:
    # Twelve windows: the cancel comes after the first and has the time of many to arrive.
    desk = Desk(tmp_path, seconds=2.0)

    def first_is_kept() -> bool:
        return any(desk.kept.rglob("window-000000.json"))

    async def work(adapter: BaseEngineAdapter) -> None:
        with pytest.raises(JobCancelled):
            await desk.ask(adapter, cancel=first_is_kept)
        assert not desk.output.exists()
        await desk.ask(adapter)

    drive(tmp_path, models_dir, work)
    assert desk.ran["parts_reused"] >= 1
    video = probe(TOOL, desk.output).video
    assert video is not None
    assert video.frames == 50


def test_a_video_of_the_person_is_what_speaks(tmp_path: Path, models_dir: Path) -> None:
    desk = Desk(tmp_path)
    video = tmp_path / "person.mp4"
    source = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=30", "-t", "0.5")
    subprocess.run(
        [FFMPEG, "-y", "-loglevel", "error", *source, "-pix_fmt", "yuv420p", str(video)],
        check=True,
        timeout=60,
    )

    async def work(adapter: BaseEngineAdapter) -> None:
        await desk.ask(adapter, reference_path=video)

    drive(tmp_path, models_dir, work)
    made = probe(TOOL, desk.output).video
    assert made is not None
    assert (made.width, made.height, made.frames) == (28, 16, 15)
    assert not (tmp_path / "attempt-1" / "portrait.png").exists(), "the video itself was shown"


def test_two_speakers_are_drawn_where_they_sit(tmp_path: Path, models_dir: Path) -> None:
    desk = Desk(tmp_path)
    speakers = (
        {"name": "A", "face": {"x": 0.05, "y": 0.2, "w": 0.3, "h": 0.4}, "track": desk.speech},
        {
            "name": "B",
            "face": {"x": 0.6, "y": 0.2, "w": 0.3, "h": 0.4},
            "track": make_speech(tmp_path / "other.wav", 0.6, pitch=120.0),
        },
    )

    async def work(adapter: BaseEngineAdapter) -> None:
        await desk.ask(adapter, aspect="1:1", speakers=speakers, preset="balanced")

    drive(tmp_path, models_dir, work)
    assert desk.ran["model"] == "balanced"
    video = probe(TOOL, desk.output).video
    assert video is not None
    assert (video.width, video.height, video.frames) == (16, 16, 15)


def test_a_text_model_of_wan2gp_runs_in_its_environment(tmp_path: Path, studio: Path) -> None:
    desk = Desk(tmp_path)

    async def work(adapter: BaseEngineAdapter) -> None:
        await desk.ask(adapter, aspect="1:1", wangp_model="Wan t2v 1.3B")

    drive(tmp_path, studio / "models", work, scenes, assets_dir=str(studio / "assets"))
    made = probe(TOOL, desk.output).video
    assert made is not None
    assert (made.width, made.height, made.fps) == (32, 32, 16.0)
    assert made.duration_s == pytest.approx(0.6, abs=1 / 16)
    assert desk.ran["model"] == "Wan t2v 1.3B (diffusers)"
    assert "diffusers" in desk.ran["made_by"]
