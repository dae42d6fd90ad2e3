"""A model file arrives whole and right, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.utils import downloader
from backend.utils.downloader import RemoteFile, download

DATA = bytes(range(256)) * 40_000
GOOD = "https://good.example/model"
BAD = "https://bad.example/model"
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloader, "FIRST_PAUSE_S", 0.0)


def remote(*urls: str, data: bytes = DATA) -> RemoteFile:
    return RemoteFile(urls or (GOOD,), len(data), hashlib.sha256(data).hexdigest())


def with_ranges(request: httpx.Request) -> httpx.Response:
    """A server that knows ranges."""
    asked = request.headers.get("range")
    if asked is None:
        return httpx.Response(200, content=DATA)
    start = int(asked.removeprefix("bytes=").rstrip("-"))
    return httpx.Response(206, content=DATA[start:])


async def fetch(target: Path, handler: Handler, file: RemoteFile | None = None) -> list[httpx.Request]:
    seen: list[httpx.Request] = []

    def noted(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return handler(request)

    await download(file or remote(), target, transport=httpx.MockTransport(noted))
    return seen


async def test_a_file_arrives_and_is_not_fetched_again(tmp_path: Path) -> None:
    target = tmp_path / "models" / "m.safetensors"
    assert len(await fetch(target, with_ranges)) == 1
    assert target.read_bytes() == DATA
    assert not list(tmp_path.rglob("*.part"))
    assert await fetch(target, with_ranges) == []


async def test_what_has_arrived_is_not_fetched_twice(tmp_path: Path) -> None:
    (tmp_path / "m.part").write_bytes(DATA[:5_000_000])
    seen = await fetch(tmp_path / "m", with_ranges)
    assert [request.headers["range"] for request in seen] == ["bytes=5000000-"]
    assert (tmp_path / "m").read_bytes() == DATA


async def test_a_server_without_ranges_sends_it_from_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "m.part").write_bytes(b"x" * 1000)
    await fetch(tmp_path / "m", lambda _request: httpx.Response(200, content=DATA))
    assert (tmp_path / "m").read_bytes() == DATA


async def test_a_line_that_breaks_is_continued(tmp_path: Path) -> None:
    answers = [httpx.Response(200, content=DATA[:3_000_000])]
    seen = await fetch(tmp_path / "m", lambda request: answers.pop() if answers else with_ranges(request))
    assert seen[1].headers["range"] == "bytes=3000000-"
    assert (tmp_path / "m").read_bytes() == DATA


async def test_a_mirror_that_fails_is_followed_by_the_next(tmp_path: Path) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if request.url.host == "bad.example" else with_ranges(request)

    seen = await fetch(tmp_path / "m", handler, remote(BAD, GOOD))
    assert [request.url.host for request in seen] == ["bad.example"] * 3 + ["good.example"]


@pytest.mark.parametrize("answer", [DATA[::-1], DATA + b"more", DATA[:-1], b""])
async def test_wrong_bytes_never_reach_the_place_of_the_file(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(EngineFailure) as caught:
        await fetch(tmp_path / "m", lambda _request: httpx.Response(200, content=answer))
    assert caught.value.code is ErrorCode.MODEL_DOWNLOAD
    assert caught.value.hint
    assert not (tmp_path / "m").exists()


async def test_an_altered_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(DATA[::-1])
    await fetch(tmp_path / "m", with_ranges)
    assert (tmp_path / "m").read_bytes() == DATA


async def test_a_cancel_keeps_what_has_arrived(tmp_path: Path) -> None:
    progress: list[int] = []
    with pytest.raises(JobCancelled):
        await download(
            remote(),
            tmp_path / "m",
            progress=lambda done, _total: progress.append(done),
            cancelled=lambda: bool(progress),
            transport=httpx.MockTransport(with_ranges),
        )
    assert (tmp_path / "m.part").stat().st_size == progress[-1] > 0
    await fetch(tmp_path / "m", with_ranges)


async def test_a_disk_without_room_is_told_before_the_first_byte(tmp_path: Path) -> None:
    huge = RemoteFile((GOOD,), 1 << 60, "0" * 64)
    with pytest.raises(EngineFailure) as caught:
        await fetch(tmp_path / "m", with_ranges, huge)
    assert caught.value.code is ErrorCode.DISK_FULL
