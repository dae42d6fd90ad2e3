"""`/v1` over HTTP: formats that players can read, exact content types, errors in OpenAI's shape."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend.utils.media.ffmpeg import locate_ffmpeg
from tests.support.studio import Studio, running_studio

BODY = {"model": "tts-1", "input": "Hello there, this is a test.", "voice": "af_heart"}
# Format: content type, codec and container as ffmpeg names them.
FORMATS = {
    "mp3": ("audio/mpeg", "mp3", "mp3"),
    "opus": ("audio/opus", "opus", "ogg"),
    "aac": ("audio/aac", "aac", "aac"),
    "flac": ("audio/flac", "flac", "flac"),
    "wav": ("audio/wav", "pcm_s16le", "wav"),
}


def described(data: bytes, folder: Path) -> tuple[str, float]:
    """What ffmpeg sees in a file, and its decoded length, s."""
    path = folder / "answer"
    path.write_bytes(data)
    command = [
        str(locate_ffmpeg()),
        "-hide_banner",
        "-i",
        str(path),
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        "24000",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return done.stderr.decode("utf-8", "replace"), len(done.stdout) / 48_000


async def speak(studio: Studio, **changes: Any) -> Any:
    return await studio.http.post("/v1/audio/speech", json={**BODY, **changes})


@pytest.mark.parametrize("name", FORMATS)
async def test_a_format_is_what_it_says(tmp_path: Path, name: str) -> None:
    media_type, codec, container = FORMATS[name]
    async with running_studio(tmp_path) as studio:
        raw = (await speak(studio, response_format="pcm")).content
        answer = await speak(studio, response_format=name)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-speech-engine"] == "builtin"
    seen, seconds = described(answer.content, tmp_path)
    assert f"Audio: {codec}" in seen
    assert f"Input #0, {container}" in seen
    assert "mono" in seen
    # Lossy formats begin and end with a little silence of their own.
    assert seconds == pytest.approx(len(raw) / 48_000, abs=0.15)


async def test_the_default_is_mp3_and_pcm_is_plain_samples(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        assert (await speak(studio)).headers["content-type"] == "audio/mpeg"
        pcm = await speak(studio, response_format="pcm")
        wav = await speak(studio, response_format="wav")
    assert pcm.headers["content-type"] == "audio/pcm"
    assert wav.content[44:] == pcm.content
    assert int.from_bytes(wav.content[40:44], "little") == len(pcm.content)


async def test_events_carry_the_same_sound(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        plain = await speak(studio, response_format="pcm")
        answer = await speak(studio, response_format="pcm", stream_format="sse")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert events[-1]["type"] == "speech.audio.done"
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert sound == plain.content


async def test_what_was_asked_for_reaches_the_engine(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        await speak(studio, speed=1.5, instructions="Whisper.", voice={"id": "voice_builtinamfenrir"})
        (task,) = [task for task in studio.speech.seen if task.task == "speech"]
    assert task.params["speed"] == 1.5
    assert task.params["voice"] == "am_fenrir"


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"voice": "alloy"}, 400, "voice_not_found", "voice"),
        ({"voice": ""}, 400, "validation_failed", "voice"),
        ({"voice": 7}, 400, "validation_failed", "voice"),
        ({"model": "gpt-5"}, 404, "model_not_found", "model"),
        ({"input": ""}, 400, "validation_failed", "input"),
        ({"input": " \n"}, 400, "validation_failed", "input"),
        ({"input": "a" * 20_001}, 400, "validation_failed", "input"),
        ({"response_format": "m4a"}, 400, "validation_failed", "response_format"),
        ({"speed": 4}, 400, "validation_failed", "speed"),
        ({"stream_format": "x"}, 400, "validation_failed", "stream_format"),
    ],
)
async def test_a_refusal_has_openais_shape(
    tmp_path: Path, changes: dict[str, Any], status: int, code: str, param: str
) -> None:
    async with running_studio(tmp_path) as studio:
        answer = await speak(studio, **changes)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")
    assert error["message"]


async def test_other_refusals_below_v1_have_openais_shape_too(tmp_path: Path) -> None:
    async with running_studio(tmp_path, api_key="k3y") as studio:
        http = studio.http
        key = {"Authorization": "Bearer k3y"}
        cases = [
            (await http.get("/v1/models"), 401),
            (await http.get("/v1/models", headers={"Authorization": "Bearer other"}), 401),
            (await http.get("/v1/nothing", headers=key), 404),
            (await http.put("/v1/models", headers=key), 405),
            (await http.get("/v1/models/nothing", headers=key), 404),
            (await http.post("/v1/audio/speech", content=b"{", headers=key), 400),
            (
                await http.post(
                    "/v1/audio/speech", json=BODY, headers={**key, "Origin": "https://evil.example"}
                ),
                403,
            ),
            (await http.post("/v1/audio/speech", content=b" " * (2 << 20), headers=key), 413),
        ]
        for answer, status in cases:
            assert answer.status_code == status
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert (await http.get("/v1/models", headers=key)).status_code == 200
        assert (await http.get("/api/nothing", headers=key)).headers[
            "content-type"
        ] == "application/problem+json"


async def test_models_and_voices_are_listed(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        models = (await studio.http.get("/v1/models")).json()
        one = (await studio.http.get("/v1/models/tts-1")).json()
        voices = (await studio.http.get("/v1/voices")).json()
        ours = (await studio.http.get("/api/voices")).json()["data"]
    assert models["object"] == "list"
    assert {"auto", "builtin"} <= {model["id"] for model in models["data"]}
    assert (one["id"], one["object"]) == ("tts-1", "model")
    assert [voice["id"] for voice in voices["data"]] == [voice["voice_id"] for voice in ours]
