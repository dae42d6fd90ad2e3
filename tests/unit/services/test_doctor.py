"""The system check: one broken or slow check spoils no other, and only what is safe is mended by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from backend.engines.worker_types import WorkerSnapshot
from backend.models.codes import ErrorCode
from backend.models.doctor import CheckStatus, CheckView, FixAction, FixView
from backend.models.errors import EngineFailure, RequestError, UnknownId
from backend.services.doctor import Doctor
from backend.utils.clock import ManualClock

MACHINE = ("disk", "data_writable", "memory", "ffmpeg", "gpu_driver", "network_mirror", "port", "time")
ENGINES = ("engines", "models", "queue")


def view(check_id: str, status: CheckStatus = "ok", fix: FixView | None = None) -> CheckView:
    return CheckView(id=check_id, status=status, title=check_id, detail="…", fix=fix)


def fix(action: FixAction, target: str | None = None, *, automatic: bool = True) -> FixView:
    return FixView(action=action, label="Do it", automatic=automatic, target=target)


class Worker:
    def __init__(self, state: str = "unavailable") -> None:
        self.state = state
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    def forgive(self) -> None:
        self.calls.append("forgive")

    def snapshot(self) -> WorkerSnapshot:
        return WorkerSnapshot("draft", self.state)


class Checks:
    """All checks pass, but those that are replaced."""

    def __init__(self, **changes: Callable[[], Awaitable[Any]]) -> None:
        self.asked = 0
        for name in (*MACHINE, *ENGINES):
            setattr(self, name, changes.get(name) or self._passing(name))

    def _passing(self, name: str) -> Callable[[], Awaitable[CheckView]]:
        async def check() -> CheckView:
            self.asked += 1
            return view(name)

        return check


class House:
    """Notes what is asked of the services that mend."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def resume(self) -> None:
        self.done.append("resume")

    async def download(self, model_id: str) -> Any:
        self.done.append(f"download {model_id}")
        return type("Model", (), {"name_en": model_id})()

    async def reclaim(self, rule: str) -> Any:
        self.done.append(f"reclaim {rule}")
        return type("Usage", (), {"size_bytes": 1 << 20})()


def doctor(
    checks: Checks, house: House | None = None, worker: Worker | None = None, *, within_s: float = 30.0
) -> Doctor:
    part = cast(Any, checks)
    services = cast(Any, house or House())
    return Doctor(
        machine=part,
        engines=part,
        system=services,
        models=services,
        retention=services,
        workers=cast(Any, {"draft": worker or Worker()}),
        clock=ManualClock(),
        within_s=within_s,
    )


def answering(answer: CheckView | list[CheckView]) -> Callable[[], Awaitable[CheckView | list[CheckView]]]:
    async def check() -> CheckView | list[CheckView]:
        return answer

    return check


async def test_every_check_is_told_once_in_a_fixed_order() -> None:
    checks = Checks(engines=answering([view("draft"), view("engine.wan2gp", "skipped")]))
    report = await doctor(checks).check()
    ids = [check.id for check in report.checks]
    assert ids.index("disk") == 0
    assert ids.index("draft") + 1 == ids.index("engine.wan2gp")
    assert sorted(ids) == sorted([*MACHINE, "draft", "engine.wan2gp", "models", "queue"])
    assert report.checked_at.endswith("Z")


async def test_a_check_that_hangs_breaks_or_fails_is_a_result_and_the_others_stand() -> None:
    async def hangs() -> CheckView:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def breaks() -> CheckView:
        raise ZeroDivisionError("/secret/folder")

    async def fails() -> CheckView:
        raise EngineFailure(ErrorCode.ENGINE_UNAVAILABLE, "It rests.")

    report = await doctor(Checks(disk=hangs, models=breaks, queue=fails), within_s=0.05).check()
    told = {check.id: check for check in report.checks}
    assert {check.id for check in report.checks if check.status == "error"} == {"disk", "models", "queue"}
    assert "0.05 s" in told["disk"].detail
    assert "ZeroDivisionError" in told["models"].detail
    assert "secret" not in told["models"].detail
    assert told["queue"].detail == "It rests."
    assert told["time"].status == "ok"


async def test_whoever_asks_meanwhile_gets_the_same_answer_and_hanging_up_spoils_it_for_nobody() -> None:
    gate = asyncio.Event()

    async def waits() -> CheckView:
        await gate.wait()
        return view("disk")

    checks = Checks(disk=waits)
    one = doctor(checks)
    first, second = asyncio.create_task(one.check()), asyncio.create_task(one.check())
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    report = await second
    assert checks.asked == len(report.checks) - 1, "each of the others once"


@pytest.mark.parametrize(
    ("mended", "done"),
    [
        (fix("free_space"), ["reclaim caches", "reclaim unused_uploads"]),
        (fix("resume_queue"), ["resume"]),
        (fix("download_model", "kokoro"), ["download kokoro"]),
    ],
)
async def test_what_is_safe_is_mended(mended: FixView, done: list[str]) -> None:
    house = House()
    report = await doctor(Checks(disk=answering(view("disk", "error", mended))), house).fix("disk")
    assert (report.done, house.done) == (True, done)
    assert report.message


async def test_an_engine_that_rests_is_started_anew_and_one_at_work_is_left_alone() -> None:
    broken = Checks(engines=answering([view("draft", "error", fix("restart_engine", "draft"))]))
    worker = Worker()
    assert (await doctor(broken, worker=worker).fix("draft")).done
    assert worker.calls == ["stop", "forgive", "start"]
    busy = Worker("running")
    with pytest.raises(RequestError) as caught:
        await doctor(broken, worker=busy).fix("draft")
    assert (caught.value.code, busy.calls) == (ErrorCode.NOT_READY, [])


async def test_what_a_person_has_to_do_is_refused_with_what_it_is() -> None:
    house = House()
    checks = Checks(port=answering(view("port", "warning", fix("read_docs", automatic=False))))
    with pytest.raises(RequestError) as caught:
        await doctor(checks, house).fix("port")
    assert (caught.value.code, caught.value.hint, house.done) == (ErrorCode.NOT_READY, "Do it", [])


async def test_what_is_well_is_not_mended_and_what_is_unknown_is_told_so() -> None:
    house = House()
    assert (await doctor(Checks(), house).fix("disk")).done is False
    assert house.done == []
    with pytest.raises(UnknownId):
        await doctor(Checks(), house).fix("nothing")
