"""The whole worker with a tiny random model: speech and portrait in, film out; cancel, resume, memory running out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.infinitetalk.tiny_worker import (
    FFMPEG,
    Bench,
    Recorder,
    film,
    make_portrait,
    make_speech,
    of_two,
)
from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.infinitetalk import machine, memory, pipeline
from workers.infinitetalk.cache import TeaCache
from workers.infinitetalk.handler import create_handler, memory_failure
from workers.infinitetalk.memory import Plan
from workers.infinitetalk.models import GuestCodec, ModelStore
from workers.infinitetalk.tiny_model import SIDE
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.video_file import probe

# 0.6 s of speech: windows of 9, 4 and 2 new frames.
FRAMES, WINDOWS, STEPS = 15, 3, 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> bytes:
    """The film of `Bench.task()` made in one go."""
    bench = Bench(tmp_path_factory.mktemp("whole"), models_dir)
    return film(bench.task(), Recorder(), bench)[1]


def kept(bench: Bench) -> int:
    return len(list((bench.root / "kept").rglob("window-*.json")))


def after(window: int, step: int) -> Any:
    """Cancel after this step of this window."""

    def on_progress(context: Recorder, told: dict[str, Any]) -> None:
        if told["message"] == f"Window {window} of {WINDOWS} · step {step} of {STEPS}":
            context.cancelled = True

    return on_progress


def test_speech_and_a_portrait_become_a_film(bench: Bench, whole: bytes) -> None:
    context = Recorder()
    result, made = film(bench.task(), context, bench)
    (artifact,) = context.artifacts
    assert artifact["role"] == "video"
    assert (artifact["width"], artifact["height"], artifact["fps"], artifact["duration_s"]) == (
        SIDE,
        SIDE,
        25.0,
        0.6,
    )
    assert probe(artifact["path"], fps=25, ffmpeg=FFMPEG, check=context.raise_if_cancelled).frames == FRAMES
    assert made == whole
    assert (result["frames"], result["parts"], result["parts_reused"]) == (FRAMES, WINDOWS, 0)
    assert (result["preset"], result["rung"], result["seed"]) == ("turbo", 0, 11)
    assert result["plan"]["placement"] == "cpu"
    assert f"info: {result['plan']['sentence']}" in context.logged
    with Image.open(bench.root / "attempt-1" / "preview.jpg") as preview:
        preview.load()
        assert preview.size == (SIDE // 8 * 4, SIDE // 8 * 4)


def test_progress_is_that_of_windows_and_steps_and_never_goes_back(bench: Bench) -> None:
    context = Recorder()
    film(bench.task(), context, bench)
    fractions = [told["fraction"] for told in context.progressed]
    assert fractions == sorted(fractions)
    steps = [told["message"] for told in context.progressed if told.get("step") is not None]
    assert steps == [
        f"Window {window} of {WINDOWS} · step {step} of {STEPS}"
        for window in range(1, WINDOWS + 1)
        for step in range(1, STEPS + 1)
    ]


@pytest.mark.parametrize(("window", "step", "finished"), [(1, 1, 0), (2, 1, 1), (3, 2, 2), (3, 3, 2)])
def test_a_cancelled_film_goes_on_and_is_the_same_to_the_bit(
    bench: Bench, whole: bytes, window: int, step: int, finished: int
) -> None:
    with pytest.raises(TaskCancelled):
        bench.handler().run(bench.task(), Recorder(after(window, step)))
    assert kept(bench) == finished
    result, made = film(bench.task(2), Recorder(), bench)
    assert result["parts_reused"] == finished
    assert made == whole


def test_a_finished_film_is_only_joined_again(
    bench: Bench, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(bench.task(), Recorder(), bench)

    def not_again(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is left to draw")

    monkeypatch.setattr(ModelStore, "transformer", not_again)
    result, made = film(bench.task(2), Recorder(), bench)
    assert result["parts_reused"] == WINDOWS
    assert made == whole


def test_another_seed_prompt_or_speech_is_another_film(bench: Bench, whole: bytes) -> None:
    film(bench.task(), Recorder(), bench)
    result, made = film(bench.task(2, prompt="a person sings"), Recorder(), bench)
    assert result["parts_reused"] == 0
    assert made != whole


def _failing(calls: int, original: Any) -> Any:
    """`original`, but the card is full at call number `calls`."""
    left = [calls]

    def call(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("place", "calls", "finished"),
    [
        ((ModelStore, "_text_encoder"), 1, 0),
        ((pipeline.ModelStore, "transformer"), 1, 0),
        ((GuestCodec, "encode"), 1, 0),
        ((InfiniteTalkTransformer, "forward"), 1, 0),
        ((InfiniteTalkTransformer, "forward"), 5, 1),
        ((GuestCodec, "decode"), 1, 0),
        ((GuestCodec, "decode"), 3, 2),
        ((GuestCodec, "encode"), 2, 1),
    ],
)
def test_when_the_card_is_full_the_finished_windows_stay(
    bench: Bench,
    whole: bytes,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
    calls: int,
    finished: int,
) -> None:
    owner, name = place
    monkeypatch.setattr(owner, name, _failing(calls, getattr(owner, name)))
    with pytest.raises(TaskError) as caught:
        bench.handler().run(bench.task(), Recorder())
    assert caught.value.code == "gpu_oom"
    assert caught.value.poisons_worker
    assert kept(bench) == finished
    monkeypatch.undo()
    result, made = film(bench.task(2), Recorder(), bench)
    assert result["parts_reused"] == finished
    assert made == whole


def test_one_step_down_keeps_the_finished_windows(
    bench: Bench, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that looks large enough and is full in the second window: less of it is used from there on."""
    monkeypatch.setattr(machine, "free_vram", lambda _device: 64 * memory.GIB)
    monkeypatch.setattr(InfiniteTalkTransformer, "forward", _failing(5, InfiniteTalkTransformer.forward))
    context = Recorder()
    with pytest.raises(TaskError):
        bench.handler().run(bench.task(), context)
    assert any("encoders beside them" in line for line in context.logged)
    context = Recorder()
    result, made = film(bench.task(2, rung=1), context, bench)
    assert made == whole
    assert (result["parts_reused"], result["rung"], result["plan"]["rung"]) == (1, 1, 1)
    # The plan stands in the log before the windows, and in the result behind them.
    assert f"info: {result['plan']['sentence']}" in context.logged
    assert "encoders moved in when needed" in result["plan"]["sentence"]


def test_a_rung_that_does_not_exist_is_said(bench: Bench) -> None:
    with pytest.raises(TaskError) as caught:
        bench.handler().run(bench.task(rung=1), Recorder())
    assert caught.value.code == "gpu_oom"


@pytest.mark.parametrize(
    ("placement", "storage"), [("streamed", "full"), ("streamed", "fp8"), ("resident", "fp8")]
)
def test_every_way_to_place_the_weights_makes_the_film(
    bench: Bench, whole: bytes, monkeypatch: pytest.MonkeyPatch, placement: Any, storage: Any
) -> None:
    chosen = Plan(placement, storage, encoders_at_home=False, vae_tiling=True, vram_bytes=0, ram_bytes=0)
    monkeypatch.setattr(memory, "plan", lambda facts, rung: chosen)
    handler = bench.handler()
    for attempt in (1, 2):  # the second film finds the weights in their places
        context = Recorder()
        result = handler.run(bench.task(attempt, checkpoint_dir=None), context)
        assert (result["frames"], result["plan"]["storage"]) == (FRAMES, storage)
        # Where the weights lie changes nothing; eight bits do.
        assert (context.artifacts[0]["path"].read_bytes() == whole) is (storage == "full")


@pytest.mark.parametrize(("preset", "steps"), [("quality", 2), ("balanced", 2), ("fast", 2)])
def test_every_preset_makes_a_film(bench: Bench, preset: str, steps: int) -> None:
    result, _ = film(bench.task(preset=preset, steps=steps, seconds=0.5), Recorder(), bench)
    assert (result["preset"], result["frames"]) == (preset, 13)


def test_teacache_is_offered_and_says_what_it_saved(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # A tiny network's modulation leaps; the threshold is one that is met all the same.
    monkeypatch.setattr(pipeline, "cache_of", lambda _kind, size: TeaCache(size, 1e9))
    saved = {}
    for attempt, steps in enumerate((4, 9)):
        task = bench.task(attempt, steps=steps, seconds=0.3, cache="teacache")
        result, _ = film(task, Recorder(), bench)
        assert (result["cache"], result["parts_reused"]) == ("teacache", 0)
        saved[steps] = result["passes_reused"]
    # The first five steps are always run: with the few of a distilled preset nothing is saved.
    assert saved == {4: 0, 9: 3}


def test_two_speakers(bench: Bench, whole: bytes) -> None:
    result, made = film(of_two(bench, 0.5, 0.6), Recorder(), bench)
    assert result["frames"] == FRAMES
    assert made != whole


def test_tracks_that_end_early_still_fill_the_film(bench: Bench) -> None:
    result, _ = film(of_two(bench, 0.3, 0.4), Recorder(), bench)
    assert result["frames"] == FRAMES


def test_tracks_of_another_speech_are_refused(bench: Bench) -> None:
    with pytest.raises(TaskError, match="not as long as the speech") as caught:
        bench.handler().run(of_two(bench, 0.5, 1.4), Recorder())
    assert caught.value.code == "validation_failed"


def test_a_video_as_the_reference(bench: Bench) -> None:
    video = bench.root / "reference.mp4"
    subprocess.run(
        [
            FFMPEG,
            "-loglevel",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=96x64:rate=30:duration=1",
            str(video),
        ],
        check=True,
    )
    inputs = {"audio": make_speech(bench.root / "s.wav", 0.7), "reference": video}
    result, _ = film(bench.task(inputs=inputs, aspect="source"), Recorder(), bench)
    assert (result["width"], result["height"], result["frames"]) == (SIDE + 16, SIDE, 18)


def test_a_third_of_a_second_of_speech(bench: Bench) -> None:
    result, _ = film(bench.task(seconds=0.3), Recorder(), bench)
    assert (result["frames"], result["parts"]) == (8, 1)


def test_without_a_place_of_its_own_nothing_but_the_film_is_left(bench: Bench) -> None:
    context = Recorder()
    film(bench.task(checkpoint_dir=None, seconds=0.3), context, bench)
    assert sorted(path.name for path in (bench.root / "attempt-1").iterdir()) == ["preview.jpg", "video.mp4"]


@pytest.mark.parametrize(
    "params",
    [
        {"preset": "best"},
        {"resolution": "4k"},
        {"aspect": "2:1"},
        {"prompt": 3},
        {"steps": 0},
        {"steps": True},
        {"rung": -1},
        {"gpus": 0},
        {"gpus": 9},
        {"cache": "magcache"},
        {"speakers": [{"face": None}]},
        {"speakers": [{"face": {"x": 0.8, "y": 0, "w": 0.5, "h": 1}}, {"face": None}]},
        {"checkpoint_dir": "relative"},
    ],
)
def test_wrong_values_are_found_before_anything_is_loaded(bench: Bench, params: dict[str, Any]) -> None:
    with pytest.raises(TaskError) as caught:
        bench.handler().run(bench.task(**params), Recorder())
    assert caught.value.code == "validation_failed"


def test_wrong_files_are_named(bench: Bench) -> None:
    good = bench.task().inputs
    broken = bench.root / "broken"
    broken.write_bytes(b"no picture, no sound")
    for inputs, code in (
        ({"audio": good["audio"]}, "validation_failed"),
        ({**good, "portrait": broken}, "image_unreadable"),
        ({**good, "audio": broken}, "audio_unreadable"),
        ({**good, "audio": bench.root / "not there"}, "audio_unreadable"),
    ):
        with pytest.raises(TaskError) as caught:
            bench.handler().run(bench.task(inputs=dict(inputs)), Recorder())
        assert caught.value.code == code


def test_the_worker_has_one_task_and_needs_a_card(bench: Bench, tmp_path: Path) -> None:
    handler = bench.handler()
    task = bench.task()
    other = Task("job", 1, "speech", None, task.inputs, task.params, task.output_dir, 1)
    with pytest.raises(TaskError, match="no task called 'speech'"):
        handler.run(other, Recorder())
    handler.unload()
    if not torch.cuda.is_available():
        with pytest.raises(TaskError) as caught:
            create_handler().load(WorkerSetup("infinitetalk", None, tmp_path, tmp_path, tmp_path, None))
        assert caught.value.code == "gpu_unsupported"


def test_a_worker_makes_several_films_and_forgets_when_told(bench: Bench, whole: bytes) -> None:
    handler = bench.handler()
    for attempt in (1, 2):
        context = Recorder()
        handler.run(bench.task(attempt, checkpoint_dir=None), context)
        assert context.artifacts[0]["path"].read_bytes() == whole
    handler.unload()
    context = Recorder()
    handler.run(bench.task(3, checkpoint_dir=None), context)
    assert context.artifacts[0]["path"].read_bytes() == whole


def test_only_memory_is_memory(tmp_path: Path) -> None:
    make_portrait(tmp_path / "p.png")
    known = {
        torch.OutOfMemoryError("CUDA out of memory."): "gpu_oom",
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"): "gpu_oom",
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"): "host_oom",
        MemoryError(): "host_oom",
    }
    for error, code in known.items():
        failure = memory_failure(error)
        assert failure is not None
        assert failure.code == code
    assert memory_failure(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
