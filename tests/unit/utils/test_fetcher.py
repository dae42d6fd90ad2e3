"""Fetching a portrait: what arrives, what is refused for its content, and what bounds hold.

The server is a local one; its address is let in by name of the seam, never by weakening the guard.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.fetcher import FetchedImage, fetch_image

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
LOCAL = frozenset({"127.0.0.1"})


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def picture(kind: str = "PNG", side: int = 40) -> bytes:
    stream = BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(stream, kind)
    return stream.getvalue()


def reply(body: bytes, status: str = "200 OK", **headers: str) -> Answer:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        fields = {"Content-Length": str(len(body)), "Connection": "close"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()

    return answer


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[int, list[str]]]:
    """A server on loopback; yields its port and the requests' heads as they come in."""
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await answer(heads[-1], writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            heads.append("the client hung up")
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


async def resolves_here(host: str, port: int) -> list[str]:
    assert host.endswith(".example")
    assert port
    return ["127.0.0.1"]


async def _fetch(url: str, dest: Path, **options: object) -> FetchedImage:
    return await fetch_image(url, dest, allow_addresses=LOCAL, resolver=resolves_here, **options)  # type: ignore[arg-type]


async def _error(url: str, dest: Path, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        await _fetch(url, dest, **options)
    assert caught.value.hint
    assert names_in(dest.parent) == []
    return caught.value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
async def test_a_picture_arrives_whole_and_is_named_by_its_content(tmp_path: Path, kind: str) -> None:
    body = picture(kind)
    async with serving(reply(body, Content_Type="text/html")) as (port, heads):
        found = await _fetch(f"http://pictures.example:{port}/me.txt?size=1", tmp_path / "given")
    assert (tmp_path / "given").read_bytes() == body
    assert found.size_bytes == len(body)
    assert found.sniffed.media_type == f"image/{kind.lower()}"
    assert names_in(tmp_path) == ["given"]
    assert heads[0].startswith("GET /me.txt?size=1 HTTP/1.1\r\n")
    assert f"host: pictures.example:{port}\r\n" in heads[0].lower()


@pytest.mark.parametrize(
    "body",
    [
        b"<!doctype html><title>a page</title>".ljust(500),
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'.ljust(500),
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"RIFF\x00\x00\x00\x00WAVEfmt ".ljust(500, b"\x00"),
        b"",
        b"\x89PNG",
    ],
)
async def test_what_is_no_picture_is_refused_whatever_its_header_says(tmp_path: Path, body: bytes) -> None:
    async with serving(reply(body, Content_Type="image/png")) as (port, _):
        error = await _error(f"http://pictures.example:{port}/me.png", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_REFUSED


async def test_a_picture_that_is_too_large_by_its_header_is_refused_at_once(tmp_path: Path) -> None:
    async with serving(reply(b"", Content_Length=str(11 * 1024 * 1024))) as (port, _):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_REFUSED
    assert "10 MiB" in error.detail


async def test_a_picture_without_an_end_is_dropped_at_the_limit(tmp_path: Path) -> None:
    sent = 0

    async def endless(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + picture())
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with serving(endless) as (port, _):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given", max_bytes=1024 * 1024)
    assert error.code is ErrorCode.FETCH_REFUSED
    assert "larger" in error.detail
    assert sent < 32 * 1024 * 1024


async def test_a_picture_of_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    body = picture()
    async with serving(reply(body)) as (port, _):
        await _fetch(f"http://pictures.example:{port}/", tmp_path / "given", max_bytes=len(body))
        (tmp_path / "given").unlink()
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given", max_bytes=len(body) - 1)
    assert error.code is ErrorCode.FETCH_REFUSED


async def test_a_compressed_answer_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(picture() + b"\x00" * 50_000_000)
    async with serving(reply(bomb, Content_Encoding="gzip")) as (port, heads):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_REFUSED
    assert "accept-encoding: identity" in heads[0].lower()


async def test_a_server_that_drips_is_left_at_the_deadline(tmp_path: Path) -> None:
    async def drip(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for byte in picture(side=200):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(drip) as (port, _):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given", timeout_s=0.5)
    assert error.code is ErrorCode.FETCH_FAILED


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content", "206 Partial Content"])
async def test_an_answer_other_than_200_is_a_failure_that_names_the_status(
    tmp_path: Path, status: str
) -> None:
    async with serving(reply(b"", status)) as (port, _):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_FAILED
    assert status[:3] in error.detail


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-OpenSSH_9\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"]
)
async def test_a_server_that_speaks_no_proper_http_is_a_failure(tmp_path: Path, raw: bytes) -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    async with serving(answer) as (port, _):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_FAILED


async def test_nobody_listening_is_a_failure(tmp_path: Path) -> None:
    async with serving(reply(b"")) as (port, _):
        closed = port
    error = await _error(f"http://pictures.example:{closed}/", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_FAILED


async def test_a_redirect_is_followed_and_resolved_against_its_page(tmp_path: Path) -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        if head.startswith("GET /a/old "):
            await reply(b"", "302 Found", Location="../new.png")(head, writer)
        else:
            await reply(picture())(head, writer)

    async with serving(answer) as (port, heads):
        await _fetch(f"http://pictures.example:{port}/a/old", tmp_path / "given")
    assert heads[1].startswith("GET /new.png ")


async def test_a_ring_of_redirects_ends(tmp_path: Path) -> None:
    async with serving(reply(b"", "301 Moved", Location="/again")) as (port, heads):
        error = await _error(f"http://pictures.example:{port}/", tmp_path / "given")
    assert error.code is ErrorCode.FETCH_FAILED
    assert len(heads) == 4


async def test_an_old_file_stays_when_the_fetch_fails(tmp_path: Path) -> None:
    dest = tmp_path / "given"
    dest.write_bytes(b"old")
    async with serving(reply(b"no picture")) as (port, _):
        with pytest.raises(InputError):
            await _fetch(f"http://pictures.example:{port}/", dest)
    assert dest.read_bytes() == b"old"
