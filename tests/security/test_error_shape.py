"""Every error has one JSON shape, whoever makes it: route, framework, guard or server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.services.system_service import SystemService
from tests.security.conftest import Stocked
from tests.security.problems import assert_is_problem, told_secret
from tests.support.raw_asgi import HOST, call
from tests.support.served import Headers, read_answer
from tests.support.studio import job_body, running_studio

JSON = ((b"Content-Type", b"application/json"),)


def multipart(boundary: bytes = b"a") -> Headers:
    return ((b"Content-Type", b"multipart/form-data; boundary=" + boundary),)


def _part(name: bytes, value: bytes = b"1", more: bytes = b"") -> bytes:
    return b'--a\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, value)


def _job(**changes: object) -> bytes:
    return json.dumps(job_body(**changes)).encode()


def _metadata(raw: bytes) -> bytes:
    return _job()[:-1] + b',"metadata":{"x":' + raw + b"}}"


REQUESTS: dict[str, tuple[str, str, Headers, bytes, int]] = {
    "an unknown address": ("GET", "/nothing", (), b"", 404),
    "an unknown address of the API": ("GET", "/api/nothing", (), b"", 404),
    "a slash too many": ("GET", "/api/jobs/", (), b"", 404),
    "an unknown file of the page": ("GET", "/static/nothing.js", (), b"", 404),
    "a folder of the page": ("GET", "/static/", (), b"", 404),
    "no interactive docs": ("GET", "/docs", (), b"", 404),
    "a method an address does not take": ("PUT", "/api/jobs", (), b"", 405),
    "a method nobody takes": ("BREW", "/health", (), b"", 405),
    "a method the page's files do not take": ("POST", "/static/index.html", (), b"", 405),
    "a job of an impossible id": ("GET", "/api/jobs/x", (), b"", 404),
    "a job that is not there": ("GET", "/api/jobs/job_zzzzzzzz1", (), b"", 404),
    "a voice that is not there": ("GET", "/api/voices/voice_zzzzzzzz1", (), b"", 404),
    "an avatar that is not there": ("GET", "/api/avatars/avatar_zzzzzzzz1", (), b"", 404),
    "a query that is no number": ("GET", "/api/jobs?limit=many", (), b"", 422),
    "a query beyond its bound": ("GET", "/api/jobs?limit=" + "9" * 40, (), b"", 422),
    "a cursor that is not ours": ("GET", "/api/jobs?cursor=%00", (), b"", 422),
    "JSON that is cut off": ("POST", "/api/jobs", JSON, b'{"voice_id":', 422),
    "JSON that is no UTF-8": ("POST", "/api/jobs", JSON, b'{"a":"\xff"}', 400),
    "JSON that is a list": ("POST", "/api/jobs", JSON, b"[]", 422),
    "no body": ("POST", "/api/jobs", JSON, b"", 422),
    "a form instead of JSON": (
        "POST",
        "/api/jobs",
        ((b"Content-Type", b"application/x-www-form-urlencoded"),),
        b"voice_id=x",
        422,
    ),
    "a number too long to be read": ("POST", "/api/jobs", JSON, _metadata(b"9" * 5000), 400),
    "nesting that ends the parser": (
        "POST",
        "/api/jobs",
        JSON,
        _metadata(b"[" * 90_000 + b"]" * 90_000),
        400,
    ),
    "nesting that ends the writer": ("POST", "/api/jobs", JSON, _metadata(b"[" * 600 + b"]" * 600), 422),
    "a number that is none": ("POST", "/api/jobs", JSON, _metadata(b"NaN"), 422),
    "half a character": ("POST", "/api/jobs", JSON, _metadata(b'"\\ud800"'), 422),
    "half a character as a name": ("POST", "/api/jobs", JSON, _metadata(b'{"\\udfff": 1}'), 422),
    "an engine that is not known": ("POST", "/api/jobs", JSON, _job(preferred_engine="\ud800"), 422),
    "a key that is too long": ("POST", "/api/jobs", (*JSON, (b"Idempotency-Key", b"x" * 300)), _job(), 422),
    "more JSON than allowed": ("POST", "/api/jobs", JSON, b" " * (1 << 20) + b"{}", 413),
    "more picture than allowed": ("POST", "/api/avatars", multipart(), b"x" * (2 << 20), 413),
    "multipart without a boundary": (
        "POST",
        "/api/avatars",
        ((b"Content-Type", b"multipart/form-data"),),
        b"x",
        400,
    ),
    "multipart that is none": ("POST", "/api/avatars", multipart(), b"hello", 400),
    "a part with a broken head": ("POST", "/api/avatars", multipart(), b"--a\r\nx\r\n", 400),
    "a file that is missing": ("POST", "/api/avatars", multipart(), _part(b"name") + b"--a--\r\n", 422),
    "a text where a file belongs": (
        "POST",
        "/api/avatars",
        multipart(),
        _part(b"image_file") + b"--a--\r\n",
        422,
    ),
    "too many fields": (
        "POST",
        "/api/avatars",
        multipart(),
        b"".join(_part(b"f%d" % index) for index in range(1100)) + b"--a--\r\n",
        400,
    ),
    "too many files": (
        "POST",
        "/api/voice/clone",
        multipart(),
        b"".join(_part(b"f%d" % index, more=b'; filename="x"') for index in range(1100)) + b"--a--\r\n",
        400,
    ),
    "a part with too many headers": (
        "POST",
        "/api/avatars",
        multipart(),
        b"--a\r\n" + b"X-A: b\r\n" * 9000 + b"\r\nabc\r\n--a--\r\n",
        400,
    ),
    "a file name without end": (
        "POST",
        "/api/avatars",
        multipart(),
        _part(b"image_file", more=b'; filename="' + b"x" * 20_000 + b'"') + b"--a--\r\n",
        400,
    ),
    "a text field without end": (
        "POST",
        "/api/voice/clone",
        multipart(),
        _part(b"name", b"x" * ((1 << 20) + 1)) + b"--a--\r\n",
        400,
    ),
    "a picture that is none": (
        "POST",
        "/api/avatars",
        multipart(),
        _part(b"image_file", b"hello", b'; filename="a.png"') + b"--a--\r\n",
        422,
    ),
    "a header without end": ("GET", "/health", ((b"X-Long", b"x" * (1 << 20)),), b"", 400),
    "headers without end": ("GET", "/health", ((b"X-Many", b"x" * 500),) * 2000, b"", 400),
    "a header that is none": ("GET", "/health", ((b"X Y", b"z"),), b"", 400),
    "a host of somebody else": ("GET", "/health", ((b"Host", b"two.example"),), b"", 400),
    "a path that is no ASCII": ("GET", "/health", ((b"X", b"\x00"),), b"", 400),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_an_error_has_the_one_shape(stocked: Stocked, what: str) -> None:
    method, target, headers, body, status = REQUESTS[what]
    answer = stocked.served.exchange(method, target, headers, body)
    assert_is_problem(answer, stocked.served.settings.data_dir.parent, status)


@pytest.mark.parametrize(
    ("what", "fix"),
    [
        ("a form instead of JSON", "application/json"),
        ("more JSON than allowed", "Send less"),
        ("more picture than allowed", "MAX_IMAGE_MIB"),
        ("JSON that is a list", "`errors`"),
    ],
)
def test_the_fix_is_one_for_this_very_error(stocked: Stocked, what: str, fix: str) -> None:
    method, target, headers, body, _status = REQUESTS[what]
    assert fix in stocked.served.exchange(method, target, headers, body).json()["hint"]


def test_json_that_is_none_is_called_so_and_the_place_is_told(stocked: Stocked) -> None:
    answer = stocked.served.exchange("POST", "/api/jobs", JSON, b'{"voice_id":').json()
    (field,) = answer["errors"]
    assert field["field"] == "body"
    assert field["message"].startswith("This is not JSON: ")
    assert field["message"].endswith("at character 12")


@pytest.mark.parametrize(
    "bytes_sent", [b"hello\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_answered_in_the_one_shape_too(stocked: Stocked, bytes_sent: bytes) -> None:
    with stocked.served.connect() as connection:
        connection.sendall(bytes_sent + b"\r\n\r\n")
        assert_is_problem(read_answer(connection), stocked.served.settings.data_dir.parent, 400)


# Starlette leaves the file of a part without an end to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_part_that_never_ends_is_a_file_that_is_missing(stocked: Stocked) -> None:
    body = _part(b"image_file", more=b'; filename="x"')
    answer = stocked.served.exchange("POST", "/api/avatars", multipart(), body)
    assert_is_problem(answer, stocked.served.settings.data_dir.parent, 422)


def test_a_method_that_is_not_taken_is_answered_with_those_that_are(stocked: Stocked) -> None:
    answer = stocked.served.exchange("PUT", "/api/session")
    assert {name.strip() for name in answer.headers["allow"].split(",")} <= {"GET", "POST", "DELETE"}
    assert answer.headers["allow"]


@pytest.mark.parametrize("what", ["a range behind the end", "no range at all"])
def test_a_range_outside_the_file_is_a_problem_and_a_malformed_one_is_ignored(
    stocked: Stocked, what: str
) -> None:
    url = f"/api/jobs/{stocked.done}/result"
    size = len(stocked.served.exchange("GET", url).body)
    if what == "no range at all":
        for header in (
            b"nope",
            b"lines=1-2",
            b"bytes=",
            b"bytes=x",
            b"bytes=5-2",
            b"bytes=\xff-",
            b"bytes=-" + b"9" * 99,
        ):
            answer = stocked.served.exchange("GET", url, ((b"Range", header),))
            assert (answer.status, len(answer.body)) == (200, size), header
        return
    for header in (b"bytes=%d-" % size, b"bytes=-0", b"bytes=999999999-", b"bytes=%d-,-0" % size):
        answer = stocked.served.exchange("GET", url, ((b"Range", header),))
        assert_is_problem(answer, stocked.served.settings.data_dir.parent, 416)
        assert answer.headers["content-range"] == f"bytes */{size}"


async def test_a_file_that_somebody_removed_by_hand_is_gone_and_no_defect(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        for file in (studio.settings.outputs_dir / job_id).iterdir():
            file.unlink()
        for name in ("result", "artifacts/audio.wav", "artifacts/thumbnail.jpg"):
            answer = await studio.http.get(f"/api/jobs/{job_id}/{name}")
            assert (answer.status_code, answer.json()["code"]) == (410, "gone")
            assert answer.json()["hint"]


async def test_a_defect_of_ours_is_told_as_an_id_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError(f"secret of {tmp_path}")

    monkeypatch.setattr(SystemService, "view", broken)
    async with running_studio(tmp_path) as studio:
        answer = await studio.http.get("/api/system")
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff", "also outside of the guard"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        problem = answer.json()
        assert problem["code"] == "internal_error"
        assert told_secret(answer.content, tmp_path) is None
        assert "ZeroDivisionError" not in answer.text
        log = (studio.settings.logs_dir / "app.log").read_text(encoding="utf-8")
        assert problem["request_id"] in log
        assert "ZeroDivisionError" in log


async def test_json_nested_to_any_depth_is_refused_by_somebody(tmp_path: Path) -> None:
    """Between "the parser gives up" and "we give up" lies no depth at which something else breaks."""
    async with running_studio(tmp_path) as studio:
        app = studio.http._transport.app  # type: ignore[attr-defined]
        for depth in (33, 200, 254, 256, 500, 900, *range(940, 1010, 5), 2000, 50_000):
            for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
                body = _metadata(opening * depth + b"1" + closing * depth)
                answer = await call(app, "POST", "/api/jobs", headers=(HOST, *JSON), body=body)
                assert answer.status in (400, 422), depth
                assert answer.error is None


async def test_metadata_comes_back_unchanged(tmp_path: Path) -> None:
    given = {"名": ["a", 1, 2.5, None, True, {"深": [[[["x"]]]]}], "": "\u2028\x1b[31m"}
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit(metadata=given, preferred_engine="wan2gp")
        assert (await studio.view(job_id))["metadata"] == given


async def test_an_open_websocket_handshake_is_turned_away(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        app: Callable[..., object] = studio.http._transport.app  # type: ignore[attr-defined]
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        for path in ("/", "/api/events", "/static/index.html"):
            scope = {
                "type": "websocket",
                "path": path,
                "headers": [(b"host", b"evil.example")],
                "query_string": b"",
            }
            await app(scope, receive, send)  # type: ignore[misc]
        assert sent == [{"type": "websocket.close", "code": 1008}] * 3
