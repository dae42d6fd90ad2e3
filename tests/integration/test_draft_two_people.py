"""Two people in one portrait become a real video in which each mouth follows its own track."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.main import create_app
from tests.integration.test_speech_worker import models_dir
from tests.support.studio import TERMINAL, settings_in
from tests.unit.draft.conftest import ASSETS, RATE, FakeContext, models, spell, voiced, write_wav
from tests.unit.draft.pictures import portrait, shoulder_to_shoulder, side_by_side
from tests.unit.draft.test_renderer import aperture
from workers.draft import landmarks
from workers.draft.faces import find_faces
from workers.draft.handler import create_handler
from workers.draft.sessions import Models
from workers.handler import Handler, Task, TaskError, WorkerSetup

pytestmark = pytest.mark.slow

# Fixtures of other packages.
__all__ = ["models", "models_dir"]

SECONDS, FIRST_UNTIL_S = 3.2, 1.6
# Frames of the video are compared with the sound in steps of a frame.
FPS = 25


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handler]:
    place = tmp_path_factory.mktemp("worker")
    made = create_handler()
    options = {"ffmpeg": imageio_ffmpeg.get_ffmpeg_exe(), "threads": 2, "assets_dir": str(ASSETS)}
    made.load(WorkerSetup("draft", None, place, place, place, None, options))
    yield made
    made.unload()


@pytest.fixture(scope="module")
def inputs(models: Models, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first one speaks until 1.6 s, then the second one; open vowels between closed lips."""
    place = tmp_path_factory.mktemp("inputs")
    picture = place / "portrait.png"
    assert cv2.imwrite(str(picture), shoulder_to_shoulder(models)[:, :, ::-1])
    half, edge = np.zeros(round(FIRST_UNTIL_S * RATE)), np.zeros(round(0.2 * RATE))
    spoken = np.concatenate([edge, voiced(FIRST_UNTIL_S - 0.4), edge])
    first, second = np.concatenate([spoken, half]), np.concatenate([half, spoken])
    sentences = []
    for speaker, start_s in enumerate((0.2, FIRST_UNTIL_S + 0.2)):
        sounds = [
            {"symbol": s, "start_s": a, "end_s": b}
            for s, a, b in spell("pɑɑmɑɑbɑ", each_s=0.14, start_s=start_s)
        ]
        sentences.append({"index": speaker, "speaker": speaker, "text": "x", "words": [], "phonemes": sounds})
    timings = place / "timings.json"
    timings.write_text(json.dumps({"version": 1, "sentences": sentences}), encoding="utf-8")
    return {
        "portrait": picture,
        "audio": write_wav(place / "audio.wav", first + second),
        "track_1": write_wav(place / "track_1.wav", first),
        "track_2": write_wav(place / "track_2.wav", second),
        "timings": timings,
    }


def run(
    handler: Handler, inputs: dict[str, Path], output: Path, *boxes: Any, **params: Any
) -> tuple[dict[str, Any], FakeContext]:
    output.mkdir()
    context = FakeContext()
    speakers = [{"face": box} for box in boxes or (None, None)]
    asked = {"size": 320, "speakers": speakers, **params}
    task = Task("job_00000001", 1, "talking_avatar", None, inputs, asked, output, 7)
    return handler.run(task, context), context


def frames_of(video: Path) -> list[NDArray[np.uint8]]:
    reader = cv2.VideoCapture(str(video))
    frames = []
    while True:
        is_there, frame = reader.read()
        if not is_there:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def openings(models: Models, video: Path) -> NDArray[np.float64]:
    """How far each mouth is open (frames, 2), measured in the decoded video; faces from left to right."""
    frames = frames_of(video)
    first = np.ascontiguousarray(frames[0][:, :, ::-1])
    faces = sorted(find_faces(models, first, lambda: None)[:2], key=lambda face: float(face.centre[0]))
    regions = [landmarks.region_of_points(face.points) for face in faces]
    seen = [
        [aperture(landmarks.measure(models, frame[:, :, ::-1].copy(), region).points) for region in regions]
        for frame in frames
    ]
    return np.array(seen)


def test_the_mouth_that_moves_is_the_speakers_and_the_listener_keeps_his_shut(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, models: Models
) -> None:
    data, context = run(handler, inputs, tmp_path / "out")
    assert data["drivers"] == ["phonemes", "phonemes"]
    assert data["warnings"] == []
    assert data["frames"] == round(SECONDS * FPS)
    assert (data["width"], data["height"]) == (320, 320)
    seen = openings(models, context.artifacts["video"]["path"])
    change = round(FIRST_UNTIL_S * FPS)
    for speaker, turn in enumerate((slice(4, change), slice(change + 4, None))):
        assert np.percentile(seen[turn, speaker], 90) > 0.12
        assert np.percentile(seen[turn, 1 - speaker], 98) < 0.045


def test_boxes_decide_whose_face_is_whose(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, models: Models
) -> None:
    right, left = {"x": 0.5, "y": 0.1, "w": 0.45, "h": 0.7}, {"x": 0.05, "y": 0.1, "w": 0.45, "h": 0.7}
    _, context = run(handler, inputs, tmp_path / "out", right, left)
    seen = openings(models, context.artifacts["video"]["path"])
    change = round(FIRST_UNTIL_S * FPS)
    assert np.percentile(seen[4:change, 1], 90) > 0.12
    assert np.percentile(seen[4:change, 0], 98) < 0.045


def test_without_timings_each_track_is_listened_to(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, models: Models
) -> None:
    alone = {name: path for name, path in inputs.items() if name != "timings"}
    data, context = run(handler, alone, tmp_path / "out")
    assert data["drivers"] == ["viseme_net", "viseme_net"]
    seen = openings(models, context.artifacts["video"]["path"])
    change = round(FIRST_UNTIL_S * FPS)
    for speaker, turn in enumerate((slice(4, change), slice(change + 4, None))):
        own, other = seen[turn, speaker], seen[turn, 1 - speaker]
        assert np.percentile(own, 90) > 0.06
        assert np.percentile(other, 98) < 0.045


def test_who_never_speaks_listens_to_the_end(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, models: Models
) -> None:
    silent = write_wav(tmp_path / "silent.wav", np.zeros(round(SECONDS * RATE)))
    given = {**inputs, "track_1": inputs["audio"], "track_2": silent}
    del given["timings"]
    _, context = run(handler, given, tmp_path / "out")
    seen = openings(models, context.artifacts["video"]["path"])
    assert np.percentile(seen[:, 0], 90) > 0.06
    assert seen[:, 1].max() < 0.045


def test_the_listener_blinks_and_the_same_seed_gives_the_same_video(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    videos = []
    for name in ("one", "two"):
        _, context = run(handler, inputs, tmp_path / name, size=128)
        videos.append(frames_of(context.artifacts["video"]["path"]))
    assert all(np.array_equal(a, b) for a, b in zip(*videos, strict=True))
    # The half of the picture in which the second one only listens moves all the same.
    first, later = (videos[0][index][:, 64:].astype(int) for index in (2, round(FIRST_UNTIL_S * FPS) - 4))
    assert np.abs(first - later).max() > 12


def test_a_tall_video_shows_both_with_the_picture_around_them(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    wide = tmp_path / "wide.png"
    assert cv2.imwrite(str(wide), side_by_side(apart_px=300)[:, :, ::-1])
    data, context = run(handler, {**inputs, "portrait": wide}, tmp_path / "out", aspect="9:16", fps=10)
    assert (data["width"], data["height"]) == (720, 1280)
    last = frames_of(context.artifacts["video"]["path"])[-1]
    assert last.shape == (1280, 720, 3)
    # Above and below the opening nothing moves and nothing is black.
    assert last[:200].mean() > 20


def test_one_face_is_not_enough_and_the_error_says_what_to_do(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    alone = tmp_path / "alone.png"
    assert cv2.imwrite(str(alone), portrait("leo")[:, :, ::-1])
    with pytest.raises(TaskError) as caught:
        run(handler, {**inputs, "portrait": alone}, tmp_path / "out")
    assert caught.value.code == "face_not_found"
    assert "shows both" in caught.value.message


def test_a_track_of_another_length_is_refused(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    short = write_wav(tmp_path / "short.wav", voiced(1.0))
    with pytest.raises(TaskError) as caught:
        run(handler, {**inputs, "track_2": short}, tmp_path / "out")
    assert caught.value.code == "validation_failed"


SCRIPT = (
    "A: Hello Leo, my name is Aria. How are you doing today?\n"
    "B：I am very well, thank you. And what about you, Aria?\n"
    "A: Marvellous. Goodbye, and see you tomorrow!"
)


def energy(wav: Path) -> NDArray[np.float64]:
    """Loudness of a track for each frame of the video (root mean square, 25 a second)."""
    with wave.open(str(wav), "rb") as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2") / 32768
    hop = RATE // FPS
    count = len(samples) // hop
    return np.asarray(np.sqrt((samples[: count * hop].reshape(count, hop) ** 2).mean(axis=1)), np.float64)


async def ended(http: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job when it has ended."""
    while True:
        view: dict[str, Any] = (await http.get(f"/api/jobs/{job_id}")).json()
        if view["status"] in TERMINAL:
            return view
        await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_real_conversation_opens_each_mouth_with_its_own_voice(
    models_dir: Path, models: Models, tmp_path: Path
) -> None:
    """The whole product with its real engines, from the request to the mouths in the decoded video."""
    settings = settings_in(tmp_path)
    settings.models_dir.mkdir(parents=True)
    (settings.models_dir / "kokoro").symlink_to(models_dir / "kokoro", target_is_directory=True)
    uploads = settings.data_dir / "uploads"
    uploads.mkdir(parents=True)
    assert cv2.imwrite(str(uploads / "two.png"), shoulder_to_shoulder(models)[:, :, ::-1])
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        speakers = [
            {"name": "A", "voice_id": "voice_builtinafheart"},
            {"name": "B", "voice_id": "voice_builtinammichael"},
        ]
        body = {"avatar_url": "two.png", "script_input": SCRIPT, "speakers": speakers, "seed": 7}
        answer = await http.post("/api/jobs", json=body)
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["job_id"]
        view = await ended(http, job_id)
        assert view["status"] == "completed", view["error"]
    made = settings.data_dir / "outputs" / job_id
    seen = openings(models, made / "silent.mp4")
    tracks = [energy(made / name) for name in ("track_1.wav", "track_2.wav")]
    count = min(len(seen), len(tracks[0]))
    matrix = np.array(
        [[np.corrcoef(seen[:count, face], track[:count])[0, 1] for track in tracks] for face in (0, 1)]
    )
    print("correlation of mouth (rows) and track (columns):", matrix.round(2).tolist())
    assert matrix[0, 0] > 0.4
    assert matrix[1, 1] > 0.4
    assert matrix[0, 1] < 0.1
    assert matrix[1, 0] < 0.1
    # Both voices are about as loud where they speak.
    loud = [np.sqrt((track[track > 0.01] ** 2).mean()) for track in tracks]
    assert abs(20 * np.log10(loud[0] / loud[1])) < 3
