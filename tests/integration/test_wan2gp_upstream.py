"""Our worker against the REAL upstream Wan2GP, on a CPU: only the loading of models and the drawing are stood in for.

Not part of the usual run: upstream is cloned by its users, not kept here. Set AIO_TEST_WAN2GP to a `wan2gp_core` folder
(wgp.py at the commit that assets/wan2gp/models.json names, `python_env` with its packages and a PyTorch for the CPU, and
ffmpeg and ffprobe in `tools/ffmpeg` or on PATH). The worker writes nothing into that folder but what upstream itself
creates there at every start (settings/, loras/, ffmpeg_bins/).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from backend.engines.supervisor import (
    ProgressUpdate,
    TaskRequest,
    TaskResult,
    WorkerLimits,
    WorkerSpec,
    WorkerSupervisor,
)
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils.clock import SystemClock
from backend.utils.media.ffmpeg import locate_ffmpeg
from tests.fixtures.workers.harness import HOST, LOG, ROOT, Witness, make_request
from tests.support.speech_task import write_reference
from tests.support.wan2gp_cpu.orders import VARIABLE, Orders
from workers.wan2gp.media import probe_video
from workers.wan2gp.table import TABLE_PATH, load_table

_CORE = os.environ.get("AIO_TEST_WAN2GP", "")
_PYTHON = Path(_CORE) / "python_env" / "bin" / "python"

pytestmark = [
    pytest.mark.wan2gp_upstream,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not _CORE or not (Path(_CORE) / "wgp.py").is_file() or not _PYTHON.is_file(),
        reason="AIO_TEST_WAN2GP does not name a wan2gp_core folder with wgp.py and python_env",
    ),
]

FFMPEG = str(locate_ffmpeg())
TABLE = load_table(ROOT / "assets")
# Beside the real models the worker's table has each of the talking ones once more, with parts of two seconds: what
# happens between parts does not need minutes of film.
SHORT = "Short "
_SHORT_FRAMES = 49
RATE = 24000
# The product waits longer; a model that is being loaded here sleeps for a known time.
LIMITS = WorkerLimits(cancel_grace_s=4.0, term_grace_s=1.0, kill_grace_s=5.0, poll_s=0.05)
SPEECH = [model.name for model in TABLE.models if model.drive == "speech"]
TEXT = [model.name for model in TABLE.models if model.drive == "text"]
VOICES = [
    voice["name"] for voice in json.loads((ROOT / "assets/wan2gp/voices.json").read_text("utf-8"))["voices"]
]
PAIRS = [model.name for model in TABLE.models if model.two_speakers]


@dataclass
class Rig:
    """One worker for all tests of this file: that is what jobs in a row mean."""

    folder: Path
    supervisor: WorkerSupervisor
    orders: Orders
    witness: Witness
    updates: list[ProgressUpdate] = field(default_factory=list)

    def job(self, model: str, *, seconds: float = 1.4, pair: bool = False, **params: Any) -> TaskRequest:
        """A job as the service would give it; two steps only."""
        request = make_request(self.folder, "talking_avatar", deadline_s=500.0, seed=4711)
        inputs = {
            "portrait": picture(self.folder / "人像 portrait.png"),
            "audio": speech(self.folder / f"speech-{seconds}.wav", seconds),
        }
        if pair:
            for name in ("track_1", "track_2"):
                inputs[name] = speech(self.folder / f"{name}-{seconds}.wav", seconds)
        given = {
            "model": model,
            "resolution": "512p",
            "aspect": "1:1",
            "prompt": "",
            "script": "The quick brown fox. It jumps over the lazy dog.",
            "speakers": [{"face": None}, {"face": None}] if pair else [],
            "rung": 0,
            "steps": 2,
            "checkpoint_dir": str(request.output_dir.parent / f"kept-{request.attempt}"),
            **params,
        }
        return replace(request, inputs=inputs, params=given)

    async def run(
        self, request: TaskRequest, cancel_when: Callable[[ProgressUpdate], bool] | None = None
    ) -> TaskResult:
        """Run the job; ask for its end as soon as `cancel_when` is true of a report."""
        self.updates = []
        self.orders.forget()
        stop = False

        def report(update: ProgressUpdate) -> None:
            nonlocal stop
            self.updates.append(update)
            stop = stop or (cancel_when is not None and cancel_when(update))

        return await self.supervisor.run(request, report=report, cancelled=lambda: stop)

    async def failure(self, request: TaskRequest) -> EngineFailure:
        with pytest.raises(EngineFailure) as caught:
            await self.run(request)
        return caught.value

    def settings(self) -> list[dict[str, Any]]:
        """What reached upstream's generation, one for each part."""
        return [note["settings"] for note in self.orders.seen("settings")]


def picture(path: Path, size: tuple[int, int] = (480, 640)) -> Path:
    if not path.exists():
        Image.linear_gradient("L").resize(size).convert("RGB").save(path)
    return path


def speech(path: Path, seconds: float) -> Path:
    """A tone with a pause of silence in its middle."""
    if not path.exists():
        samples = (np.sin(np.arange(round(seconds * RATE)) * 0.08) * 8000).astype("<i2")
        middle = len(samples) // 2
        samples[middle - RATE // 8 : middle + RATE // 8] = 0
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
    return path


def assets_with_short_parts(folder: Path) -> Path:
    """The product's assets, with a table that has the short models too."""
    (folder / "wan2gp").mkdir(parents=True)
    for entry in (ROOT / "assets").iterdir():
        if entry.name != "wan2gp":
            (folder / entry.name).symlink_to(entry)
    for entry in (ROOT / "assets" / "wan2gp").iterdir():
        if entry.name != TABLE_PATH.name:
            (folder / "wan2gp" / entry.name).symlink_to(entry)
    table = folder / TABLE_PATH
    raw = json.loads((ROOT / "assets" / TABLE_PATH).read_text(encoding="utf-8"))
    raw["video"] += [
        {**model, "name": SHORT + model["name"], "frames_max_part": _SHORT_FRAMES}
        for model in raw["video"]
        if model["drive"] == "speech"
    ]
    table.write_text(json.dumps(raw), encoding="utf-8")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("wan2gp 上游")
    for name in ("work", "orders"):
        (folder / name).mkdir()
    spec = WorkerSpec(
        name="wan2gp",
        python=_PYTHON,
        handler="tests.support.wan2gp_cpu.handler",
        host_script=HOST,
        work_dir=folder / "work",
        models_dir=folder / "models",
        cache_dir=folder / "cache",
        engine_root=Path(_CORE),
        options={
            "assets_dir": str(assets_with_short_parts(folder / "assets")),
            "ffmpeg": FFMPEG,
            "config_dir": str(folder / "cache" / "wan2gp" / "config"),
            "checkpoints": [str(folder / "models" / "wan2gp")],
            "profile": None,
            "attention": "auto",
        },
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "HF_HOME": str(folder / "hf")},
        extra_env={VARIABLE: str(folder / "orders"), "HF_ENDPOINT": "http://127.0.0.1:9"},
        idle_unload_s=0.0,
        recycle_after_tasks=0,
        limits=LIMITS,
    )
    witness = Witness()
    supervisor = WorkerSupervisor(spec, log=LOG, clock=SystemClock(), observer=witness)
    await supervisor.start()
    try:
        await supervisor.warm()
        yield Rig(folder, supervisor, Orders(folder / "orders"), witness)
    finally:
        await supervisor.stop(2.0)
        assert len(witness.died) == len(witness.spawned)


@pytest.fixture
def rig(whole_rig: Rig) -> Rig:
    whole_rig.orders.give()
    whole_rig.orders.forget()
    return whole_rig


def check_film(result: TaskResult, request: TaskRequest) -> None:
    """The artifact is a film of the promised size, rate and length."""
    (artifact,) = result.artifacts
    assert artifact.role == "video"
    info = probe_video(artifact.path, ffmpeg=FFMPEG, check=lambda: None)
    assert (info.width, info.height) == (result.data["width"], result.data["height"])
    assert info.fps == result.data["fps"]
    with wave.open(str(request.inputs["audio"])) as file:
        seconds = file.getnframes() / file.getframerate()
    assert info.frames >= math.floor(seconds * info.fps)
    left = {path.name for path in request.output_dir.iterdir()}
    assert left <= {"video.mp4", "preview.jpg", "upstream"}
    assert not (request.output_dir / "upstream").exists() or not any(
        (request.output_dir / "upstream").iterdir()
    )


def check_progress(updates: list[ProgressUpdate]) -> None:
    """Never back, from the beginning to nearly the end, and said in words."""
    fractions = [update.fraction for update in updates if update.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert 0.9 < fractions[-1] <= 1.0
    assert all(update.message for update in updates)


async def test_it_starts_without_weights_and_says_what_it_is(rig: Rig) -> None:
    ready = rig.supervisor.snapshot().ready
    assert ready["upstream"] == TABLE.upstream.version
    assert set(ready["models"]) >= {model.name for model in TABLE.models}
    assert rig.orders.seen("load") == []


@pytest.mark.parametrize("model", [*SPEECH, *TEXT])
async def test_every_model_makes_a_film_as_long_as_the_speech(rig: Rig, model: str) -> None:
    request = rig.job(model)
    result = await rig.run(request)
    check_film(result, request)
    check_progress(rig.updates)
    described = TABLE.video(model)
    (settings,) = rig.settings()
    assert result.data["model_type"] == described.types[1] == settings["model_type"]
    assert settings["multi_prompts_gen_type"] == "FG"
    assert settings["seed"] >= 0
    assert settings["num_inference_steps"] == 2
    (drawn,) = rig.orders.seen("draw")
    assert drawn["sampling_steps"] == 2
    assert f"{drawn['width']}x{drawn['height']}" == settings["resolution"]
    if described.drive == "speech":
        assert "A" in settings["audio_prompt_type"]
        assert Path(settings["audio_guide"]).is_absolute()
        assert settings["audio_guide2"] is None
        assert settings["image_start"] or settings["image_refs"]
    else:
        assert settings["audio_guide"] is None
        assert "fox" in settings["prompt"]
    preview = request.output_dir / "preview.jpg"
    assert preview.read_bytes()[:3] == b"\xff\xd8\xff"
    assert preview.stat().st_size <= 60_000


@pytest.mark.parametrize("model", PAIRS)
async def test_two_speakers_reach_upstream_as_two_tracks_at_two_places(rig: Rig, model: str) -> None:
    faces = [
        {"face": {"x": 0.1, "y": 0.2, "w": 0.2, "h": 0.3}},
        {"face": {"x": 0.6, "y": 0.2, "w": 0.2, "h": 0.3}},
    ]
    request = rig.job(model, pair=True, speakers=faces)
    result = await rig.run(request)
    check_film(result, request)
    (settings,) = rig.settings()
    assert settings["model_type"] == TABLE.video(model).types[2]
    assert "B" in settings["audio_prompt_type"]
    assert settings["audio_guide"] != settings["audio_guide2"]
    boxes = settings["speakers_locations"].split()
    assert len(boxes) == 2
    (drawn,) = rig.orders.seen("draw")
    assert drawn["speakers_bboxes"] is not None


async def test_the_large_size_of_multitalk_takes_its_own_weights(rig: Rig) -> None:
    request = rig.job("Wan Multitalk", seconds=0.6, resolution="720p", aspect="9:16")
    result = await rig.run(request)
    check_film(result, request)
    assert result.data["model_type"] == "multitalk_720p"
    assert result.data["height"] > result.data["width"]


async def test_a_prompt_with_line_breaks_and_markup_arrives_as_one_prompt(rig: Rig) -> None:
    prompt = "A calm studio.\r\n\r\n# Warm light {soft}\n!Bang [/new_shot] 你好\n"
    result = await rig.run(rig.job("Wan Multitalk", prompt=prompt))
    assert result.data["parts"] == 1
    (drawn,) = rig.orders.seen("draw")
    for word in ("A calm studio.", "Warm light", "soft", "Bang", "new_shot", "你好"):
        assert word in drawn["input_prompt"]


async def test_windows_count_as_one_true_progress(rig: Rig) -> None:
    request = rig.job("InfiniteTalk (Wan2GP)", seconds=6.0)
    result = await rig.run(request)
    check_film(result, request)
    check_progress(rig.updates)
    assert len(rig.orders.seen("draw")) > 1
    assert any("window 2 of" in update.message.lower() for update in rig.updates)


@pytest.mark.parametrize("model", SPEECH)
async def test_long_speech_is_drawn_in_parts_that_go_on_from_each_other(rig: Rig, model: str) -> None:
    request = rig.job(SHORT + model, seconds=3.4)
    result = await rig.run(request)
    check_film(result, request)
    check_progress(rig.updates)
    sent = rig.settings()
    assert result.data["parts"] == len(sent) > 1
    assert len({settings["audio_guide"] for settings in sent}) == len(sent)
    assert len({settings["output_filename"] for settings in sent}) == len(sent)
    assert rig.orders.seen("load")[1:] == []
    if (
        TABLE.video(model).continues == "video"
    ):  # from the last frames of the part before, or its very last one
        begins = [settings["video_source"] or settings["image_start"] for settings in sent]
        assert len({str(begin) for begin in begins}) == len(sent)
    frames = sum(drawn["frame_num"] for drawn in rig.orders.seen("draw"))
    assert frames >= 3.4 * TABLE.video(model).fps


@pytest.mark.parametrize("model", PAIRS)
async def test_two_speakers_keep_their_tracks_in_every_part(rig: Rig, model: str) -> None:
    request = rig.job(SHORT + model, seconds=3.4, pair=True)
    result = await rig.run(request)
    check_film(result, request)
    assert all("B" in settings["audio_prompt_type"] for settings in rig.settings())
    assert len({settings["audio_guide2"] for settings in rig.settings()}) == result.data["parts"] > 1


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("portrait", b"not a picture", ErrorCode.IMAGE_UNREADABLE),
        ("portrait", b"", ErrorCode.IMAGE_UNREADABLE),
        ("portrait", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, ErrorCode.IMAGE_UNREADABLE),
        ("audio", b"not a sound", ErrorCode.AUDIO_UNREADABLE),
        ("audio", b"RIFF\x24\0\0\0WAVEfmt ", ErrorCode.AUDIO_UNREADABLE),
    ],
)
async def test_wrong_media_are_refused_before_anything_is_loaded(
    rig: Rig, name: str, content: bytes, code: ErrorCode
) -> None:
    request = rig.job("Wan Multitalk")
    broken = request.output_dir.parent / f"broken-{request.attempt}.bin"
    broken.write_bytes(content)
    failure = await rig.failure(replace(request, inputs={**request.inputs, name: broken}))
    assert failure.code is code
    assert rig.settings() == []
    assert rig.orders.seen("load") == []


@pytest.mark.parametrize("name", ["portrait", "audio"])
async def test_files_that_are_not_there_are_refused_before_anything_is_loaded(rig: Rig, name: str) -> None:
    request = rig.job("Fantasy")
    failure = await rig.failure(replace(request, inputs={**request.inputs, name: rig.folder / "nothing"}))
    assert failure.code in {ErrorCode.IMAGE_UNREADABLE, ErrorCode.AUDIO_UNREADABLE}
    assert rig.orders.seen("load") == []


@pytest.mark.parametrize(
    "params",
    [
        {"model": "Wan 99"},
        {"steps": "abc"},
        {"steps": 0},
        {"resolution": "abc"},
        {"aspect": 3},
        {"prompt": 5},
        {"rung": -1},
        {"checkpoint_dir": "relative"},
        {"speakers": [{"face": None}]},
        {"speakers": [{"face": {"x": 2, "y": 0, "w": 1, "h": 1}}, {"face": None}]},
    ],
)
async def test_values_of_the_wrong_kind_never_reach_upstream(rig: Rig, params: dict[str, Any]) -> None:
    request = rig.job("Wan Multitalk")
    failure = await rig.failure(replace(request, params={**request.params, **params}))
    assert failure.code is ErrorCode.VALIDATION_FAILED
    assert rig.settings() == []


async def test_jobs_in_a_row_keep_the_model_and_change_it_when_asked(rig: Rig) -> None:
    pid = rig.supervisor.snapshot().pid
    await rig.run(rig.job("Fantasy", seconds=0.6))
    await rig.run(rig.job("Fantasy", seconds=0.6))
    assert rig.orders.seen("load") == []
    result = await rig.run(rig.job("Hunyuan Avatar", seconds=0.6))
    assert [load["model_type"] for load in rig.orders.seen("load")] == ["hunyuan_avatar"]
    assert result.data["model"] == "Hunyuan Avatar"
    await rig.run(rig.job("Fantasy", seconds=0.6))
    assert [load["model_type"] for load in rig.orders.seen("load")] == ["fantasy"]
    assert rig.supervisor.snapshot().pid == pid


@pytest.mark.parametrize("voice", VOICES)
async def test_a_voice_speaks_between_two_films_in_the_same_process(rig: Rig, voice: str) -> None:
    await rig.run(rig.job("Fantasy", seconds=0.6))
    pid = rig.supervisor.snapshot().pid
    request = make_request(rig.folder, "speech", deadline_s=500.0, seed=3)
    script = request.output_dir.parent / f"script-{request.attempt}.json"
    script.write_text(json.dumps({"text": "Good morning to all of you.", "language": "en"}), encoding="utf-8")
    reference = write_reference(rig.folder / "sample.wav")
    inputs = {"script": script, "reference": reference}
    result = await rig.run(replace(request, inputs=inputs, params={"model": voice}))
    assert {artifact.role for artifact in result.artifacts} >= {"speech", "timings"}
    assert [load["model_type"] for load in rig.orders.seen("load")] != []
    assert "A" in rig.settings()[0]["audio_prompt_type"]
    assert rig.settings()[0]["audio_guide"]
    check_film(await rig.run(again := rig.job("Fantasy", seconds=0.6)), again)
    assert rig.supervisor.snapshot().pid == pid


async def test_a_rung_asks_upstream_for_less(rig: Rig) -> None:
    described = TABLE.video("Wan Multitalk")
    first = await rig.run(rig.job("Wan Multitalk", rung=0))
    last = await rig.run(rig.job("Wan Multitalk", rung=len(described.rungs)))
    assert last.data["changes"] == [rung.change for rung in described.rungs]
    assert last.data["width"] < first.data["width"]
    assert [load["override_profile"] for load in rig.orders.seen("load")] == [5]


async def test_a_cancel_while_a_step_runs_ends_it_and_the_next_job_works(rig: Rig) -> None:
    rig.orders.give(step_s=0.5)
    pid = rig.supervisor.snapshot().pid
    request = rig.job("Wan Multitalk", steps=30)
    with pytest.raises(JobCancelled):
        await rig.run(request, cancel_when=lambda update: (update.step or 0) >= 2)
    assert rig.supervisor.snapshot().pid == pid
    assert not any((request.output_dir / "upstream").iterdir())
    rig.orders.give()
    check_film(await rig.run(again := rig.job("Wan Multitalk")), again)


async def test_a_cancel_while_a_model_is_loaded_counts_once_it_is_loaded(rig: Rig) -> None:
    rig.orders.give(load_s=2.0)
    pid = rig.supervisor.snapshot().pid
    with pytest.raises(JobCancelled):
        await rig.run(rig.job("LongCat Avatar 1.5"), cancel_when=lambda update: "oading" in update.message)
    assert rig.orders.seen("draw") == []
    assert rig.supervisor.snapshot().pid == pid
    rig.orders.give()
    check_film(await rig.run(again := rig.job("Wan t2v 1.3B")), again)


async def test_a_load_that_does_not_end_is_killed_and_leaves_nothing(rig: Rig) -> None:
    rig.orders.give(load_s=300.0)
    pid = rig.supervisor.snapshot().pid
    with pytest.raises(JobCancelled):
        await rig.run(rig.job("Fantasy"), cancel_when=lambda update: "oading" in update.message)
    rig.orders.give()
    check_film(await rig.run(again := rig.job("Fantasy")), again)
    assert rig.supervisor.snapshot().pid != pid


async def test_a_cancel_between_parts_keeps_the_finished_ones_for_the_next_attempt(rig: Rig) -> None:
    kept = rig.folder / "kept between parts"
    model = SHORT + "Wan Multitalk"
    with pytest.raises(JobCancelled):
        await rig.run(
            rig.job(model, seconds=5.0, checkpoint_dir=str(kept)),
            cancel_when=lambda update: "is done" in update.message,
        )
    files = sorted(kept.glob("*.mp4"))
    assert files
    again = rig.job(model, seconds=5.0, checkpoint_dir=str(kept))
    result = await rig.run(again)
    check_film(result, again)
    check_progress(rig.updates)
    assert result.data["parts_reused"] == len(files)
    assert len(rig.settings()) == result.data["parts"] - len(files)


@pytest.mark.parametrize(
    ("orders", "code", "survives"),
    [
        ({"draw": "vram"}, ErrorCode.GPU_OOM, False),
        ({"load": "vram"}, ErrorCode.GPU_OOM, False),
        ({"draw": "pinned"}, ErrorCode.HOST_OOM, False),
        ({"draw": "ram"}, ErrorCode.HOST_OOM, False),
        ({"draw": "sticky"}, ErrorCode.GPU_FAULT, False),
        ({"load": "corrupt"}, ErrorCode.MODEL_MISSING, True),
        ({"draw": "nothing"}, ErrorCode.NO_OUTPUT, True),
        ({"draw": "boom"}, ErrorCode.INTERNAL_ERROR, True),
        ({"draw": "disk"}, ErrorCode.DISK_FULL, True),
        ({"load": "exit"}, ErrorCode.INTERNAL_ERROR, True),
        ({"load": "real"}, ErrorCode.MODEL_MISSING, True),
    ],
)
async def test_what_goes_wrong_gets_its_code_and_the_next_job_works(
    rig: Rig, orders: dict[str, str], code: ErrorCode, survives: bool
) -> None:
    await rig.supervisor.run(
        replace(rig.job("Wan t2v 14B", seconds=0.6))
    )  # another model: the next one must load
    pid = rig.supervisor.snapshot().pid
    rig.orders.give(**orders)
    failure = await rig.failure(request := rig.job("InfiniteTalk (Wan2GP)"))
    assert failure.code is code
    assert not any(request.output_dir.rglob("*.mp4"))
    rig.orders.give()
    check_film(await rig.run(again := rig.job("InfiniteTalk (Wan2GP)", seconds=0.6)), again)
    assert (rig.supervisor.snapshot().pid == pid) is survives


async def test_memory_that_runs_out_in_a_later_window_is_told_from_a_success(rig: Rig) -> None:
    rig.orders.give(draw="vram", window=2)
    request = rig.job("InfiniteTalk (Wan2GP)", seconds=6.0)
    failure = await rig.failure(request)
    assert failure.code is ErrorCode.GPU_OOM
    assert not any(request.output_dir.rglob("*.mp4"))


async def test_an_attention_that_is_not_there_is_not_taken_for_a_success(rig: Rig) -> None:
    rig.orders.give(attention="sage9")
    failure = await rig.failure(rig.job("Wan t2v 1.3B", seconds=0.6))
    assert failure.code is ErrorCode.NO_OUTPUT
    rig.orders.give(attention="auto")
    await rig.run(rig.job("Wan t2v 1.3B", seconds=0.6))


async def test_what_is_printed_goes_to_the_log_and_never_into_the_protocol(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger=LOG.name):
        await rig.run(rig.job("Wan t2v 1.3B", seconds=0.6))
        await asyncio.sleep(0)
    assert "saved to Path" in caplog.text
