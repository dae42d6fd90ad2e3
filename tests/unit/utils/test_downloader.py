"""A model file arrives whole and right, or not at all; whatever the server does."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils import download_http, downloader
from backend.utils.digests import Digest, digest_of_etag, hash_file
from backend.utils.download_http import TransferTrouble, new_client
from backend.utils.downloader import Steps, WantedFile, download
from tests.support.odd_hub import OddHub, odd_hub

DATA = bytes(range(256)) * 20_000
PATH = "/owner/name/resolve/main/m.bin"
CHUNK = 3_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloader, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(download_http, "READ_TIMEOUT_S", 0.5)


@pytest.fixture
async def hub() -> AsyncIterator[OddHub]:
    async with odd_hub() as made:
        made.files[PATH] = DATA
        yield made


def wanted(data: bytes = DATA) -> WantedFile:
    return WantedFile(len(data), Digest("sha256", hashlib.sha256(data).hexdigest()))


async def fetch(hub: OddHub, target: Path, *plan: str, file: WantedFile | None = None) -> None:
    hub.plan[PATH] = deque(plan)
    async with new_client() as client:
        await download(client, hub.url + PATH, file or wanted(), target)


def leave_part(target: Path, data: bytes, file: WantedFile | None = None) -> None:
    """As an earlier run would have left it."""
    target.with_name(target.name + ".part").write_bytes(data)
    note = f'{{"digest": "{(file or wanted()).digest}", "etag": null, "address": null}}'
    target.with_name(target.name + ".part.json").write_text(note, encoding="utf-8")


def assert_clean(target: Path) -> None:
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == [target.name]


async def test_a_file_arrives_and_leaves_nothing_else_behind(hub: OddHub, tmp_path: Path) -> None:
    await fetch(hub, tmp_path / "deep" / "m.bin")
    assert_clean(tmp_path / "deep" / "m.bin")


@pytest.mark.parametrize(
    "plan",
    [
        ("drop:3000000",),
        ("drop:0",),
        ("drop:0", "drop:0"),
        ("status:503",),
        ("status:429", "status:500"),
        ("stall:3000000",),
        ("stall:0",),
        ("drop:3000000", "416"),
        ("drop:3000000", "plain"),
        ("drop:3000000", "wrong"),
        ("drop:3000000", "drop:1500000", "status:502"),
        ("gzip",),
    ],
)
async def test_trouble_that_passes_is_waited_out(hub: OddHub, tmp_path: Path, plan: tuple[str, ...]) -> None:
    await fetch(hub, tmp_path / "m.bin", *plan)
    assert_clean(tmp_path / "m.bin")


async def test_what_has_arrived_is_not_fetched_twice(hub: OddHub, tmp_path: Path) -> None:
    await fetch(hub, tmp_path / "m.bin", "drop:3000000")
    second = hub.seen[1].headers
    assert second["range"] == "bytes=3000000-"
    assert second["if-range"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert second["accept-encoding"] == "identity"


async def test_a_part_of_an_earlier_run_is_continued(hub: OddHub, tmp_path: Path) -> None:
    leave_part(tmp_path / "m.bin", DATA[:CHUNK])
    await fetch(hub, tmp_path / "m.bin")
    assert [seen.headers.get("range") for seen in hub.seen] == [f"bytes={CHUNK}-"]
    assert_clean(tmp_path / "m.bin")


async def test_a_part_that_is_whole_is_checked_and_not_fetched(hub: OddHub, tmp_path: Path) -> None:
    leave_part(tmp_path / "m.bin", DATA)
    await fetch(hub, tmp_path / "m.bin")
    assert hub.seen == []
    assert_clean(tmp_path / "m.bin")


@pytest.mark.parametrize("left", [DATA + b"more", DATA[::-1], b"x" * 1000])
async def test_a_part_that_is_not_the_beginning_of_the_file_is_thrown_away(
    hub: OddHub, tmp_path: Path, left: bytes
) -> None:
    leave_part(tmp_path / "m.bin", left)
    await fetch(hub, tmp_path / "m.bin")
    assert_clean(tmp_path / "m.bin")


async def test_a_part_of_another_file_or_without_its_note_is_thrown_away(hub: OddHub, tmp_path: Path) -> None:
    leave_part(tmp_path / "m.bin", DATA[:CHUNK], wanted(b"another"))
    await fetch(hub, tmp_path / "m.bin")
    (tmp_path / "n.bin.part").write_bytes(DATA[:CHUNK])
    await fetch(hub, tmp_path / "n.bin")
    assert [seen.headers.get("range") for seen in hub.seen] == [None, None]


async def test_a_file_that_changed_on_the_server_is_not_mixed_with_the_old_one(
    hub: OddHub, tmp_path: Path
) -> None:
    hub.etags[PATH] = '"old"'
    with pytest.raises(TransferTrouble):
        await fetch(hub, tmp_path / "m.bin", "drop:3000000", "status:404")
    hub.etags[PATH] = '"new"'
    await fetch(hub, tmp_path / "m.bin")
    assert hub.seen[-1].headers["if-range"] == '"old"'
    assert_clean(tmp_path / "m.bin")


@pytest.mark.parametrize("plan", ["wrong", "long", "short", "shifted"])
async def test_wrong_bytes_never_reach_the_place_of_the_file(hub: OddHub, tmp_path: Path, plan: str) -> None:
    target = tmp_path / "m.bin"
    if plan == "shifted":
        leave_part(target, DATA[:CHUNK])
    with pytest.raises(TransferTrouble):
        await fetch(hub, target, *[plan] * 10)
    assert not target.exists()


async def test_a_server_that_has_another_file_is_left_before_it_is_read(hub: OddHub, tmp_path: Path) -> None:
    with pytest.raises(TransferTrouble, match="another file"):
        await fetch(hub, tmp_path / "m.bin", file=wanted(DATA[:-5]))
    assert len(hub.seen) == 1


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (403, 1), (404, 1), (410, 1), (429, 3), (503, 3)])
async def test_a_refusal_is_believed_and_trouble_is_tried_three_times(
    hub: OddHub, tmp_path: Path, status: int, tries: int
) -> None:
    with pytest.raises(TransferTrouble, match=str(status)):
        await fetch(hub, tmp_path / "m.bin", *[f"status:{status}"] * 10)
    assert len(hub.seen) == tries


async def test_a_line_that_stands_still_is_given_up_in_time(hub: OddHub, tmp_path: Path) -> None:
    with pytest.raises(TransferTrouble, match="silent"):
        await fetch(hub, tmp_path / "m.bin", *["stall:10"] * 10)
    assert len(hub.seen) == 3


async def test_a_line_that_only_drips_is_given_up(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloader, "SLOW_WINDOW_S", 0.2)
    monkeypatch.setattr(downloader, "SLOW_BYTES", 1 << 30)
    hub.rate = 2_000_000
    with pytest.raises(TransferTrouble, match="stands still"):
        await fetch(hub, tmp_path / "m.bin")


async def test_a_redirect_to_a_cdn_is_followed_without_the_password_of_the_mirror(
    hub: OddHub, tmp_path: Path
) -> None:
    async with odd_hub() as cdn, new_client() as client:
        cdn.files["/blob"] = DATA
        hub.plan[PATH] = deque([f"to:{cdn.url}/blob?signature=s3cret"])
        address = hub.url.replace("http://", "http://user:pa55@") + PATH
        await download(client, address, wanted(), tmp_path / "m.bin")
        assert hub.seen[0].headers["authorization"].startswith("Basic ")
        assert "authorization" not in cdn.seen[0].headers
    assert_clean(tmp_path / "m.bin")


async def test_no_password_and_no_signature_is_kept_beside_the_part(hub: OddHub, tmp_path: Path) -> None:
    async with new_client() as client:
        hub.plan[PATH] = deque(["drop:3000000", "status:404"])
        address = hub.url.replace("http://", "http://user:pa55@") + PATH + "?signature=s3cret"
        with pytest.raises(TransferTrouble):
            await download(client, address, wanted(), tmp_path / "m.bin")
    note = (tmp_path / "m.bin.part.json").read_text(encoding="utf-8")
    assert "pa55" not in note
    assert "s3cret" not in note


@pytest.mark.parametrize(
    "location",
    ["http://example.org/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "https://[", "http://10.0.0.1/x"],
)
async def test_a_redirect_that_leads_astray_is_not_followed(
    hub: OddHub, tmp_path: Path, location: str
) -> None:
    with pytest.raises(TransferTrouble):
        await fetch(hub, tmp_path / "m.bin", *[f"to:{location}"] * 9)


@pytest.mark.parametrize(
    "inside", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[fd00::1]"]
)
async def test_no_redirect_leads_from_the_internet_into_a_private_network(
    tmp_path: Path, inside: str
) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": f"https://{inside}/x"})

    async with new_client(httpx.MockTransport(handler)) as client:
        with pytest.raises(TransferTrouble, match="private network"):
            await download(client, "https://hub.example/m", wanted(), tmp_path / "m.bin")
    assert asked == ["hub.example"]


@pytest.mark.parametrize(
    "address", ["http://hub.example/m", "http://10.0.0.1/m", "ftp://127.0.0.1/m", "m", ""]
)
async def test_only_https_is_asked(tmp_path: Path, address: str) -> None:
    async with new_client(httpx.MockTransport(lambda _request: httpx.Response(200, content=DATA))) as client:
        with pytest.raises(TransferTrouble, match="https"):
            await download(client, address, wanted(), tmp_path / "m.bin")


async def test_redirects_without_end_are_given_up(hub: OddHub, tmp_path: Path) -> None:
    with pytest.raises(TransferTrouble, match="circles"):
        await fetch(hub, tmp_path / "m.bin", *[f"to:{hub.url}{PATH}"] * 20)


async def test_a_cancel_keeps_what_has_arrived(hub: OddHub, tmp_path: Path) -> None:
    arrived = asyncio.Event()
    hub.rate = 8_000_000

    def received(done: int) -> None:
        if done > 1_500_000:
            arrived.set()

    async with new_client() as client:
        task = asyncio.create_task(
            download(client, hub.url + PATH, wanted(), tmp_path / "m.bin", Steps(received=received))
        )
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    kept = (tmp_path / "m.bin.part").read_bytes()
    assert len(kept) > 1_000_000
    assert kept == DATA[: len(kept)]
    hub.rate = 0
    await fetch(hub, tmp_path / "m.bin")
    assert hub.seen[-1].headers["range"] == f"bytes={len(kept)}-"
    assert_clean(tmp_path / "m.bin")


async def test_a_full_disk_is_told_as_one(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(EngineFailure) as caught:
        await fetch(hub, tmp_path / "m.bin")
    assert caught.value.code is ErrorCode.DISK_FULL


async def test_a_proxy_of_a_kind_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(TransferTrouble, match="proxy"):
        new_client()


async def test_a_proxy_of_the_environment_is_used(
    hub: OddHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with odd_hub() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(TransferTrouble, match="404"):
            await fetch(hub, tmp_path / "m.bin")
        assert proxy.seen[0].target == hub.url + PATH
    assert hub.seen == []


def test_what_an_entity_tag_says() -> None:
    assert digest_of_etag(f'"{"A" * 64}"') == Digest("sha256", "a" * 64)
    assert digest_of_etag(f'W/"{"b" * 40}"') == Digest("git-sha1", "b" * 40)
    for odd in (None, "", '"d41d8cd98f00b204e9800998ecf8427e"', '"abc-12"', "x" * 64):
        assert digest_of_etag(odd) is None


def test_a_git_id_is_that_of_git(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    # `git hash-object` of the same bytes.
    assert hash_file(tmp_path / "x")[1] == Digest("git-sha1", "ce013625030ba8dba906f756967f9e9ca394464a")
