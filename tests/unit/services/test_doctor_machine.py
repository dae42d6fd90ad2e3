"""What the system check says of a machine on which something is wrong."""

from __future__ import annotations

import email.utils
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from backend.engines.gpu_pool import GpuPool
from backend.models.batch_records import Usage
from backend.services.doctor_machine import MachineChecks
from backend.services.page_settings import PageSettings
from backend.storage.setup import layout_of
from backend.utils.clock import ManualClock, SystemClock
from tests.support.studio import settings_in
from tests.support.twin_gpus import TwinDriver
from tests.unit.services.test_page_settings import Flags

Answer = Callable[[httpx.Request], httpx.Response]


class Rules:
    """Retention that would free so much of each rule."""

    def __init__(self, size_bytes: int) -> None:
        self._usage = Usage(1, size_bytes)

    async def reclaimable(self) -> dict[str, Usage]:
        return {"caches": self._usage, "unused_uploads": Usage()}


def checks(
    folder: Path,
    answer: Answer | None = None,
    *,
    ffmpeg: Path = Path("ffmpeg"),
    freeable: int = 0,
    clock: Any = None,
    **changes: Any,
) -> MachineChecks:
    settings = settings_in(folder, **changes)
    settings.data_dir.mkdir(exist_ok=True)
    return MachineChecks(
        settings=PageSettings(settings, Flags()),
        layout=layout_of(settings.data_dir, settings.logs_dir),
        ffmpeg=ffmpeg,
        gpus=GpuPool(TwinDriver()),
        retention=cast(Any, Rules(freeable)),
        clock=clock or SystemClock(),
        transport=httpx.MockTransport(answer) if answer is not None else None,
    )


def disk_of(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    usage = SimpleNamespace(total=100 << 30, used=0, free=free_bytes)
    monkeypatch.setattr("backend.services.doctor_machine.shutil.disk_usage", lambda _path: usage)


@pytest.mark.parametrize(("free", "status"), [(1 << 29, "error"), (4 << 30, "warning"), (50 << 30, "ok")])
async def test_a_disk_that_fills_up_is_told_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    machine = checks(tmp_path, freeable=3 << 20)
    disk_of(monkeypatch, free)
    check = await machine.disk()
    assert check.status == status
    assert (check.fix is not None and check.fix.automatic) is (status != "ok")


async def test_where_nothing_can_be_cleared_a_person_has_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = checks(tmp_path)
    disk_of(monkeypatch, 0)
    fix = (await machine.disk()).fix
    assert fix is not None
    assert (fix.action, fix.automatic) == ("open_models", False)


async def test_a_data_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    machine = checks(tmp_path)
    assert (await machine.data_writable()).status == "ok"
    assert list((tmp_path / "data").iterdir()) == [], "nothing is left of the look"
    (tmp_path / "data").rmdir()
    check = await machine.data_writable()
    assert check.status == "error"
    assert str(tmp_path) not in check.detail


async def test_an_ffmpeg_that_is_gone(tmp_path: Path) -> None:
    check = await checks(tmp_path, ffmpeg=tmp_path / "ffmpeg").ffmpeg()
    assert (check.status, check.fix.action if check.fix else "") == ("error", "repair")
    assert str(tmp_path) not in check.detail


async def test_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(total=8 << 30, available=1 << 28)
    monkeypatch.setattr("backend.services.doctor_machine.psutil.virtual_memory", lambda: memory)
    assert (await checks(tmp_path).memory()).status == "warning"


async def test_a_machine_without_an_nvidia_card_is_not_at_fault(tmp_path: Path) -> None:
    check = await checks(tmp_path).gpu_driver()
    assert check.status == "skipped"
    assert "Drafts" in check.detail


# -- the network -----------------------------------------------------------------------------------
def dated(error_s: float) -> Answer:
    """Answers whose clock is behind ours by so much."""

    def answer(_request: httpx.Request) -> httpx.Response:
        now_s = SystemClock().now_ms() / 1000
        return httpx.Response(200, headers={"date": email.utils.formatdate(now_s - error_s, usegmt=True)})

    return answer


async def test_one_source_that_answers_is_enough_and_the_others_are_named(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != "hf-mirror.com":
            raise httpx.ConnectError("no route")
        return httpx.Response(404)

    check = await checks(tmp_path, answer).network_mirror()
    assert check.status == "ok"
    assert "Reached: hf-mirror." in check.detail
    assert "modelscope" in check.detail


async def test_when_no_source_answers_a_mirror_is_what_helps(tmp_path: Path) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    check = await checks(tmp_path, answer, hf_endpoint="https://me:pass@mirror.example").network_mirror()
    assert check.status == "warning"
    assert check.fix is not None
    assert (check.fix.action, check.fix.target) == ("open_settings", "HF_ENDPOINT")
    assert "pass" not in check.model_dump_json()


async def test_sources_are_asked_once_a_minute_and_again_after_a_change(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200)

    clock = ManualClock()
    machine = checks(tmp_path, answer, clock=clock, model_sources="hf-mirror")
    for _ in range(3):
        await machine.network_mirror()
    assert asked == ["hf-mirror.com"]
    clock.advance(61)
    await machine.network_mirror()
    machine.forget_network()
    await machine.network_mirror()
    assert len(asked) == 3


async def test_offline_nobody_is_asked(tmp_path: Path) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("somebody was asked")

    machine = checks(tmp_path, answer, model_offline=True)
    assert (await machine.network_mirror()).status == "skipped"
    assert (await machine.time()).status == "ok"


@pytest.mark.parametrize(
    ("error_s", "status", "word"),
    [
        (0.0, "ok", "right"),
        (3600.0, "warning", "60 minutes ahead"),
        (-7200.0, "warning", "120 minutes behind"),
    ],
)
async def test_a_clock_that_is_wrong_is_told_by_those_who_answer(
    tmp_path: Path, error_s: float, status: str, word: str
) -> None:
    check = await checks(tmp_path, dated(error_s)).time()
    assert check.status == status
    assert word in check.detail


async def test_a_clock_that_is_years_behind_is_told_without_a_network(tmp_path: Path) -> None:
    assert (await checks(tmp_path, clock=ManualClock(1_000_000_000_000)).time()).status == "error"


async def test_a_service_at_another_port_than_the_settings_say(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Taken and never listened at, so nobody answers there.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        check = await checks(tmp_path, port=port).port()
    assert check.status == "warning"
    assert f"port {port}" in check.detail


async def test_a_service_that_listens_where_the_settings_say(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        check = await checks(tmp_path, port=listening.getsockname()[1]).port()
    assert check.status == "ok"
    assert "this computer alone" in check.detail
