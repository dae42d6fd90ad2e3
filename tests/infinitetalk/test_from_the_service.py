"""The service's adapter with the real worker process and a tiny random model: a job in, a video in its shape out."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.engines.infinitetalk_adapter import InfiniteTalkAdapter
from backend.engines.worker_types import WorkerLimits
from backend.models.errors import JobCancelled
from backend.utils.media.ffmpeg import Ffmpeg
from backend.utils.media.probe import probe
from installer.state import InstallState, write_state
from tests.fixtures.workers.harness import make_spec, supervised
from tests.infinitetalk.tiny_worker import FFMPEG, make_portrait, make_speech

# Importing torch on a busy machine takes its time, and it says nothing meanwhile.
START_S = 240.0
TOOL = Ffmpeg(Path(FFMPEG), 1)


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
        self, adapter: InfiniteTalkAdapter, *, cancel: Callable[[], bool] = lambda: False, **settings: Any
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


def drive(folder: Path, models_dir: Path, work: Callable[[InfiniteTalkAdapter], Any]) -> None:
    """Run `work` with the adapter over a worker process as the service starts it, on the processor."""
    spec = replace(
        make_spec(folder),
        name="infinitetalk",
        handler="workers.infinitetalk.handler",
        models_dir=models_dir,
        options={"ffmpeg": FFMPEG, "device": "cpu"},
        start_timeout_s=START_S,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        limits=WorkerLimits(),
    )

    async def run() -> None:
        async with supervised(spec) as worker:
            adapter = InfiniteTalkAdapter(
                worker, core_dir=installed(folder), has_weights=lambda _entry: True, ffmpeg=TOOL
            )
            await work(adapter)

    asyncio.run(run())


def test_a_job_becomes_a_video_in_the_shape_and_with_the_preset_that_were_asked_for(
    tmp_path: Path, models_dir: Path
) -> None:
    desk = Desk(tmp_path)

    async def work(adapter: InfiniteTalkAdapter) -> None:
        await desk.ask(adapter)

    drive(tmp_path, models_dir, work)
    video = probe(TOOL, desk.output).video
    assert video is not None
    # The tiny model draws 32 x 16, and 16:9 of that is shown.
    assert (video.width, video.height, video.frames) == (28, 16, 15)
    assert desk.ran["model"] == "turbo"
    assert desk.ran["parts_reused"] == 0
    assert any("Window 3 of 3" in message for message in desk.told)
    with Image.open(tmp_path / "attempt-1" / "portrait.png") as shown:
        assert shown.size == (90, 51), "the whole width, and as much of the height as belongs to it"
    assert (tmp_path / "attempt-1" / "infinitetalk" / "preview.jpg").is_file(), "where the page looks for it"


def test_a_cancelled_job_is_gone_on_with_at_the_window_that_was_not_finished(
    tmp_path: Path, models_dir: Path
) -> None:
    # Twelve windows: the cancel comes after the first and has the time of many to arrive.
    desk = Desk(tmp_path, seconds=2.0)

    async def work(adapter: InfiniteTalkAdapter) -> None:
        with pytest.raises(JobCancelled):
            await desk.ask(adapter, cancel=lambda: any(said.endswith("is done") for said in desk.told))
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

    async def work(adapter: InfiniteTalkAdapter) -> None:
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

    async def work(adapter: InfiniteTalkAdapter) -> None:
        await desk.ask(adapter, aspect="1:1", speakers=speakers, preset="balanced")

    drive(tmp_path, models_dir, work)
    assert desk.ran["model"] == "balanced"
    video = probe(TOOL, desk.output).video
    assert video is not None
    assert (video.width, video.height, video.frames) == (16, 16, 15)
