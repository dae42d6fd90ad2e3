"""Wan2GP's voices as engines of speech: their table, their order, and that worker, service and catalogue agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.engines.base import READY, Readiness
from backend.engines.speech.base import BaseSpeechEngine, SpeechOrder, VoiceFiles
from backend.engines.speech.wan2gp import Wan2GPSpeechEngine, load_voice_facts
from backend.engines.worker_types import TaskRequest, TaskResult, WorkerArtifact, WorkerSnapshot
from backend.models.codes import ErrorCode
from backend.services.model_catalogue import load_catalogue
from backend.services.speech_engines import clone_engines
from tests.support.twin_worker import TwinWorker
from workers.wan2gp.voices import load_voices

ROOT = Path(__file__).resolve().parents[3]
FACTS = load_voice_facts(ROOT / "assets")
NAMES = ["wan2gp_qwen3_tts", "wan2gp_index_tts", "wan2gp_chatterbox", "wan2gp_omnivoice"]
# What upstream's own description of each model lists (get_model_def, commit 8681e9f7), of the languages that matter here.
MODES = {
    "qwen3_tts_base": {"auto", "chinese", "english", "japanese"},
    "index_tts25": {"EN", "ZH", "ZHEN", "JA", "ES", "AR"},
    "chatterbox": {"en", "zh", "ja"},
    "omnivoice": {"auto", "chinese", "english", "japanese"},
}


class Remembering(TwinWorker):
    """Leaves both files and remembers the request."""

    unavailable_until_ms: int | None = None

    async def run(self, request: TaskRequest, **_: object) -> TaskResult:
        self.seen.append(request)
        artifacts = tuple(
            WorkerArtifact(role, request.output_dir / role, 1, "", "", None, None, None, None)
            for role in ("speech", "timings")
        )
        return TaskResult({"duration_s": 1.0, "language": "en"}, artifacts, {})

    def snapshot(self) -> WorkerSnapshot:
        return WorkerSnapshot("wan2gp", "idle", unavailable_until_ms=self.unavailable_until_ms)


def test_they_come_after_the_gpu_engine_of_our_own_and_before_the_processor(tmp_path: Path) -> None:
    worker = TwinWorker("x")
    workers = dict.fromkeys(("voxcpm", "moss_nano", "wan2gp"), worker)
    engines = clone_engines(workers, lambda model: True, base_dir=tmp_path)
    assert [engine.name for engine in engines] == ["voxcpm", *NAMES, "moss_nano"]
    # One whose weights may not be used commercially is the last to be chosen by itself.
    assert next(facts for facts in FACTS if facts.terms and "commercially" in facts.terms) is FACTS[-1]
    del workers["wan2gp"]
    without = clone_engines(workers, lambda model: True, base_dir=tmp_path)
    assert [engine.name for engine in without] == ["voxcpm", "moss_nano"]


def test_each_says_what_is_missing_in_the_order_in_which_it_is_mended() -> None:
    there: set[str] = set()
    environment = Readiness("NOT_INSTALLED", ErrorCode.ENGINE_NOT_INSTALLED, "Not here.", "Run it.")
    worker = Remembering("wan2gp")
    engine = Wan2GPSpeechEngine(
        worker, FACTS[1], environment=lambda: environment, has_weights=there.__contains__
    )
    assert engine.readiness() == environment
    environment = READY
    missing = engine.readiness()
    assert (missing.state, missing.code) == ("NOT_INSTALLED", ErrorCode.MODEL_MISSING)
    assert "POST /api/models/wan2gp-core/download" in (missing.fix or "")
    assert "POST /api/models/wan2gp-index-tts/download" in (missing.fix or "")
    there.add("wan2gp-core")
    half = engine.readiness()
    assert "wan2gp-core" not in (half.fix or "")
    assert "wan2gp-index-tts" in (half.fix or "")
    there.add("wan2gp-index-tts")
    assert engine.readiness().is_ready
    worker.unavailable_until_ms = 1_800_000_000_000
    assert engine.readiness().code == ErrorCode.ENGINE_UNAVAILABLE


async def test_the_worker_hears_which_model_speaks_and_nothing_is_warmed_for_it(tmp_path: Path) -> None:
    worker = Remembering("wan2gp")
    engine = Wan2GPSpeechEngine(worker, FACTS[0], environment=lambda: READY, has_weights=lambda model: True)
    await engine.warm()
    assert worker.warmed == 0
    assert engine.uses_gpu
    spoken = await engine.speak(
        SpeechOrder(text="Hi", voice=VoiceFiles(tmp_path / "r.wav", reference_text="Me."), speed=1.5),
        job_id="job_x",
        attempt=1,
        work_dir=tmp_path,
        deadline_s=60.0,
        report=lambda fraction, message: None,
        cancelled=lambda: False,
    )
    (request,) = worker.seen
    assert spoken.manner == "clone"
    assert (request.task, request.model) == ("speech", NAMES[0])
    assert request.params == {"model": NAMES[0], "speed": 1.5, "pitch": 0.0, "pause_ms": 300}
    assert set(request.inputs) == {"script", "reference", "reference_text"}


def test_service_worker_and_catalogue_speak_of_the_same_models() -> None:
    voices = load_voices(ROOT / "assets")
    catalogue = load_catalogue(ROOT / "assets" / "catalogue")
    assert [facts.name for facts in FACTS] == list(voices) == NAMES
    for facts in FACTS:
        assert facts.languages == set(voices[facts.name].languages) >= {"zh", "en"}
        assert "wan2gp-core" in facts.catalogue, "upstream loads no model without its core files"
        models = [catalogue.get(model) for model in facts.catalogue]
        assert all(model is not None and model.engine == "wan2gp" for model in models)
        own = models[-1]
        assert own is not None
        assert own.licence == facts.licence
        assert own.purpose == "voice"


def test_every_model_and_every_word_for_a_language_is_one_that_upstream_knows() -> None:
    voices = load_voices(ROOT / "assets").values()
    assert {voice.model_type for voice in voices} == set(MODES)
    for voice in voices:
        words = {*voice.languages.values(), *([voice.mixed] if voice.mixed else [])}
        assert words <= MODES[voice.model_type]
    # Japanese needs a package there that upstream does not install: it would be read sign by sign.
    assert "ja" not in next(voice for voice in voices if voice.model_type == "chatterbox").languages


def test_a_damaged_table_stops_the_start_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "wan2gp").mkdir()
    for text in ("", "[]", '{"voices": [{"name": "x"}]}'):
        (tmp_path / "wan2gp" / "voices.json").write_text(text, "utf-8")
        with pytest.raises(ValueError, match=r"voices\.json"):
            load_voice_facts(tmp_path)


def test_what_a_person_must_know_is_told_with_every_engine() -> None:
    engines: list[BaseSpeechEngine] = [
        Wan2GPSpeechEngine(TwinWorker("x"), facts, environment=lambda: READY, has_weights=lambda model: True)
        for facts in FACTS
    ]
    for engine in engines:
        assert "permission" in (engine.disclosure or "")
        assert "Powered by WanGP" in (engine.disclosure or "")
    assert len({engine.title_en for engine in engines} | {engine.title_zh for engine in engines}) == 8
