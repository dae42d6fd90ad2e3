"""The page's files are sent small, and asked for again only when they have changed."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from backend.api.webui import install_webui

SCRIPT = "export const words = 'the same again, ';\n" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>" * 20, encoding="utf-8")
    (tmp_path / "js" / "main.js").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "favicon.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG packed already")
    return tmp_path


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_webui(app, folder)
    transport = httpx.ASGITransport(app=app)
    offer = {"Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=offer) as http:
        yield http


@pytest.mark.parametrize("address", ["/", "/static/js/main.js"])
async def test_text_is_packed_for_who_can_unpack(
    client: httpx.AsyncClient, folder: Path, address: str
) -> None:
    answer = await client.get(address)
    name = "index.html" if address == "/" else "js/main.js"
    assert answer.text == (folder / name).read_text(encoding="utf-8")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "no-cache"
    assert int(answer.headers["content-length"]) < len(answer.content)


@pytest.mark.parametrize("offer", ["identity", "br", "gzip;q=0", "gzip; q=0.0"])
async def test_who_cannot_unpack_gets_it_plain(client: httpx.AsyncClient, offer: str) -> None:
    answer = await client.get("/static/js/main.js", headers={"Accept-Encoding": offer})
    assert "content-encoding" not in answer.headers
    assert answer.text == SCRIPT
    assert answer.headers["cache-control"] == "no-cache"


async def test_pictures_are_not_packed_again(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/picture.png")
    assert "content-encoding" not in answer.headers
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("offer", ["gzip", "identity"])
async def test_what_is_unchanged_is_not_sent_again(client: httpx.AsyncClient, offer: str) -> None:
    headers = {"Accept-Encoding": offer}
    first = await client.get("/static/js/main.js", headers=headers)
    second = await client.get(
        "/static/js/main.js", headers={**headers, "If-None-Match": first.headers["etag"]}
    )
    assert second.status_code == 304
    assert second.content == b""
    assert second.headers["etag"] == first.headers["etag"]


async def test_packed_and_plain_have_their_own_mark(client: httpx.AsyncClient) -> None:
    packed = (await client.get("/static/js/main.js")).headers["etag"]
    plain = (await client.get("/static/js/main.js", headers={"Accept-Encoding": "identity"})).headers["etag"]
    assert packed != plain


async def test_an_edited_file_is_sent_as_it_is_now(client: httpx.AsyncClient, folder: Path) -> None:
    before = (await client.get("/static/js/main.js")).headers["etag"]
    path = folder / "js" / "main.js"
    path.write_text("export {};\n", encoding="utf-8")
    os.utime(path, (1, 1))
    after = await client.get("/static/js/main.js", headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.text == "export {};\n"


async def test_what_is_packed_is_the_same_every_time(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/static/js/main.js") as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert raw == gzip.compress(SCRIPT.encode(), mtime=0)


@pytest.mark.parametrize("address", ["/static/nothing.js", "/static/../../etc/passwd", "/static/js"])
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, address: str) -> None:
    assert (await client.get(address)).status_code == 404
