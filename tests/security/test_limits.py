"""What a caller may cost: bytes, parts, headers, time, ranges. Nothing here measures time; deadlines are made short."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from backend.api import guards, http_protocol
from backend.api.batches import MAX_BATCH_BYTES
from backend.api.downloads import MAX_RANGES, satisfiable_ranges
from backend.api.guards import DEFAULT_BODY_BYTES, MULTIPART_OVERHEAD_BYTES
from tests.integration.test_library_over_http import png
from tests.security.conftest import Stocked
from tests.security.problems import assert_is_problem, assert_is_refusal
from tests.security.routes import UNSAFE, filled
from tests.support.raw_asgi import HOST, call, scope_of
from tests.support.served import Served, WireAnswer, read_answer, serving
from tests.support.studio import Studio, job_body, running_studio

JSON = (b"Content-Type", b"application/json")
FORM = (b"Content-Type", b"multipart/form-data; boundary=a")
HEAD = b'--a\r\nContent-Disposition: form-data; name="%b"; filename="x.png"\r\n\r\n'
# Short enough that a test waits a moment, long enough that a busy machine still sends a request in time.
SHORT_S = 0.8
UPLOADS = {"/api/avatars": (b"image_file", 1), "/api/voice/clone": (b"audio_file", 2)}
# JSON of its own size: many jobs at once.
JSON_LIMITS = {"/api/batches": MAX_BATCH_BYTES}


@pytest.mark.parametrize(
    ("package", "fixed_in"), [("starlette", "0.49.1"), ("python-multipart", "0.0.22"), ("h11", "0.16.0")]
)
def test_known_holes_of_the_framework_are_closed(package: str, fixed_in: str) -> None:
    """CVE-2025-62727 (ranges), CVE-2024-53981 and CVE-2026-24486 (multipart), CVE-2025-43859 (chunks)."""
    assert Version(version(package)) >= Version(fixed_in)


# -- bytes ------------------------------------------------------------------------------------------
def _chunked(
    served: Served, target: str, head: bytes, total: int, headers: tuple[tuple[bytes, bytes], ...]
) -> WireAnswer:
    """Send up to `total` bytes in chunks, as if there were no end, until the server answers."""
    lines = [b"POST %b HTTP/1.1" % target.encode(), f"Host: 127.0.0.1:{served.port}".encode()]
    lines += [b"%b: %b" % pair for pair in headers] + [b"Transfer-Encoding: chunked"]
    piece = b"x" * 65_536
    with served.connect() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n%x\r\n%b\r\n" % (len(head), head))
            for _ in range(total // len(piece)):
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
        return read_answer(connection, "POST")


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_no_route_takes_a_body_beyond_its_limit_whatever_was_declared(
    stocked: Stocked, method: str, path: str
) -> None:
    target = filled(path, "job_zzzzzzzz1")
    folder = stocked.served.settings.data_dir.parent
    mib = UPLOADS.get(path, (b"", 0))[1]
    limit = (mib << 20) + MULTIPART_OVERHEAD_BYTES if mib else JSON_LIMITS.get(path, DEFAULT_BODY_BYTES)
    declared = ((b"Content-Length", str(limit + 1).encode()), JSON)
    # Nothing is sent: the declaration alone is enough.
    with stocked.served.connect() as connection:
        lines = [
            b"%b %b HTTP/1.1" % (method.encode(), target.encode()),
            b"Host: 127.0.0.1",
            b"Connection: close",
        ]
        connection.sendall(b"\r\n".join([*lines, *(b"%b: %b" % pair for pair in declared)]) + b"\r\n\r\n")
        assert_is_refusal(path, read_answer(connection, method), folder, 413)


@pytest.mark.parametrize("path", [*UPLOADS, "/api/jobs", "/api/session"])
def test_a_body_that_declares_no_length_is_counted_as_it_comes(stocked: Stocked, path: str) -> None:
    field, _ = UPLOADS.get(path, (b"", 0))
    headers, head = ((FORM,), HEAD % field) if field else ((JSON,), b'"')
    answer = _chunked(stocked.served, path, head, 6 << 20, headers)
    assert_is_problem(answer, stocked.served.settings.data_dir.parent, 413)
    assert answer.headers["connection"] == "close"
    assert not list(stocked.served.settings.work_dir.iterdir())


def test_a_form_of_ten_thousand_parts_is_refused(stocked: Stocked) -> None:
    """Each part costs an object and maybe a file; their number is limited apart from their bytes."""
    folder = stocked.served.settings.data_dir.parent
    for part in (b'name="x"', b'name="x"; filename="x"'):
        many = b"".join(
            b"--a\r\nContent-Disposition: form-data; %b\r\n\r\n\r\n" % part for _ in range(10_000)
        )
        answer = stocked.served.exchange("POST", "/api/avatars", (FORM,), many + b"--a--\r\n")
        assert_is_problem(answer, folder, 400)
    assert not list(stocked.served.settings.work_dir.iterdir())


def test_a_header_block_beyond_its_limit_is_refused_and_the_server_lives(stocked: Stocked) -> None:
    for headers in (
        ((b"X", b"x" * (2 << 20)),),
        ((b"X", b"x" * 1000),) * 2000,
        ((b"Cookie", b"a=b; " * 400_000),),
    ):
        answer = stocked.served.exchange("GET", "/health", headers)
        assert_is_problem(answer, stocked.served.settings.data_dir.parent, 400)
    assert stocked.served.exchange("GET", "/health").status == 200


def test_a_target_beyond_its_limit_is_refused(stocked: Stocked) -> None:
    answer = stocked.served.exchange("GET", "/health?" + "x" * (2 << 20))
    assert_is_problem(answer, stocked.served.settings.data_dir.parent, 400)


async def _upload(studio: Studio, body: list[bytes]) -> int:
    app = studio.http._transport.app  # type: ignore[attr-defined]
    answer = await call(app, "POST", "/api/avatars", headers=(HOST, FORM), body=body)
    return answer.status


async def test_an_upload_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        app = studio.http._transport.app  # type: ignore[attr-defined]
        hung_up = asyncio.Event()

        async def receive() -> dict[str, object]:
            if not hung_up.is_set():
                hung_up.set()
                return {"type": "http.request", "body": HEAD % b"image_file" + png(), "more_body": True}
            return {"type": "http.disconnect"}

        sent: list[dict[str, object]] = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        with contextlib.suppress(Exception):
            await app(scope_of("POST", b"/api/avatars", (HOST, FORM)), receive, send)
        assert not [message for message in sent if message.get("status") == 201]
        assert not list(studio.settings.work_dir.iterdir())
        assert not list(studio.settings.uploads_dir.iterdir())
        assert (await studio.http.get("/api/avatars")).json()["data"][-1]["builtin"]
        assert await _upload(studio, [HEAD % b"image_file", png(), b"\r\n--a--\r\n"]) == 201


# -- time -------------------------------------------------------------------------------------------
@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(guards, "BODY_GRACE_S", SHORT_S)
    monkeypatch.setattr(http_protocol, "HEAD_DEADLINE_S", SHORT_S)
    with serving(tmp_path) as served:
        yield served


@pytest.mark.parametrize(
    "first",
    [b"", b"G", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"],
    ids=["nothing", "a byte", "half a head"],
)
def test_a_request_head_that_never_ends_holds_its_connection_only_so_long(
    hasty: Served, first: bytes
) -> None:
    with hasty.connect() as connection:
        connection.sendall(first)
        assert_is_problem(read_answer(connection), hasty.settings.data_dir.parent, 408)
        assert connection.recv(1) == b"", "the connection is closed"


def test_a_head_that_drips_is_cut_off_although_bytes_keep_coming(hasty: Served) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        connection.settimeout(0.1)
        for _ in range(600):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(b"X-A: b\r\n")
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                assert b"408" in connection.recv(4096)
                return
        pytest.fail("the head dripped for a minute")


def test_the_second_request_of_a_connection_has_a_deadline_too_and_a_good_one_is_answered(
    hasty: Served,
) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with hasty.connect() as connection:
        for _ in range(3):
            connection.sendall(request)
            assert read_answer(connection).status == 200
            time.sleep(SHORT_S / 3)  # together longer than the deadline of one head
        connection.sendall(request[:20])
        assert_is_problem(read_answer(connection), hasty.settings.data_dir.parent, 408)


def test_a_request_that_takes_long_to_answer_is_not_cut_off(hasty: Served) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        connection.settimeout(SHORT_S * 2.5)
        received = b""
        with pytest.raises(TimeoutError):
            while True:
                received += connection.recv(65_536)
                assert received.startswith(b"HTTP/1.1 200"), received[:100]
                assert b"0\r\n\r\n" not in received[-5:], "the stream goes on"


@pytest.mark.parametrize("target", ["/api/jobs", "/api/avatars", "/api/session"])
def test_a_body_that_drips_is_cut_off_and_leaves_nothing(hasty: Served, target: str) -> None:
    with hasty.connect() as connection:
        kind = FORM[1] if target == "/api/avatars" else JSON[1]
        connection.sendall(
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %b\r\nContent-Length: 900000\r\n\r\n"
            % (target.encode(), kind)
        )
        if target == "/api/avatars":
            connection.sendall(HEAD % b"image_file" + png())
        connection.settimeout(0.1)
        for _ in range(600):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(b" ")
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                assert b"HTTP/1.1 408" in connection.recv(4096)
                break
        else:
            pytest.fail("the body dripped for a minute")
    assert not list(hasty.settings.work_dir.iterdir())
    assert hasty.exchange("GET", "/health").status == 200


def test_a_steady_upload_may_take_longer_than_the_grace(hasty: Served) -> None:
    """Twice the grace in time, at a rate well above the least that is asked for."""
    body = json.dumps(job_body(preferred_engine="wan2gp")).encode()
    padding = b" " * (guards.BODY_MIN_BYTES_PER_S * 2)
    pieces = [padding] * 8 + [body]
    with hasty.connect() as connection:
        connection.sendall(
            b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % sum(map(len, pieces))
        )
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(SHORT_S / 4)
        assert read_answer(connection, "POST").status == 202


def test_many_idle_connections_do_not_keep_others_out(hasty: Served) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(hasty.connect()) for _ in range(100)]
        for connection in held:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: ")
        assert hasty.exchange("GET", "/health").status == 200
        for connection in held:
            assert read_answer(connection).status == 408


# -- ranges -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 0)]),
        ("bytes=0-", [(0, 99)]),
        ("bytes=-1", [(99, 99)]),
        ("bytes=-1000", [(0, 99)]),
        ("bytes=50-1000", [(50, 99)]),
        ("Bytes = 1-2", [(1, 2)]),
        ("bytes=1-2,-1, 5-5", [(1, 2), (99, 99), (5, 5)]),
        ("bytes=100-", []),
        ("bytes=-0", []),
        ("bytes=100-200,0-0", [(0, 0)]),
        ("bytes=2-1", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=1", None),
        ("bytes=a-b", None),
        ("bytes=1-2,", None),
        ("bytes=٣-٤", None),
        ("bytes=-+1", None),
        ("bytes=0-" + "9" * 5000, None),
        ("items=0-1", None),
        ("0-1", None),
        ("bytes=" + ",".join(["0-0"] * MAX_RANGES), [(0, 0)] * MAX_RANGES),
        ("bytes=" + ",".join(["0-0"] * (MAX_RANGES + 1)), None),
    ],
)
def test_a_range_header_is_understood_or_ignored(header: str, expected: list[tuple[int, int]] | None) -> None:
    assert satisfiable_ranges(header, 100) == expected


def test_ten_thousand_ranges_are_answered_with_the_whole_file_once(stocked: Stocked) -> None:
    url = f"/api/jobs/{stocked.done}/result"
    whole = stocked.served.exchange("GET", url)
    for ranges in (
        b",".join(b"%d-%d" % (n, n) for n in range(0, 10_000, 2)),
        b",".join([b"0-"] * 10_000),
        b",".join([b"-%d" % len(whole.body)] * (MAX_RANGES + 1)),
    ):
        answer = stocked.served.exchange("GET", url, ((b"Range", b"bytes=" + ranges),))
        assert (answer.status, answer.body) == (200, whole.body)


def test_a_few_overlapping_ranges_never_send_more_than_the_file(stocked: Stocked) -> None:
    url = f"/api/jobs/{stocked.done}/result"
    whole = stocked.served.exchange("GET", url)
    answer = stocked.served.exchange("GET", url, ((b"Range", b"bytes=" + b",".join([b"0-"] * MAX_RANGES)),))
    assert answer.status == 206
    assert len(answer.body) <= len(whole.body)
    parts = stocked.served.exchange("GET", url, ((b"Range", b"bytes=0-3,8-11"),))
    assert parts.media_type == "multipart/byteranges"
    assert parts.headers["content-length"] == str(len(parts.body))
