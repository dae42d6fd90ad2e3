"""Several ranks through the whole worker: two processes share every pass by gloo and make the film that one makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.infinitetalk.tiny_worker import Bench, Recorder, film, of_two
from workers.handler import Task, TaskCancelled, TaskError
from workers.infinitetalk import memory, pipeline, ranks
from workers.infinitetalk.cache import TeaCache
from workers.infinitetalk.handler import InfiniteTalkHandler
from workers.infinitetalk.parallel import gpus_for
from workers.infinitetalk.tiny_model import make_models

CPU = torch.device("cpu")
# A helper imports torch and ends in seconds; a loaded machine takes longer.
END_S = 120.0


def helpers(worker: InfiniteTalkHandler) -> list[int]:
    """Process ids of the further ranks."""
    assert worker._setting is not None
    shared = worker._setting.store._ranks
    return [] if shared is None else shared.pids


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 64 x 64: 48 tokens in a window of three latent frames, two ranks cut the middle frame.

    Products of matrices with a handful of rows are rounded by another rule than larger ones: then two ranks
    and one would differ in the last bit, and that says nothing about sharing.
    """
    folder = tmp_path_factory.mktemp("models")
    description = make_models(folder) / "base" / "model.json"
    given = json.loads(description.read_text(encoding="utf-8"))
    given["sides"] = {"480": [[64, 64]], "720": [[64, 64]]}
    description.write_text(json.dumps(given), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[InfiniteTalkHandler]:
    """One for all tests: its helper lives on from film to film, as it does in use."""
    made = Bench(tmp_path_factory.mktemp("worker"), models_dir).handler()
    yield made
    made.unload()
    assert not dist.is_initialized()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> bytes:
    """The film of `shared()` by one process."""
    bench = Bench(tmp_path_factory.mktemp("whole"), models_dir)
    return alone(bench, shared(bench))


def shared(bench: Bench, attempt: int = 1, **params: Any) -> Task:
    """Three windows of two steps and two passes."""
    return bench.task(attempt, **{"preset": "fast", "steps": 3, "gpus": 2, **params})


def alone(bench: Bench, task: Task) -> bytes:
    """The same film by one process, with a folder of its own for finished windows."""
    params = {**task.params, "gpus": None, "checkpoint_dir": None}
    output = bench.root / "alone"
    output.mkdir(exist_ok=True)
    single = Task("job", 1, task.task, task.model, task.inputs, params, output, task.seed)
    return film(single, Recorder(), bench)[1]


def made(worker: InfiniteTalkHandler, task: Task, context: Recorder) -> tuple[dict[str, Any], bytes]:
    result = worker.run(task, context)
    return result, context.artifacts[0]["path"].read_bytes()


def test_two_ranks_make_the_film_of_one_to_the_bit(
    bench: Bench, worker: InfiniteTalkHandler, whole: bytes
) -> None:
    context = Recorder()
    result, found = made(worker, shared(bench), context)
    assert found == whole
    assert (result["gpus"], result["plan"]["gpus"]) == (2, 2)
    assert "2 processes share every pass" in result["plan"]["sentence"]
    assert f"info: {result['plan']['sentence']}" in context.logged
    assert len(helpers(worker)) == 1


def test_a_cancel_leaves_the_ranks_in_step(bench: Bench, worker: InfiniteTalkHandler, whole: bytes) -> None:
    def cancel(context: Recorder, told: dict[str, Any]) -> None:
        context.cancelled = told["message"].startswith("Window 2 of 3 · step 1")

    with pytest.raises(TaskCancelled):
        worker.run(shared(bench), Recorder(cancel))
    assert len(helpers(worker)) == 1
    before = helpers(worker)
    result, found = made(worker, shared(bench, 2), Recorder())
    # The next film finds the helper with its weights.
    assert helpers(worker) == before
    assert result["parts_reused"] == 1
    assert found == whole


def test_two_speakers_and_streamed_weights_are_shared_too(
    bench: Bench, worker: InfiniteTalkHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = of_two(bench, 0.5, 0.6)
    task = bench.task(inputs=dict(task.inputs), **{**task.params, "gpus": 2})
    expected = alone(bench, task)
    plan = memory.plan

    def streamed(facts: memory.Facts, rung: int) -> memory.Plan:
        chosen = plan(facts, rung=rung)
        return memory.replace(chosen, placement="streamed")

    monkeypatch.setattr(memory, "plan", streamed)
    result, found = made(worker, task, Recorder())
    assert (result["gpus"], result["plan"]["placement"]) == (2, "streamed")
    assert found == expected


def test_a_cancel_while_weights_are_read_leaves_nobody_behind(
    bench: Bench, worker: InfiniteTalkHandler
) -> None:
    """The helper reads on and would be out of step: it is ended, and the next film starts another."""

    def cancel(context: Recorder, told: dict[str, Any]) -> None:
        context.cancelled = told["message"] == "Loading the model"

    # Other weights than before, so that something is read.
    task = shared(bench, preset="balanced", cache="off")
    with pytest.raises(TaskCancelled):
        worker.run(task, Recorder(cancel))
    assert helpers(worker) == []
    assert not dist.is_initialized()


def test_a_cache_decides_alike_on_every_rank(
    bench: Bench, worker: InfiniteTalkHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiny network's modulation leaps; the threshold is one that is met all the same."""
    monkeypatch.setattr(pipeline, "cache_of", lambda _kind, size: TeaCache(size, 1e9, warm_steps=1))
    task = shared(bench, cache="teacache", steps=4, seconds=0.5)
    context = Recorder()
    result, found = made(worker, task, context)
    # Two windows of three steps and two passes: all but the first step's.
    assert result["passes_reused"] == 8
    assert found == alone(bench, task)


def test_a_rank_that_dies_ends_the_film_and_keeps_its_windows(
    bench: Bench, worker: InfiniteTalkHandler, whole: bytes
) -> None:
    def kill(context: Recorder, told: dict[str, Any]) -> None:
        if told["message"].startswith("Window 2 of 3 · step 1"):
            os.kill(helpers(worker)[0], signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)

    with pytest.raises(TaskError) as caught:
        worker.run(shared(bench), Recorder(kill))
    assert (caught.value.code, caught.value.poisons_worker) == ("gpu_fault", True)
    assert helpers(worker) == []
    assert not dist.is_initialized()
    result, found = made(worker, shared(bench, 2, gpus=1), Recorder())
    assert (result["parts_reused"], result["gpus"]) == (1, 1)
    assert found == whole


def test_ranks_that_cannot_meet_leave_the_film_to_one(
    bench: Bench, worker: InfiniteTalkHandler, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def broken(argv: list[str], **more: Any) -> Any:
        if "workers.infinitetalk.rank" in argv:
            argv = [sys.executable, "-c", "raise SystemExit(3)"]
        return popen(argv, **more)

    monkeypatch.setattr(subprocess, "Popen", broken)
    context = Recorder()
    result, found = made(worker, shared(bench), context)
    assert result["gpus"] == 1
    assert any(line.startswith("warning: 2 GPUs cannot share the work") for line in context.logged)
    assert found == whole


def test_a_helper_ends_when_its_worker_is_gone(bench: Bench, models_dir: Path) -> None:
    """Its stdin ends, wherever it is: here in the middle of waiting for the others."""
    spec = {"rank": 1, "ranks": 2, "store": str(bench.root / "store"), "device": "cpu", "threads": 1}
    ended: list[float] = []
    helper = ranks.Helper({**spec, "models_dir": str(models_dir)}, lambda: ended.append(time.monotonic()))
    try:
        assert helper.expect("here", END_S, lambda: None)["free_vram"] is None
    finally:
        helper.close()
    assert len(ended) == 1
    with pytest.raises(TaskError, match="stopped"):
        helper.tell({"do": "pass"})


@pytest.mark.parametrize(
    ("wanted", "heads", "tokens", "gpus"),
    [
        (None, 40, 33_600, 1),  # a processor is not shared unless asked for
        (1, 40, 33_600, 1),
        (2, 40, 33_600, 2),
        (3, 40, 33_600, 2),  # 40 heads are not divided by three
        (8, 40, 33_600, 8),
        (8, 40, 33_604, 4),
        (2, 2, 3, 1),
    ],
)
def test_as_many_take_part_as_can_share_equally(
    wanted: int | None, heads: int, tokens: int, gpus: int
) -> None:
    assert gpus_for(wanted, CPU, heads, tokens) == gpus


def test_the_plan_counts_what_each_gpu_holds() -> None:
    given = memory.Facts(
        free_vram=139 * memory.GIB, free_ram=512 * memory.GIB, tokens=75_600, pixels=960 * 960
    )
    one, four = (memory.plan(memory.replace(given, gpus=gpus)) for gpus in (1, 4))
    assert four.vram_bytes <= one.vram_bytes
    assert "on each of 4 GPUs that share every pass" in four.sentence()
    assert four.record()["gpus"] == 4
    small = memory.replace(given, free_vram=10 * memory.GIB, gpus=2)
    streamed = memory.plan(small)
    assert streamed.ram_bytes == 2 * memory.FULL_WEIGHTS.total_bytes(streamed.storage)
