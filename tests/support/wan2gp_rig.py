"""A real worker process of Wan2GP on the stand-in of its engine: specification, a portrait and speech, tasks, what came."""

from __future__ import annotations

import asyncio
import sys
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from backend.engines.supervisor import TaskRequest, TaskResult, WorkerLimits, WorkerSpec, WorkerSupervisor
from backend.engines.worker_types import ProgressUpdate
from backend.models.errors import EngineFailure
from tests.fixtures.workers.harness import HOST, ROOT, make_request, supervised
from tests.media_samples import FFMPEG
from tests.support.fake_wan2gp import FakeWan2GP

RATE = 24_000
# Steps are short here: what does not stop within a second does not stop.
LIMITS = WorkerLimits(
    cancel_grace_s=3.0, term_grace_s=0.5, kill_grace_s=5.0, heartbeat_s=0.2, poll_s=0.02, idle_check_s=0.05
)
FACES = [
    {"face": {"x": 0.1, "y": 0.2, "w": 0.25, "h": 0.4}},
    {"face": {"x": 0.6, "y": 0.2, "w": 0.25, "h": 0.4}},
]


def write_spoken(path: Path, *stretches: float) -> Path:
    """A WAV as the speech stage leaves it: seconds of a buzzing tone, and of silence where negative."""
    pieces = []
    for seconds in stretches:
        t = np.arange(round(abs(seconds) * RATE)) / RATE
        tone = 0.3 * np.sign(np.sin(2 * np.pi * 150 * t)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
        pieces.append(tone if seconds > 0 else np.zeros_like(t))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes((np.concatenate(pieces) * 32767).astype("<i2").tobytes())
    return path


def write_portrait(path: Path, size: tuple[int, int] = (320, 320)) -> Path:
    image = Image.new("RGB", size, (70, 100, 130))
    ImageDraw.Draw(image).ellipse(
        (size[0] // 4, size[1] // 5, size[0] * 3 // 4, size[1] * 4 // 5), (220, 180, 150)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@dataclass
class Rig:
    """A supervised worker, the engine behind it, and a studio's worth of inputs."""

    folder: Path
    fake: FakeWan2GP
    supervisor: WorkerSupervisor
    updates: list[ProgressUpdate] = field(default_factory=list)

    def request(
        self,
        model: str = "Wan Multitalk",
        /,
        *,
        spoken: tuple[float, ...] = (1.0,),
        tracks: tuple[tuple[float, ...], ...] = (),
        task: str = "talking_avatar",
        inputs: dict[str, Path] | None = None,
        seed: int = 7,
        deadline_s: float = 60.0,
        **params: Any,
    ) -> TaskRequest:
        media = self.folder / "媒体 media"
        given = {
            "portrait": write_portrait(media / "portrait.png"),
            "audio": write_spoken(media / f"speech{len(spoken)}-{sum(map(abs, spoken))}.wav", *spoken),
        }
        for number, track in enumerate(tracks, 1):
            given[f"track_{number}"] = write_spoken(media / f"track_{number}.wav", *track)
        kept = self.folder / "kept"
        kept.mkdir(exist_ok=True)
        usual = {
            "model": model,
            "resolution": "512p",
            "aspect": "1:1",
            "prompt": "",
            "script": "Hello there. This is a test.",
            "speakers": FACES if tracks else [],
            "rung": 0,
            "checkpoint_dir": str(kept),
            "steps": 2,
        }
        return make_request(
            self.folder,
            task,
            inputs={**given, **(inputs or {})},
            params={**usual, **params} if task == "talking_avatar" else params,
            seed=seed,
            deadline_s=deadline_s,
        )

    async def make(
        self, request: TaskRequest, *, cancel_when: Callable[[], bool] | None = None
    ) -> TaskResult:
        """Run the task; `updates` hold its progress and no other's."""
        self.updates.clear()
        return await self.supervisor.run(
            request, report=self.updates.append, cancelled=cancel_when or (lambda: False)
        )

    async def failure(self, request: TaskRequest) -> EngineFailure:
        try:
            result = await self.make(request)
        except EngineFailure as failure:
            return failure
        raise AssertionError(f"it did not fail: {result}")

    def messages(self) -> list[str]:
        return [update.message for update in self.updates]


def wan2gp_spec(folder: Path, engine_root: Path, *, attention: str = "auto", **changes: Any) -> WorkerSpec:
    """The worker as the service starts it, in the interpreter of the tests."""
    spec = WorkerSpec(
        name="wan2gp",
        title="Wan2GP",
        python=Path(sys.executable),
        handler="workers.wan2gp.handler",
        host_script=HOST,
        work_dir=folder / "work",
        models_dir=folder / "models",
        cache_dir=folder / "cache",
        engine_root=engine_root,
        options={
            "assets_dir": str(ROOT / "assets"),
            "ffmpeg": str(FFMPEG.binary),
            "config_dir": str(folder / "cache" / "wan2gp" / "config"),
            "checkpoints": [str(folder / "models" / "wan2gp")],
            "profile": None,
            "attention": attention,
        },
        env={"PATH": "/usr/bin:/bin"},
        extra_env={"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "0"},
        start_timeout_s=60.0,
        idle_unload_s=0.0,
        recycle_after_tasks=0,
        limits=LIMITS,
    )
    return replace(spec, **changes)


@asynccontextmanager
async def wan2gp_rig(folder: Path, **changes: Any) -> AsyncIterator[Rig]:
    fake = FakeWan2GP(folder / "引擎 engine" / "wan2gp_core")
    async with supervised(wan2gp_spec(folder, fake.root, **changes)) as supervisor:
        yield Rig(folder, fake, supervisor)


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    give_up = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < give_up, f"never: {what}"
        await asyncio.sleep(0.02)
