"""The cloning engines as the service sees them: what is missing, in words; what the worker is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.engines.speech.base import DictionaryEntry, SpeechOrder, VoiceFiles
from backend.engines.speech.clone import CloneSpeechEngine
from backend.engines.speech.moss_nano import MossNanoSpeechEngine
from backend.engines.speech.voxcpm import VoxCpmSpeechEngine
from backend.engines.worker_types import TaskRequest, TaskResult, WorkerArtifact, WorkerSnapshot
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services.model_catalogue import load_catalogue
from backend.services.speech_engines import VOXCPM_CORE, clone_engines
from installer.engines import VOXCPM
from installer.state import STATE_NAME, InstallState, write_state
from workers.moss_nano import layout
from workers.voxcpm import model as voxcpm_model

ROOT = Path(__file__).resolve().parents[3]


class ScriptedWorker:
    """An EngineWorker that remembers what it was asked and leaves both files."""

    def __init__(self) -> None:
        self.requests: list[TaskRequest] = []
        self.unavailable_until_ms: int | None = None
        self.leaves = ("speech", "timings")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def warm(self) -> None: ...

    async def run(self, request: TaskRequest, *, report: Any, cancelled: Any) -> TaskResult:
        self.requests.append(request)
        artifacts = tuple(
            WorkerArtifact(role, request.output_dir / role, 1, "0" * 64, "audio/wav", None, None, None, None)
            for role in self.leaves
        )
        return TaskResult({"duration_s": 1.5, "language": "zh"}, artifacts, {})

    def snapshot(self) -> WorkerSnapshot:
        return WorkerSnapshot("x", "idle", unavailable_until_ms=self.unavailable_until_ms)


@pytest.fixture
def worker() -> ScriptedWorker:
    return ScriptedWorker()


def environment_in(core: Path, *, ready: bool) -> None:
    python = core / "python_env" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("")
    write_state(core, InstallState(str(core), ready=ready))


def test_voxcpm_says_step_by_step_what_is_missing(worker: ScriptedWorker, tmp_path: Path) -> None:
    has = False
    engine = VoxCpmSpeechEngine(worker, core_dir=tmp_path, has_weights=lambda: has)
    missing = engine.readiness()
    assert (missing.state, missing.code) == ("NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED)
    assert "install_voxcpm.sh" in (missing.fix or "")
    environment_in(tmp_path, ready=False)
    half = engine.readiness()
    assert (half.state, half.code) == ("NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED)
    assert "not finished" in (half.reason or "")
    environment_in(tmp_path, ready=True)
    no_weights = engine.readiness()
    assert (no_weights.state, no_weights.code) == ("NOT_INSTALLED", ErrorCode.MODEL_MISSING)
    assert "POST /api/models/voxcpm2/download" in (no_weights.fix or "")
    has = True
    assert engine.readiness().is_ready
    worker.unavailable_until_ms = 1_800_000_000_000
    resting = engine.readiness()
    assert (resting.state, resting.code) == ("UNAVAILABLE", ErrorCode.ENGINE_UNAVAILABLE)


def test_an_installation_that_was_moved_is_not_whole(worker: ScriptedWorker, tmp_path: Path) -> None:
    environment_in(tmp_path / "a", ready=True)
    (tmp_path / "a").rename(tmp_path / "b")
    engine = VoxCpmSpeechEngine(worker, core_dir=tmp_path / "b", has_weights=lambda: True)
    assert "not finished" in (engine.readiness().reason or "")
    (tmp_path / "b" / STATE_NAME).write_text("no json")
    assert engine.readiness().code == ErrorCode.ENGINE_NOT_INSTALLED


def test_moss_needs_its_weights_and_nothing_else(worker: ScriptedWorker) -> None:
    missing = MossNanoSpeechEngine(worker, has_weights=lambda: False).readiness()
    assert (missing.state, missing.code) == ("NOT_INSTALLED", ErrorCode.MODEL_MISSING)
    assert "POST /api/models/moss-tts-nano/download" in (missing.fix or "")
    assert MossNanoSpeechEngine(worker, has_weights=lambda: True).readiness().is_ready


async def speak(engine: CloneSpeechEngine, work_dir: Path, **order: Any) -> Any:
    return await engine.speak(
        SpeechOrder(**order),
        job_id="job_x",
        attempt=2,
        work_dir=work_dir,
        deadline_s=60.0,
        report=lambda fraction, message: None,
        cancelled=lambda: False,
    )


async def test_sample_transcript_and_dictionary_go_to_the_worker(
    worker: ScriptedWorker, tmp_path: Path
) -> None:
    voice = VoiceFiles(tmp_path / "reference.wav", preset="zf_xiaobei", reference_text="我说的话")
    spoken = await speak(
        MossNanoSpeechEngine(worker, has_weights=lambda: True),
        tmp_path,
        text="你好",
        voice=voice,
        speed=1.25,
        pitch=-2.0,
        pause_ms=400,
        seed=7,
        dictionary=(DictionaryEntry("行", "hang2"),),
    )
    (request,) = worker.requests
    assert spoken.manner == "clone"
    assert request.task == "speech"
    assert request.seed == 7
    assert request.params == {"speed": 1.25, "pitch": -2.0, "pause_ms": 400}
    assert request.inputs["reference"] == tmp_path / "reference.wav"
    assert request.inputs["reference_text"].read_text("utf-8") == "我说的话"
    script = json.loads(request.inputs["script"].read_text("utf-8"))
    assert script["text"] == "你好"
    assert script["dictionary"] == [{"term": "行", "reading": "hang2"}]


async def test_without_a_transcript_none_is_sent_and_a_preset_is_refused(
    worker: ScriptedWorker, tmp_path: Path
) -> None:
    engine = MossNanoSpeechEngine(worker, has_weights=lambda: True)
    await speak(engine, tmp_path, text="Hi", voice=VoiceFiles(tmp_path / "r.wav", preset="af_heart"))
    assert set(worker.requests[0].inputs) == {"script", "reference"}
    assert not engine.is_for_voice("af_heart")
    with pytest.raises(EngineFailure, match="no built-in voices"):
        await speak(engine, tmp_path, text="Hi", voice="af_heart")


async def test_a_worker_that_leaves_no_sound_has_failed(worker: ScriptedWorker, tmp_path: Path) -> None:
    worker.leaves = ("timings",)
    with pytest.raises(EngineFailure) as caught:
        await speak(
            MossNanoSpeechEngine(worker, has_weights=lambda: True),
            tmp_path,
            text="Hi",
            voice=VoiceFiles(tmp_path / "r.wav", preset="af_heart"),
        )
    assert caught.value.code == ErrorCode.NO_OUTPUT


def test_the_gpu_engine_comes_first_and_each_asks_for_its_own_weights(
    worker: ScriptedWorker, tmp_path: Path
) -> None:
    asked: list[str] = []

    def has_weights(model_id: str) -> bool:
        asked.append(model_id)
        return True

    environment_in(tmp_path / VOXCPM_CORE, ready=True)
    engines = clone_engines({"voxcpm": worker, "moss_nano": worker}, has_weights, base_dir=tmp_path)
    assert [engine.name for engine in engines] == ["voxcpm", "moss_nano"]
    assert all(engine.is_clone and engine.readiness().is_ready and engine.disclosure for engine in engines)
    assert asked == ["voxcpm2", "moss-tts-nano"]


def test_catalogue_workers_and_installer_speak_of_the_same_files_and_folders() -> None:
    catalogue = load_catalogue(ROOT / "assets" / "catalogue")
    moss, vox = catalogue.get("moss-tts-nano"), catalogue.get("voxcpm2")
    assert moss is not None
    assert vox is not None
    assert (moss.folder, moss.engine) == (layout.FOLDER, MossNanoSpeechEngine.name)
    assert {file.path for file in moss.files} == set(layout.FILES)
    assert (vox.folder, vox.engine) == (voxcpm_model.FOLDER, VoxCpmSpeechEngine.name)
    assert set(voxcpm_model.FILES) <= {file.path for file in vox.files}
    assert all(file.sha256 and file.bytes for model in (moss, vox) for file in model.files)
    assert VOXCPM.core_folder == VOXCPM_CORE
    assert VOXCPM.model_id == VoxCpmSpeechEngine.model_id
    assert STATE_NAME == "all-in-one.json"
