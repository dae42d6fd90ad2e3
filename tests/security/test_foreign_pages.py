"""With default settings only this machine's own pages and local programs can drive the API (promise P8).

Over the wire, on every route of the OpenAPI document; the headers one by one are in tests/unit/api/test_guards.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.conftest import Stocked
from tests.security.problems import assert_is_problem, assert_is_refusal
from tests.security.routes import ROUTES, UNSAFE, filled
from tests.support.served import Served, read_answer, serving
from tests.support.studio import job_body

JSON = (b"Content-Type", b"application/json")
# DNS rebinding leads a foreign name here; the rest are spellings of "this computer" that browsers resolve
# and that no guard should have to know (CVE-2024-28224).
FOREIGN_HOSTS = [
    b"evil.example",
    b"127.0.0.1.nip.io",
    b"0.0.0.0",
    b"",
    b"localhost.",
    b"127.1",
    b"2130706433",
    b"0x7f000001",
    b"[::ffff:127.0.0.1]",
    b"localhost@evil.example",
    b"evil.example:80",
    b"127.0.0.1, evil.example",
    b"localhost/",
    b"localhost#",
    b"localhost%00",
    "１２７.０.０.１".encode(),
]
FOREIGN = [
    ((b"Origin", b"https://evil.example"),),
    ((b"Origin", b"null"),),
    ((b"Origin", b"http://127.0.0.1:1"),),
    ((b"Origin", b"http://localhost"),),
    ((b"Sec-Fetch-Site", b"cross-site"),),
    ((b"Sec-Fetch-Site", b"same-site"),),
    ((b"Origin", b"https://evil.example"), (b"Content-Type", b"text/plain")),
    ((b"Origin", b"https://evil.example"), (b"Content-Type", b"application/x-www-form-urlencoded")),
    (
        (b"Referer", b"https://evil.example/"),
        (b"Sec-Fetch-Site", b"cross-site"),
        (b"Sec-Fetch-Mode", b"no-cors"),
    ),
]
# Open by design: whether the service is alive, and the login.
KEYED = [(method, path) for method, path in ROUTES if path not in ("/health", "/api/session")]
ADDRESSES = [
    "/",
    "/health",
    "/static/index.html",
    "/openapi.json",
    "/api/jobs",
    "/api/events",
    "/api/session",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_nothing_answers_to_a_foreign_name_pages_and_streams_included(stocked: Stocked, host: bytes) -> None:
    folder = stocked.served.settings.data_dir.parent
    for address in (*ADDRESSES, f"/api/jobs/{stocked.done}/result", f"/api/jobs/{stocked.done}/events"):
        answer = stocked.served.exchange("GET", address, host=host)
        assert_is_problem(answer, folder, 403)
        assert answer.json()["code"] == "forbidden_origin"


@pytest.mark.parametrize("host", [b"127.0.0.1", b"localhost", b"LOCALHOST:8000", b"[::1]", b"[::1]:8000"])
def test_names_of_this_computer_are_answered(stocked: Stocked, host: bytes) -> None:
    for address in ("/", "/health", "/api/jobs"):
        assert stocked.served.exchange("GET", address, host=host).status == 200


def test_two_host_headers_or_none_are_no_request(stocked: Stocked) -> None:
    folder = stocked.served.settings.data_dir.parent
    good = f"Host: 127.0.0.1:{stocked.served.port}\r\n".encode()
    for lines in (b"", good + b"Host: evil.example\r\n", b"Host: evil.example\r\n" + good):
        with stocked.served.connect() as connection:
            connection.sendall(b"GET /api/jobs HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n")
            assert_is_problem(read_answer(connection), folder, 400)
    with stocked.served.connect() as connection:
        connection.sendall(b"GET /api/jobs HTTP/1.0\r\n\r\n")
        assert_is_problem(read_answer(connection), folder, 403)


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_a_foreign_page_changes_nothing_on_any_route(stocked: Stocked, method: str, path: str) -> None:
    target = filled(path, stocked.done)
    before = stocked.served.exchange("GET", "/api/jobs").json()
    paused = stocked.served.exchange("GET", "/api/queue").json()
    for headers in FOREIGN:
        answer = stocked.served.exchange(method, target, headers, json.dumps(job_body()).encode())
        folder = stocked.served.settings.data_dir.parent
        assert assert_is_refusal(path, answer, folder, 403) == "forbidden_origin"
    assert stocked.served.exchange("GET", "/api/jobs").json() == before
    assert stocked.served.exchange("GET", "/api/queue").json() == paused


@pytest.mark.parametrize("method", ["PUT", "PROPFIND", "MKCOL", "TRACE", "CONNECT", "FOO", "post"])
def test_a_method_that_nobody_thought_of_is_guarded_too(stocked: Stocked, method: str) -> None:
    headers = ((b"Origin", b"https://evil.example"),)
    answer = stocked.served.exchange(method, "/api/jobs", headers)
    assert_is_problem(answer, stocked.served.settings.data_dir.parent, 403)


def test_a_program_that_sends_neither_header_passes_and_so_does_our_own_page(stocked: Stocked) -> None:
    body = json.dumps(job_body(preferred_engine="wan2gp")).encode()
    own = f"http://127.0.0.1:{stocked.served.port}".encode()
    for headers in (
        (),
        ((b"Origin", own), (b"Sec-Fetch-Site", b"same-origin")),
        ((b"Sec-Fetch-Site", b"none"),),
    ):
        assert stocked.served.exchange("POST", "/api/jobs", (JSON, *headers), body).status == 202


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_invites_other_origins_and_every_preflight_is_denied(
    stocked: Stocked, method: str, path: str
) -> None:
    target = filled(path, stocked.done)
    preflight = stocked.served.exchange(
        "OPTIONS",
        target,
        (
            (b"Origin", b"https://evil.example"),
            (b"Access-Control-Request-Method", method.encode()),
            (b"Access-Control-Request-Headers", b"content-type"),
            (b"Access-Control-Request-Private-Network", b"true"),
        ),
    )
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    if method == "GET" and not path.endswith("/events"):
        answer = stocked.served.exchange("GET", target, ((b"Origin", b"https://evil.example"),))
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("locked"), api_key="open-sesame") as served:
        yield served


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_where_a_key_is_set_no_route_serves_anything_without_it(
    locked: Served, method: str, path: str
) -> None:
    target = filled(path, "job_zzzzzzzz1")
    shown: list[tuple[tuple[bytes, bytes], ...]] = [
        (),
        ((b"Authorization", b"Bearer wrong"),),
        ((b"Authorization", b"Bearer "),),
        ((b"Authorization", b"Basic open-sesame"),),
        ((b"X-API-Key", b""),),
        ((b"Cookie", b"aio_session=open-sesame"),),
    ]
    for headers in shown:
        answer = locked.exchange(method, target, headers)
        assert_is_refusal(path, answer, locked.settings.data_dir.parent, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert locked.exchange(method, target + "?api_key=open-sesame").status == 401, (
        "a key in a URL ends in logs"
    )
    for spelling in (target.replace("/api", "/api/.", 1), "/" + target, target.replace("/api", "/API", 1)):
        assert locked.exchange(method, spelling).status in (401, 404, 405)
    if path != "/api/events":
        assert locked.exchange(method, target, ((b"Authorization", b"Bearer open-sesame"),)).status != 401


def test_the_description_of_the_api_wants_the_key_and_the_page_does_not(locked: Served) -> None:
    assert_is_problem(locked.exchange("GET", "/openapi.json"), locked.settings.data_dir.parent, 401)
    for open_address in ("/", "/static/index.html", "/health"):
        assert locked.exchange("GET", open_address).status == 200


def test_off_loopback_the_whole_api_is_shut_to_who_has_not_the_key_of_the_first_start(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path, host="0.0.0.0") as served:
        key = next(word for word in capfd.readouterr().err.split() if word.startswith("aio_")).encode()
        for method, path in KEYED:
            assert served.exchange(method, filled(path, "job_zzzzzzzz1")).status == 401
        assert served.exchange("GET", "/api/jobs", ((b"Authorization", b"Bearer " + key),)).status == 200
        assert served.exchange("GET", "/api/jobs", ((b"X-API-Key", key),), host=b"evil.example").status == 403
