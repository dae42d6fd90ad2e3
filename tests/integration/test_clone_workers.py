"""Both cloning engines from the service's side down to a real worker process: MOSS-TTS-Nano on tiny graphs, VoxCPM2 on
a stand-in of its package in a stand-in of its environment."""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.engines.speech.base import BaseSpeechEngine, Speech, SpeechOrder, VoiceFiles
from backend.engines.speech.moss_nano import MossNanoSpeechEngine
from backend.engines.speech.voxcpm import VoxCpmSpeechEngine
from backend.engines.worker_port import EngineWorker
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.services.gpu_fleet import GPU_ENGINES, gpu_worker
from backend.services.worker_fleet import cpu_worker
from backend.utils.clock import SystemClock
from backend.utils.config import Settings, load_settings
from backend.utils.media.ffmpeg import locate_ffmpeg
from installer.state import InstallState, write_state
from tests.support.speech_task import write_reference
from tests.support.tiny_moss import write_tiny_moss
from workers.voxcpm import model as voxcpm_model

SITE = Path(__file__).resolve().parents[1] / "fixtures" / "voxcpm" / "site"


class Notes:
    """Hears of processes and forgets them."""

    def worker_spawned(self, identity: object) -> None: ...

    def worker_died(self, identity: object, exit_code: int | None) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path / "none.env", data_dir=tmp_path / "数据 data", logs_dir=tmp_path / "logs")


@pytest.fixture
def voice(tmp_path: Path) -> VoiceFiles:
    return VoiceFiles(write_reference(tmp_path / "样本.wav"), preset="af_heart", reference_text="This is me.")


@pytest.fixture
async def moss(settings: Settings) -> AsyncIterator[BaseSpeechEngine]:
    settings.models_dir.mkdir(parents=True)
    write_tiny_moss(settings.models_dir, frames=12)
    worker: EngineWorker = cpu_worker(
        "moss_nano",
        "MOSS",
        settings,
        ffmpeg=Path("ffmpeg"),
        clock=SystemClock(),
        notes=Notes(),  # type: ignore[arg-type]
    )
    await worker.start()
    yield MossNanoSpeechEngine(worker, has_weights=lambda: True)
    await worker.stop()


def environment(core: Path, **variables: str) -> None:
    """`python_env` with a Python that has the stand-ins of torch and voxcpm."""
    python = core / "python_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    exports = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    python.write_text(f"#!/bin/sh\nexport PYTHONPATH='{SITE}'\n{exports}exec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    write_state(core, InstallState(str(core), ready=True, facts={"gpu_index": 1}))


async def voxcpm_in(core: Path, settings: Settings) -> tuple[BaseSpeechEngine, EngineWorker]:
    folder = settings.models_dir / voxcpm_model.FOLDER
    folder.mkdir(parents=True)
    for name in voxcpm_model.FILES:
        (folder / name).write_text("{}", "utf-8")
    (voxcpm,) = (engine for engine in GPU_ENGINES if engine.name == "voxcpm")
    worker = gpu_worker(
        voxcpm, core, settings, None, ffmpeg=locate_ffmpeg(), clock=SystemClock(), notes=Notes()
    )
    await worker.start()
    return VoxCpmSpeechEngine(worker, core_dir=core, has_weights=lambda: True), worker


async def speak(engine: BaseSpeechEngine, voice: VoiceFiles, folder: Path, text: str, **more: Any) -> Speech:
    folder.mkdir(exist_ok=True)
    return await engine.speak(
        SpeechOrder(text=text, voice=voice, seed=5),
        job_id="job_abcdefgh",
        attempt=1,
        work_dir=folder,
        deadline_s=100.0,
        report=more.get("report", lambda fraction, message: None),
        cancelled=more.get("cancelled", lambda: False),
    )


def samples_of(speech: Speech) -> np.ndarray:
    with wave.open(str(speech.wav)) as stream:
        assert (stream.getframerate(), stream.getnchannels(), stream.getsampwidth()) == (24_000, 1, 2)
        return np.frombuffer(stream.readframes(stream.getnframes()), "<i2") / 32768.0


async def test_moss_speaks_a_job_in_its_own_process(
    moss: BaseSpeechEngine, voice: VoiceFiles, tmp_path: Path
) -> None:
    assert moss.readiness().is_ready
    heard: list[float | None] = []
    spoken = await speak(
        moss,
        voice,
        tmp_path / "w",
        "Hello there. 今天天气很好。",
        report=lambda fraction, message: heard.append(fraction),
    )
    assert spoken.manner == "clone"
    timings = json.loads(spoken.timings.read_text("utf-8"))
    assert [sentence["text"] for sentence in timings["sentences"]] == ["Hello there.", "今天天气很好。"]
    assert len(samples_of(spoken)) / 24_000 == pytest.approx(spoken.duration_s, abs=0.01)
    assert heard[-1] == 1.0
    again = await speak(moss, voice, tmp_path / "w2", "Hello there. 今天天气很好。")
    assert np.array_equal(samples_of(spoken), samples_of(again))


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in of the environment is a shell script")
async def test_voxcpm_speaks_a_job_in_its_own_environment(
    settings: Settings, voice: VoiceFiles, tmp_path: Path
) -> None:
    environment(tmp_path / "core")
    engine, worker = await voxcpm_in(tmp_path / "core", settings)
    try:
        spoken = await speak(engine, voice, tmp_path / "w", "Hello there. 今天天气很好。")
        assert spoken.manner == "clone"
        assert spoken.duration_s == pytest.approx(2 * 8 / 6 + 0.5, abs=0.3)
        assert np.abs(samples_of(spoken)).max() > 0.05
        ready = worker.snapshot().ready
        assert ready["torch"] == "2.10.0+cu130"
        assert ready["devices"] == ["cuda"]
    finally:
        await worker.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in of the environment is a shell script")
@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"FAKE_VOXCPM_PLAN": "oom"}, ErrorCode.GPU_OOM),
        ({"FAKE_VOXCPM_PLAN": "nan,nan,nan"}, ErrorCode.NO_OUTPUT),
        ({"FAKE_TORCH_NO_GPU": "1"}, ErrorCode.GPU_UNSUPPORTED),
    ],
)
async def test_what_goes_wrong_in_the_worker_has_its_code(
    settings: Settings, voice: VoiceFiles, tmp_path: Path, variables: dict[str, str], code: ErrorCode
) -> None:
    environment(tmp_path / "core", **variables)
    engine, worker = await voxcpm_in(tmp_path / "core", settings)
    try:
        with pytest.raises(EngineFailure) as caught:
            await speak(engine, voice, tmp_path / "w", "Hello there, my friend.")
        assert caught.value.code == code
    finally:
        await worker.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in of the environment is a shell script")
async def test_a_cancel_reaches_a_sentence_that_does_not_end(
    settings: Settings, voice: VoiceFiles, tmp_path: Path
) -> None:
    environment(tmp_path / "core", FAKE_VOXCPM_PLAN="slow")
    engine, worker = await voxcpm_in(tmp_path / "core", settings)
    begun = False

    def report(fraction: float | None, message: str) -> None:
        nonlocal begun
        begun = True

    try:
        with pytest.raises(JobCancelled):
            await speak(engine, voice, tmp_path / "w", "Hello there.", report=report, cancelled=lambda: begun)
        assert worker.snapshot().restarts == 0  # it ended by itself, nobody had to kill it
    finally:
        await worker.stop()
