"""No request, however odd, gets an answer of the 500s, a traceback, or a place on this machine.

schemathesis (tests/contract/test_openapi_answers.py) asks what the OpenAPI document allows and a little more; this
asks what nobody allows: any method, any bytes as target and header, bodies of every shape. FUZZ_EXAMPLES=20000 makes
a long run; FUZZ_SEED another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from backend.models.job import JobCreate
from backend.models.library import Problem
from backend.models.openai import OpenAISpeechRequest
from tests.integration.test_library_over_http import png
from tests.security.problems import assert_is_openai_error, told_secret
from tests.security.routes import DOCUMENT, ROUTES
from tests.support.raw_asgi import HOST, RawAnswer, call
from tests.support.studio import Studio, job_body, running_studio

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "250"))
SEED = int(os.environ.get("FUZZ_SEED", "20261122"))
QUICKLY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
HEADER_NAMES = [
    *(
        b"content-type",
        b"range",
        b"if-range",
        b"if-none-match",
        b"last-event-id",
        b"idempotency-key",
        b"accept",
    ),
    *(
        b"accept-language",
        b"authorization",
        b"cookie",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"x-odd",
    ),
    *(
        b"origin",
        b"sec-fetch-site",
        b"x-forwarded-host",
        b"x-forwarded-for",
        b"forwarded",
        b"content-encoding",
    ),
]
CONTENT_TYPES = [
    *(b"application/json", b"multipart/form-data; boundary=a", b"multipart/form-data", b"text/plain", b""),
    *(b"application/x-www-form-urlencoded", b"application/json; charset=utf-16", b"application/problem+json"),
]
# Parameters in the paths of routes, with a value that names something; "JOB" becomes the id of a job that ended.
PARAMETERS = {
    "job_id": "JOB",
    "voice_id": "voice_builtinafheart",
    "avatar_id": "avatar_builtinaria",
    "name": "audio.wav",
    "batch_id": "batch_zzzzzzzz1",
    "hook_id": "hook_zzzzzzzz1",
    "key_id": "key_zzzzzzzz1",
    "folder_id": "fld_zzzzzzzz1",
    "model_id": "script-qwen",
    "model_name": "builtin",
    "term": "银行",
}
QUERY_NAMES = ["status", "engine", "q", "order", "limit", "cursor", "inline", "batch_id", "odd", ""]


@dataclass
class Door:
    """A running service in a thread of its own, asked from this one."""

    loop: asyncio.AbstractEventLoop
    studio: Studio
    folder: Path
    ended: str

    def ask(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> RawAnswer:
        app = self.studio.http._transport.app  # type: ignore[attr-defined]

        def is_stream(answer: RawAnswer) -> bool:
            return answer.media_type == "text/event-stream" and bool(answer.body)

        asked = call(app, method, target, headers=headers, body=body, hang_up_on=is_stream)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(120)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("fuzz")
    made: list[Door] = []
    ready, done = threading.Event(), threading.Event()

    async def live() -> None:
        async with running_studio(folder, queue_limit=50, max_image_mib=1, max_audio_mib=1) as studio:
            job_id = await studio.submit(preferred_engine="draft")
            await studio.wait_for(job_id)
            await studio.http.post("/api/queue/pause")
            made.append(Door(asyncio.get_running_loop(), studio, folder, job_id))
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="fuzzed-service")
    thread.start()
    assert ready.wait(60)
    yield made[0]
    done.set()
    thread.join(60)


def assert_harmless(answer: RawAnswer, folder: Path, target: bytes = b"/api/") -> None:
    assert answer.error is None
    assert answer.status in range(200, 500), answer
    assert told_secret(answer.body, folder) is None
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not [value for value in answer.headers.values() if "\n" in value or "\r" in value]
    if answer.status < 400:
        return
    if answer.media_type == "application/json":
        assert unquote_to_bytes(target.partition(b"?")[0]).startswith(b"/v1")
        assert_is_openai_error(answer.json())
    else:
        assert answer.media_type == "application/problem+json"
        assert set(answer.json()) == set(Problem.model_fields)


any_text = st.text(max_size=60)
odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats()
    | st.text(st.characters(), max_size=40)
    | st.sampled_from(
        ["\ud800", "\x00", "../..", "https://[", "http://127.0.0.1", "job_zzzzzzzz1", "￿", "a" * 5000]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=12), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def targets(draw: st.DrawFn) -> bytes:
    """An address: a real route with real, odd or no ids, or any bytes; and a query."""
    _, path = draw(st.sampled_from(ROUTES))
    for name, real in PARAMETERS.items():
        value = draw(st.sampled_from([real, "JOB", "..", ""]) | any_text)
        path = path.replace(f"{{{name}}}", value if value == "JOB" else quote(value, safe=""))
    raw = path.encode()
    if draw(st.integers(0, 4)) == 0:
        raw = draw(st.sampled_from([b"/", b"/static/", b"/api/", b"//", raw])) + draw(
            st.binary(max_size=30)
        ).replace(b"?", b"")
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(QUERY_NAMES), any_text | st.integers().map(str)), max_size=3)
    )
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs).encode()
    if draw(st.integers(0, 9)) == 0:
        query = draw(st.binary(max_size=30))
    # What h11 lets through as a target: visible ASCII.
    return bytes(byte for byte in raw + (b"?" + query if query else b"") if 0x21 <= byte <= 0x7E)


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    values = st.binary(max_size=40) | st.sampled_from(
        [b"bytes=0-", b"bytes=5-1,-0", b"*", b'"x"', b"chunked", b"0", b"9" * 30]
    )
    # What h11 lets through: no line breaks and no NUL inside a value.
    clean = values.map(lambda value: value.translate(None, b"\r\n\x00"))
    found = draw(st.lists(st.tuples(st.sampled_from(HEADER_NAMES), clean), max_size=4))
    if draw(st.booleans()):
        found.append((b"content-type", draw(st.sampled_from(CONTENT_TYPES))))
    return [HOST, *found]


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def job_bodies(draw: st.DrawFn) -> bytes:
    """A good job with some fields gone wrong."""
    body = job_body(preferred_engine="wan2gp")
    names = st.sampled_from([*JobCreate.model_fields, "odd"])
    body.update(draw(st.dictionaries(names, odd_values, max_size=3)))
    return _dumped(body)


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Multipart that is nearly right."""
    parts = b""
    for _ in range(draw(st.integers(0, 4))):
        name = draw(
            st.sampled_from([b"image_file", b"audio_file", b"name", b"consent", b""]) | st.binary(max_size=10)
        )
        more = draw(
            st.sampled_from(
                [b"", b'; filename="a.png"', b'; filename=""', b"; filename*=utf-8''%ff", b"; filename="]
            )
        )
        value = draw(
            st.sampled_from([png(), b"", b"RIFF\x00\x00\x00\x00WAVE", b"true"]) | st.binary(max_size=60)
        )
        parts += (
            b'--a\r\nContent-Disposition: form-data; name="'
            + name
            + b'"'
            + more
            + b"\r\n\r\n"
            + value
            + b"\r\n"
        )
    return parts + draw(st.sampled_from([b"--a--\r\n", b"--a--", b"--a", b""]))


bodies = st.binary(max_size=80) | odd_values.map(_dumped) | job_bodies() | forms() | st.just(b"")
methods = st.sampled_from(
    [*(["GET", "POST", "DELETE", "PATCH"] * 3), "PUT", "HEAD", "OPTIONS", "TRACE", "BREW", "get", ""]
)


# Starlette leaves the file of a part without an end to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@seed(SEED)
@QUICKLY
@given(method=methods, target=targets(), sent=headers(), body=bodies)
def test_no_request_breaks_anything(
    door: Door, method: str, target: bytes, sent: list[tuple[bytes, bytes]], body: bytes
) -> None:
    target = target.replace(b"JOB", door.ended.encode())
    if method == "DELETE" and door.ended.encode() in target:
        target = target.replace(door.ended.encode(), b"job_zzzzzzzz1")  # it is needed for the next request
    assert_harmless(door.ask(method, target, sent, body), door.folder, target)


@seed(SEED)
@QUICKLY
@given(body=job_bodies())
def test_no_job_that_is_nearly_right_breaks_anything(door: Door, body: bytes) -> None:
    answer = door.ask("POST", b"/api/jobs", [HOST, (b"content-type", b"application/json")], body)
    assert_harmless(answer, door.folder)
    if answer.status == 202:
        job_id = answer.json()["job_id"].encode()
        for method, target in (
            ("GET", b"/api/jobs/" + job_id),
            ("POST", b"/api/jobs/" + job_id + b"/cancel"),
        ):
            assert_harmless(door.ask(method, target, [HOST], b""), door.folder)
    assert_harmless(door.ask("GET", b"/api/jobs?limit=5", [HOST], b""), door.folder)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@seed(SEED)
@QUICKLY
@given(body=forms(), target=st.sampled_from([b"/api/avatars", b"/api/voice/clone"]))
def test_no_upload_that_is_nearly_right_breaks_anything(door: Door, target: bytes, body: bytes) -> None:
    sent = [HOST, (b"content-type", b"multipart/form-data; boundary=a")]
    assert_harmless(door.ask("POST", target, sent, body), door.folder)


@pytest.fixture(scope="module")
def locked_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A service that wants a key, which nobody shows."""
    folder = tmp_path_factory.mktemp("locked")
    made: list[Door] = []
    ready, done = threading.Event(), threading.Event()

    async def live() -> None:
        async with running_studio(folder, api_key="a key that no fuzzer finds") as studio:
            made.append(Door(asyncio.get_running_loop(), studio, folder, "job_zzzzzzzz1"))
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="locked-service")
    thread.start()
    assert ready.wait(60)
    yield made[0]
    done.set()
    thread.join(60)


@st.composite
def credentials(draw: st.DrawFn) -> list[tuple[bytes, bytes]]:
    """Keys and cookies of any bytes, some in the shape of ours."""
    clean = st.binary(max_size=80).map(lambda value: value.translate(None, b"\r\n\x00"))
    shaped = clean.map(lambda value: b"aio_session=9999999999." + value) | clean.map(
        lambda value: b"aio_session=" + value
    )
    return [
        HOST,
        (b"cookie", draw(shaped | clean)),
        (b"authorization", draw(clean | clean.map(lambda value: b"Bearer " + value))),
        (b"x-api-key", draw(clean)),
    ]


@st.composite
def speech_bodies(draw: st.DrawFn) -> bytes:
    """A good order for speech with some fields gone wrong."""
    body: dict[str, Any] = {"model": "tts-1", "input": "Hi.", "voice": "af_heart", "response_format": "pcm"}
    names = st.sampled_from([*OpenAISpeechRequest.model_fields, "odd"])
    body.update(draw(st.dictionaries(names, odd_values, max_size=3)))
    return _dumped(body)


@seed(SEED)
@QUICKLY
@given(body=speech_bodies())
def test_no_order_for_speech_that_is_nearly_right_breaks_anything(door: Door, body: bytes) -> None:
    target = b"/v1/audio/speech"
    answer = door.ask("POST", target, [HOST, (b"content-type", b"application/json")], body)
    assert_harmless(answer, door.folder, target)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@seed(SEED)
@QUICKLY
@given(method=methods, target=targets(), sent=credentials())
def test_no_request_breaks_a_service_that_wants_a_key(
    locked_door: Door, method: str, target: bytes, sent: list[tuple[bytes, bytes]]
) -> None:
    answer = locked_door.ask(method, target.replace(b"JOB", b"job_zzzzzzzz1"), sent, b"")
    assert_harmless(answer, locked_door.folder, target)
    path = target.partition(b"?")[0]
    if path.startswith((b"/api/", b"/v1/")) and path != b"/api/session":
        assert answer.status in (400, 401, 403, 404, 405), "nothing of the API is served without the key"


def test_every_route_is_among_the_targets() -> None:
    used = {part[1:-1] for _, path in ROUTES for part in path.split("/") if part.startswith("{")}
    assert used <= PARAMETERS.keys(), "a path parameter that is never filled in"
    assert len(DOCUMENT["paths"]) > 20
