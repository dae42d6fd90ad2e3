"""What goes wrong in Wan2GP, seen through its worker process: every row of the error table, cancel in every phase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from backend.engines.worker_types import WorkerLimits
from backend.models.codes import ErrorCode
from backend.models.errors import JobCancelled
from tests.support.wan2gp_rig import LIMITS, Rig, until, wan2gp_rig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform == "win32",
        reason="the stand-in is laid out as on POSIX, and some of its faults are signals",
    ),
]

# what happens, its code, worth a second try, another process afterwards
ROWS: list[tuple[str, ErrorCode, bool, bool]] = [
    ("oom", ErrorCode.GPU_OOM, True, True),
    ("oom_load", ErrorCode.GPU_OOM, True, True),
    ("oom_save", ErrorCode.GPU_OOM, True, True),
    ("host_oom", ErrorCode.HOST_OOM, False, True),
    ("error", ErrorCode.INTERNAL_ERROR, False, False),
    ("sticky", ErrorCode.GPU_FAULT, True, True),
    ("corrupt", ErrorCode.MODEL_MISSING, False, False),
    ("missing", ErrorCode.MODEL_MISSING, False, False),
    ("no_file", ErrorCode.NO_OUTPUT, False, False),
    ("broken_file", ErrorCode.NO_OUTPUT, False, False),
    ("short_file", ErrorCode.NO_OUTPUT, False, False),
    ("die", ErrorCode.WORKER_KILLED, True, True),
    ("die_load", ErrorCode.WORKER_KILLED, True, True),
    ("exit", ErrorCode.WORKER_CRASHED, True, True),
]


@pytest.mark.parametrize(("fault", "code", "retryable", "replaced"), ROWS, ids=[row[0] for row in ROWS])
async def test_a_failure_gets_its_code_and_the_next_job_is_made(
    tmp_path: Path, fault: str, code: ErrorCode, retryable: bool, replaced: bool
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        await rig.supervisor.warm()
        before = rig.supervisor.snapshot().pid
        rig.fake.behave({"do": fault, "times": 1})
        failure = await rig.failure(rig.request())
        assert (failure.code, failure.retryable) == (code, retryable)
        assert failure.detail.endswith(".")
        assert str(tmp_path) not in failure.detail
        result = await rig.make(rig.request())
        assert result.data["parts"] == 1
        assert (rig.supervisor.snapshot().pid != before) is replaced


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("oom", "unsufficient VRAM"),
        ("oom_load", "Tried to allocate 12.00 GiB"),
        ("error", "boom in model"),
        ("missing", "is invalid for Model"),
        ("corrupt", "Failed to load safetensors file"),
    ],
)
async def test_the_engines_own_words_stand_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str, told: str
) -> None:
    caplog.set_level("INFO", logger="allinone.worker")
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({"do": fault})
        failure = await rig.failure(rig.request())
    assert told not in failure.detail
    assert any(told in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("fault", ["missing", "corrupt"])
async def test_bad_weights_are_told_with_what_to_do(tmp_path: Path, fault: str) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({"do": fault})
        failure = await rig.failure(rig.request())
        assert "Models" in f"{failure.detail} {failure.hint}"


async def test_weights_that_lie_nowhere_are_named_as_missing_and_not_waited_for(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(weights="as_on_disk")
        failure = await rig.failure(rig.request())
        assert failure.code is ErrorCode.MODEL_MISSING


async def test_a_lost_gpu_context_ends_the_process_because_nothing_else_heals_it(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({"do": "sticky", "times": 1})
        assert (await rig.failure(rig.request())).code is ErrorCode.GPU_FAULT
        await rig.make(rig.request())
        pids = [note["pid"] for note in rig.fake.notes("task")]
        assert len(pids) == len(set(pids)) == 2


async def test_an_attention_that_is_not_installed_is_no_success(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="allinone.worker")
    async with wan2gp_rig(tmp_path, attention="sdpa") as rig:
        rig.fake.behave(attention=["sage"])
        failure = await rig.failure(rig.request())
        assert failure.code is ErrorCode.NO_OUTPUT
    assert any("attention mode 'sdpa'" in record.getMessage() for record in caplog.records)


async def test_a_flood_of_output_does_not_stop_a_generation(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({"do": "flood"})
        assert (await rig.make(rig.request())).data["parts"] == 1


# --- cancel ------------------------------------------------------------------------------------


async def cancelled(rig: Rig, request: Any, when: Any) -> None:
    with pytest.raises(JobCancelled):
        await rig.make(request, cancel_when=when)


async def next_job_works(rig: Rig) -> None:
    rig.fake.behave()
    assert (await rig.make(rig.request(seed=99))).data["parts"] == 1


async def test_a_cancel_while_it_draws_is_seen_at_the_next_step(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(step_s=0.3)
        await rig.supervisor.warm()
        before = rig.supervisor.snapshot().pid
        await cancelled(rig, rig.request(steps=50), lambda: any("Step" in m for m in rig.messages()))
        await next_job_works(rig)
        assert rig.supervisor.snapshot().pid == before, "it was asked and need not be killed"
        assert not list(tmp_path.glob("attempt-*/upstream/*.mp4"))


async def test_a_cancel_while_it_loads_is_seen_when_it_has_loaded(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(load_s=1.0)
        await rig.supervisor.warm()
        before = rig.supervisor.snapshot().pid
        await cancelled(rig, rig.request(), lambda: "Loading the model" in rig.messages())
        assert rig.fake.notes("call") == []
        await next_job_works(rig)
        assert rig.supervisor.snapshot().pid == before


async def test_a_cancel_during_a_long_load_ends_the_process(tmp_path: Path) -> None:
    limits = WorkerLimits(**{**vars(LIMITS), "cancel_grace_s": 0.5})
    async with wan2gp_rig(tmp_path, limits=limits) as rig:
        rig.fake.behave(load_s=60.0)
        await rig.supervisor.warm()
        before = rig.supervisor.snapshot().pid
        await cancelled(rig, rig.request(), lambda: "Loading the model" in rig.messages())
        await next_job_works(rig)
        assert rig.supervisor.snapshot().pid != before


async def test_a_cancel_that_the_engine_never_looks_at_ends_the_process(tmp_path: Path) -> None:
    limits = WorkerLimits(**{**vars(LIMITS), "cancel_grace_s": 0.5})
    async with wan2gp_rig(tmp_path, limits=limits) as rig:
        rig.fake.behave({"do": "deaf"}, step_s=0.3)
        await rig.supervisor.warm()
        before = rig.supervisor.snapshot().pid
        await cancelled(rig, rig.request(steps=100), lambda: any("Step" in m for m in rig.messages()))
        await next_job_works(rig)
        assert rig.supervisor.snapshot().pid != before


async def test_a_cancel_between_windows_leaves_nothing_behind(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(step_s=0.3)
        request = rig.request("InfiniteTalk (Wan2GP)", spoken=(6.4,), aspect="16:9")
        await cancelled(rig, request, lambda: any(m.startswith("Window 2") for m in rig.messages()))
        assert len(rig.fake.notes("call")) == 2
        assert not list(request.output_dir.rglob("*.mp4"))
        await next_job_works(rig)


async def test_a_cancel_between_parts_keeps_the_finished_ones(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(step_s=0.3)
        spoken = (3.0, -0.5, 3.0)
        request = rig.request("Wan t2v 1.3B", spoken=spoken, aspect="16:9")
        await cancelled(rig, request, lambda: any(m.startswith("Part 2") for m in rig.messages()))
        rig.fake.behave()
        result = await rig.make(rig.request("Wan t2v 1.3B", spoken=spoken, aspect="16:9"))
        assert result.data["parts_reused"] == 1


async def test_a_cancel_before_the_start_never_reaches_the_engine(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        await cancelled(rig, rig.request(), lambda: True)
        assert rig.fake.tasks() == []
        await next_job_works(rig)


# --- a broken installation ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("breaks", "code"),
    [
        ("no_wgp", ErrorCode.ENGINE_NOT_INSTALLED),
        ("raises", ErrorCode.IMPORT_FAILED),
        ("leaves", ErrorCode.IMPORT_FAILED),
        ("no_gpu", ErrorCode.GPU_UNSUPPORTED),
    ],
)
async def test_an_installation_that_is_broken_says_so_at_the_start(
    tmp_path: Path, breaks: str, code: ErrorCode
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        wgp = rig.fake.root / "wgp.py"
        text = wgp.read_text("utf-8")
        if breaks == "no_wgp":
            wgp.unlink()
        if breaks == "raises":
            wgp.write_text("import a_package_that_nobody_has_installed\n" + text)
        if breaks == "leaves":  # what it does when one of its packages has another version
            wgp.write_text("import sys\nsys.exit()\n" + text)
        if breaks == "no_gpu":
            wgp.write_text("raise AssertionError('Torch not compiled with CUDA enabled')\n" + text)
        failure = await rig.failure(rig.request())
        assert failure.code is code
        assert "install_wan2gp" in f"{failure.detail} {failure.hint}"


async def test_a_model_that_the_installed_engine_does_not_know_is_told_as_that(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        facts = rig.fake.root / "facts.json"
        facts.write_text(facts.read_text("utf-8").replace('"multitalk": {', '"another": {', 1), "utf-8")
        failure = await rig.failure(rig.request())
        assert failure.code is ErrorCode.ENGINE_NOT_INSTALLED
        await until(lambda: rig.supervisor.snapshot().state in {"idle", "stopped"}, "it rests")
