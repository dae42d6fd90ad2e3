"""Each misbehaving engine gets its own code; the supervisor lives and the next task is served."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.utils.clock import ManualClock
from tests.fixtures.workers.harness import (
    HOST,
    eventually,
    failure_of,
    is_alive,
    make_request,
    make_spec,
    supervised,
)

ROGUE = HOST.parents[1] / "tests" / "fixtures" / "workers" / "rogue_host.py"


@pytest.mark.parametrize(
    ("handler", "code", "exit_code"),
    [
        ("exits_at_import", ErrorCode.IMPORT_FAILED, 3),
        ("fails_at_import", ErrorCode.IMPORT_FAILED, 65),
        ("exits_in_load", ErrorCode.IMPORT_FAILED, 65),
        ("misses_model", ErrorCode.MODEL_MISSING, 65),
        ("nobody_wrote_this", ErrorCode.IMPORT_FAILED, 65),
    ],
)
async def test_an_engine_that_cannot_start_says_so(
    tmp_path: Path, handler: str, code: ErrorCode, exit_code: int
) -> None:
    async with supervised(make_spec(tmp_path, handler)) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path))
        assert (failure.code, failure.exit_code) == (code, exit_code)
        assert failure.hint
        assert str(tmp_path) not in failure.detail
        assert supervisor.snapshot().last_error == code.value


async def test_the_log_of_a_failed_start_names_what_is_missing(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "fails_at_import")) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path))
    assert "a_package_that_nobody_has_installed" in failure.log_tail
    assert "a_package_that_nobody_has_installed" not in failure.detail
    assert str(HOST.parent) not in failure.log_tail


async def test_an_interpreter_that_is_not_there_is_an_engine_that_is_not_installed(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, python=tmp_path / "no" / "python")) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path))
        assert failure.code is ErrorCode.ENGINE_NOT_INSTALLED


# task, its parameters, code, what may be retried, whether the worker must be another one afterwards
CASES: list[tuple[str, dict[str, Any], ErrorCode, bool, bool]] = [
    ("exits", {}, ErrorCode.WORKER_CRASHED, True, True),
    ("calls_sys_exit", {}, ErrorCode.INTERNAL_ERROR, False, True),
    ("segfaults", {}, ErrorCode.WORKER_CRASHED, True, True),
    ("aborts", {}, ErrorCode.WORKER_CRASHED, True, True),
    ("is_killed", {}, ErrorCode.WORKER_KILLED, True, True),
    ("closes_all_descriptors", {}, ErrorCode.WORKER_LOST, True, True),
    ("is_poisoned", {}, ErrorCode.INTERNAL_ERROR, False, True),
    ("finds_the_disk_full", {}, ErrorCode.DISK_FULL, False, False),
    ("runs_out_of_memory", {}, ErrorCode.HOST_OOM, False, True),
    ("raises", {"text": "CUDA out of memory. Tried to allocate 2.00 GiB"}, ErrorCode.GPU_OOM, True, True),
    ("raises", {"text": "CUDA error: device-side assert triggered"}, ErrorCode.GPU_FAULT, True, True),
    ("raises", {"text": "index 3 is out of range"}, ErrorCode.INTERNAL_ERROR, False, False),
    ("returns_what_json_cannot_say", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("returns_nan", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("returns_two_mebibytes", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("returns_a_list", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("gives_a_file_outside", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("gives_a_link_outside", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("gives_no_file", {}, ErrorCode.NO_OUTPUT, False, False),
    ("cancels_itself", {}, ErrorCode.INTERNAL_ERROR, False, False),
    ("never_written", {}, ErrorCode.INTERNAL_ERROR, False, False),
]


@pytest.mark.parametrize(
    ("task", "params", "code", "retryable", "replaced"), CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES]
)
async def test_a_failing_task_gets_its_code_and_the_next_one_is_served(
    tmp_path: Path, task: str, params: dict[str, Any], code: ErrorCode, retryable: bool, replaced: bool
) -> None:
    clock = ManualClock()
    async with supervised(make_spec(tmp_path, "unruly"), clock=clock) as supervisor:
        await supervisor.warm()
        pid = supervisor.snapshot().pid
        failure = await failure_of(supervisor, make_request(tmp_path, task, params=params))
        assert (failure.code, failure.retryable) == (code, retryable)
        assert "/" not in failure.detail
        clock.advance(2.0)  # the wait before a second start
        result = await supervisor.run(make_request(tmp_path, "behave"))
        assert result.data == {"behaved": True}
        assert (supervisor.snapshot().pid != pid) is replaced


async def test_the_tail_of_the_log_shows_the_last_words_of_a_crash(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path, "segfaults"))
    assert failure.exit_code == -11
    assert "about to touch address zero" in failure.log_tail
    assert "Fatal Python error: Segmentation fault" in failure.log_tail
    assert str(HOST.parents[1]) not in failure.log_tail


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("speaks_garbage", ErrorCode.PROTOCOL_MISMATCH),
        ("sends_a_two_mebibyte_line", ErrorCode.PROTOCOL_MISMATCH),
        ("skips_a_number", ErrorCode.PROTOCOL_MISMATCH),
        ("sends_a_bad_field", ErrorCode.PROTOCOL_MISMATCH),
        ("has_another_version", ErrorCode.PROTOCOL_MISMATCH),
        ("is_ready_without_hello", ErrorCode.PROTOCOL_MISMATCH),
        ("offers_a_path_above", ErrorCode.PROTOCOL_MISMATCH),
        ("offers_an_absolute_path", ErrorCode.PROTOCOL_MISMATCH),
        ("offers_a_link", ErrorCode.PROTOCOL_MISMATCH),
        ("offers_a_missing_file", ErrorCode.NO_OUTPUT),
        ("offers_a_file_of_another_size", ErrorCode.NO_OUTPUT),
        ("says_nothing", ErrorCode.WORKER_HUNG),
        ("is_never_ready", ErrorCode.WORKER_HUNG),
    ],
)
async def test_a_worker_that_breaks_the_protocol_is_ended_and_classified(
    tmp_path: Path, way: str, code: ErrorCode
) -> None:
    spec = make_spec(tmp_path, way, host_script=ROGUE, hello_timeout_s=1.0, start_timeout_s=1.0)
    async with supervised(spec) as supervisor:
        failure = await failure_of(supervisor, make_request(tmp_path))
        assert failure.code is code
        if code is not ErrorCode.NO_OUTPUT:  # a missing file is the task's fault, not the channel's
            await eventually(lambda: supervisor.snapshot().pid is None, "the worker is ended")


@pytest.mark.parametrize("way", ["speaks_of_tomorrow", "talks_before_hello"])
async def test_what_a_later_version_adds_and_what_another_attempt_says_is_ignored(
    tmp_path: Path, way: str
) -> None:
    updates: list[object] = []
    async with supervised(make_spec(tmp_path, way, host_script=ROGUE)) as supervisor:
        result = await supervisor.run(make_request(tmp_path), report=updates.append)
    assert result.data == {"right": True}
    assert updates == []


async def test_nothing_that_is_printed_is_ever_taken_for_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="allinone.worker")
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        result = await supervisor.run(make_request(tmp_path, "pollutes_stdout"))
        assert result.data == {"polluted": True}
    lines = [record.getMessage() for record in caplog.records]
    for words in ("print", "descriptor", "libc", "grandchild", "the old stdout", "stderr"):
        assert any(line.endswith(f"by {words}") for line in lines), words
    assert sum('"type":"result"' in line for line in lines) == 2
    assert any(r"colour \x1b[31mred\x1b[0m and a forged" in line for line in lines)
    assert any(r"line \u2028 end" in line for line in lines)
    assert not any(re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028]", line) for line in lines)


@pytest.mark.parametrize("size", [50_000_000, pytest.param(1_000_000_000, marks=pytest.mark.slow)])
async def test_a_flood_of_output_neither_blocks_the_worker_nor_fills_the_log_nor_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    caplog.set_level("INFO", logger="allinone.worker")
    resource = pytest.importorskip("resource", reason="peak memory is asked of POSIX")
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        request = make_request(tmp_path, "spams", params={"bytes": size})
        assert (await supervisor.run(request)).data == {"spammed": True}
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    lines = [record.getMessage() for record in caplog.records]
    dropped = sum(int(found[1]) for line in lines if (found := re.search(r"dropped (\d+) lines", line)))
    assert dropped + len(lines) >= size // 80
    assert grown_kib < 32 * 1024
    assert len(lines) < 10_000
    assert max(map(len, lines)) < 9000


async def test_a_flood_of_log_messages_slows_the_worker_and_not_the_service(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        result = await supervisor.run(make_request(tmp_path, "floods_messages"))
        assert result.data == {"flooded": True}


async def test_a_worker_that_floods_waits_for_the_service_instead_of_filling_its_memory(
    tmp_path: Path,
) -> None:
    request = make_request(tmp_path)
    sent_meanwhile: list[int] = []

    def blocked(update: object) -> None:
        if not sent_meanwhile:  # the loop hears nothing for a while; the worker could send all it has
            time.sleep(1.0)
            sent_meanwhile.append(int((request.output_dir / "sent").read_text()))

    async with supervised(make_spec(tmp_path, "floods_with_progress", host_script=ROGUE)) as supervisor:
        await supervisor.run(request, report=blocked)
    # 256 messages are let ahead; two pipes' worth of lines wait before and behind the reader.
    assert sent_meanwhile[0] < 4000


async def test_a_worker_without_standard_streams_still_answers(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        result = await supervisor.run(make_request(tmp_path, "closes_the_standard_streams"))
        assert result.data == {"closed": True}
        failure = await failure_of(supervisor, make_request(tmp_path, "raises", params={"text": "unheard"}))
        assert failure.code is ErrorCode.INTERNAL_ERROR
        assert (await supervisor.run(make_request(tmp_path, "behave"))).data == {"behaved": True}
        assert supervisor.snapshot().restarts == 0


async def test_a_forked_child_neither_speaks_for_the_worker_nor_outlives_it(tmp_path: Path) -> None:
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        result = await supervisor.run(make_request(tmp_path, "forks"))
        child = int(result.data["child"])
        assert (await supervisor.run(make_request(tmp_path, "behave"))).data == {"behaved": True}
    assert not is_alive(child)


async def test_progress_after_the_end_of_a_task_is_nobodys(tmp_path: Path) -> None:
    updates: list[object] = []
    async with supervised(make_spec(tmp_path, "unruly")) as supervisor:
        await supervisor.run(make_request(tmp_path, "reports_after_its_end"))
        request = make_request(tmp_path, "holds_the_gil", params={"seconds": 0.5})
        await supervisor.run(request, report=updates.append)
    assert [getattr(update, "message", "") for update in updates] == ["holding"]
