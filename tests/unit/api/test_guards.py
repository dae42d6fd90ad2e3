"""Hosts, origins, keys and body sizes, before any route is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from backend.api.guards import GuardMiddleware, HostPolicy, split_host

LIMIT = 1000


class OneKey:
    """Accepts one key and one session."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    @property
    def is_required(self) -> bool:
        return self._key is not None

    def accepts_key(self, key: str, caller: str) -> bool:
        return key == self._key

    def accepts_session(self, token: str) -> bool:
        return token == "good"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and says how long it was."""
    response: Response = PlainTextResponse(str(len(await Request(scope, receive).body())))
    await response(scope, receive, send)


def client(
    *, host: str = "127.0.0.1", extra: tuple[str, ...] = (), key: str | None = None
) -> httpx.AsyncClient:
    app = GuardMiddleware(
        echo, hosts=HostPolicy(host, extra), key=OneKey(key), upload_limits={"/api/jobs": LIMIT}
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.0.0.1", "LOCALHOST", "localhost:1234", "[::1]:8000"])
async def test_loopback_names_are_answered(host: str) -> None:
    async with client() as http:
        assert (await http.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.nip.io",
        "0.0.0.0",
        "localhost.",
        "127.1",
        "2130706433",
        "user@localhost",
        "a/b",
    ],
)
async def test_other_names_are_refused(host: str) -> None:
    async with client() as http:
        answer = await http.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden_origin"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_names_from_the_settings_are_answered() -> None:
    async with client(extra=("studio.lan",)) as http:
        assert (await http.get("/", headers={"Host": "studio.lan:8000"})).status_code == 200


def test_on_all_addresses_the_address_reached_is_a_name_but_no_other_is() -> None:
    policy = HostPolicy("0.0.0.0", ())
    assert policy.allows("192.168.1.5:8000", "192.168.1.5")
    assert not policy.allows("192.168.1.6:8000", "192.168.1.5")
    assert not policy.allows("0.0.0.0:8000", "127.0.0.1")


@pytest.mark.parametrize("value", ["", "[::1", "a:b:c", "x:99999", "user:pw@x"])
def test_a_malformed_host_is_no_host(value: str) -> None:
    assert split_host(value) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_foreign_page_cannot_change_anything(method: str, headers: dict[str, str]) -> None:
    async with client() as http:
        answer = await http.request(method, "/api/jobs", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden_origin"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://127.0.0.1:8000"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
async def test_our_own_page_and_programs_pass(headers: dict[str, str]) -> None:
    async with client() as http:
        assert (await http.post("/api/jobs", headers=headers, content=b"x")).status_code == 200


async def test_with_a_key_set_the_api_wants_it_and_the_page_does_not() -> None:
    async with client(key="s3cret") as http:
        assert (await http.get("/api/jobs")).status_code == 401
        assert (await http.get("/api/jobs", headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await http.get("/api/jobs", headers={"Authorization": "Bearer s3cret"})).status_code == 200
        assert (await http.get("/api/jobs", headers={"X-API-Key": "s3cret"})).status_code == 200
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/api/session")).status_code == 200
        assert (await http.get("/openapi.json")).status_code == 401


async def test_the_page_shows_its_cookie_instead_of_the_key() -> None:
    async with client(key="s3cret") as http:
        assert (await http.get("/api/jobs", headers={"Cookie": "aio_session=bad"})).status_code == 401
        assert (await http.get("/api/jobs", headers={"Cookie": "a=b; aio_session=good"})).status_code == 200


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    async with client() as http:
        answer = await http.post("/api/jobs", content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


async def test_bytes_that_arrive_are_counted_whatever_was_declared() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    async with client() as http:
        assert (await http.post("/api/jobs", content=body())).status_code == 413


async def test_a_body_at_the_limit_passes() -> None:
    async with client() as http:
        answer = await http.post("/api/jobs", content=b"x" * LIMIT)
    assert (answer.status_code, answer.text) == (200, str(LIMIT))


async def test_every_answer_carries_the_security_headers_and_no_cors() -> None:
    async with client() as http:
        for answer in (await http.get("/"), await http.get("/", headers={"Host": "evil.example"})):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "unsafe-inline" not in answer.headers["content-security-policy"]
            assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("declared", ["9" * 30, "9" * 5000])
async def test_a_length_of_any_number_of_digits_is_too_large(declared: str) -> None:
    async with client() as http:
        answer = await http.post("/api/jobs", headers={"Content-Length": declared}, content=b"x")
        assert answer.status_code == 413


async def test_a_length_that_is_no_number_is_not_made_one() -> None:
    """h11 stops it on the wire; a server in its place might not."""
    async with client() as http:
        headers = [(b"content-length", "²".encode("latin-1"))]
        assert (await http.post("/api/jobs", headers=headers, content=b"x")).status_code == 200
