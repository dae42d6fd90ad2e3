"""A portrait and speech become a real video file, through the handler and a real encoder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.unit.draft.conftest import ASSETS, FIXTURES, FakeContext, spell, voiced, write_timings, write_wav
from workers.draft.handler import create_handler
from workers.handler import Handler, Task, TaskCancelled, TaskError, WorkerSetup

pytestmark = pytest.mark.slow

SECONDS = 1.5


@pytest.fixture(scope="module")
def ffmpeg_path() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="module")
def handler(ffmpeg_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handler]:
    place = tmp_path_factory.mktemp("worker")
    made = create_handler()
    options = {"ffmpeg": ffmpeg_path, "threads": 2, "assets_dir": str(ASSETS)}
    made.load(WorkerSetup("draft", None, place, place, place, None, options))
    yield made
    made.unload()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from skimage import data

    place = tmp_path_factory.mktemp("inputs")
    portrait = place / "portrait.png"
    Image.fromarray(data.astronaut()).save(portrait)  # type: ignore[no-untyped-call]
    sound = np.concatenate([np.zeros(4800), voiced(SECONDS - 0.4), np.zeros(4800)])
    audio = write_wav(place / "speech.wav", sound)
    timings = write_timings(place / "timings.json", spell("pɑmɑbɑ"))
    return {"portrait": portrait, "audio": audio, "timings": timings}


def run(
    handler: Handler,
    inputs: dict[str, Path],
    output: Path,
    *,
    context: FakeContext | None = None,
    seed: int = 7,
    task: str = "talking_avatar",
    **params: Any,
) -> tuple[dict[str, Any], FakeContext]:
    output.mkdir()
    context = context or FakeContext()
    if task == "talking_avatar":
        params.setdefault("size", 256)
    data = handler.run(Task("job_00000001", 1, task, None, inputs, params, output, seed), context)
    return data, context


def describe(ffmpeg_path: str, video: Path) -> str:
    command = [ffmpeg_path, "-hide_banner", "-i", str(video)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def decoded(ffmpeg_path: str, video: Path) -> bytes:
    command = [ffmpeg_path, "-v", "error", "-i", str(video), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


def test_the_video_is_silent_h264_with_a_frame_for_every_moment_of_the_audio(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, ffmpeg_path: str
) -> None:
    data, context = run(handler, inputs, tmp_path / "out")
    frames = int(np.ceil(SECONDS * 25))
    assert data["frames"] == frames
    assert data["driver"] == "phonemes"
    assert (data["width"], data["height"], data["fps"]) == (256, 256, 25)
    video = context.artifacts["video"]
    assert video["path"] == tmp_path / "out" / "video.mp4"
    assert video["media_type"] == "video/mp4"
    facts = describe(ffmpeg_path, video["path"])
    assert "Video: h264" in facts
    assert "yuv420p(tv, bt709" in facts
    assert "256x256" in facts
    assert "Audio:" not in facts
    assert len(decoded(ffmpeg_path, video["path"])) == frames * 256 * 256


def test_progress_is_frames_done_and_ends_at_one(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    data, context = run(handler, inputs, tmp_path / "out")
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0
    assert context.steps == [(n, data["frames"]) for n in range(1, data["frames"] + 1)]
    assert context.checks >= data["frames"]


def test_the_same_seed_gives_the_same_video_and_another_seed_another(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, ffmpeg_path: str
) -> None:
    videos = []
    for number, seed in enumerate((3, 3, 4)):
        _, context = run(handler, inputs, tmp_path / str(number), seed=seed)
        videos.append(decoded(ffmpeg_path, context.artifacts["video"]["path"]))
    assert videos[0] == videos[1]
    assert videos[0] != videos[2]


def test_without_timings_the_viseme_net_listens(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    alone = {name: path for name, path in inputs.items() if name != "timings"}
    assert run(handler, alone, tmp_path / "out")[0]["driver"] == "viseme_net"


def test_timings_of_another_recording_are_not_used(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    foreign = write_timings(tmp_path / "timings.json", spell("pɑmɑ", start_s=30.0))
    data, context = run(handler, {**inputs, "timings": foreign}, tmp_path / "out")
    assert data["driver"] == "viseme_net"
    assert context.logs[0][0] == "warning"


@pytest.mark.parametrize("after", [1, 9])
def test_a_cancel_stops_between_two_frames_and_leaves_no_file_and_no_encoder(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, after: int
) -> None:
    context = FakeContext(cancel_after=after)
    with pytest.raises(TaskCancelled):
        run(handler, inputs, tmp_path / "out", context=context)
    assert len(context.steps) == after
    assert list((tmp_path / "out").iterdir()) == []
    children = psutil.Process().children(recursive=True)
    assert not [child for child in children if "ffmpeg" in child.name()]
    # The same warm worker does the next job.
    assert run(handler, inputs, tmp_path / "next")[0]["frames"] > after


def test_an_encoder_that_fails_is_an_error_and_leaves_no_file(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out" / "that is gone"
    task = Task("job_00000001", 1, "talking_avatar", None, inputs, {"size": 256}, output, 1)
    with pytest.raises(TaskError) as caught:
        handler.run(task, FakeContext())
    assert caught.value.code == "internal_error"
    assert str(tmp_path) not in caught.value.message
    assert not output.exists()


@pytest.mark.parametrize(
    ("aspect", "size"), [("16:9", (910, 512)), ("9:16", (288, 512)), ("source", (512, 512))]
)
def test_other_aspects_are_rendered(
    handler: Handler, inputs: dict[str, Path], tmp_path: Path, aspect: str, size: tuple[int, int]
) -> None:
    data, _ = run(handler, inputs, tmp_path / "out", aspect=aspect)
    width, height = data["width"], data["height"]
    assert width % 2 == height % 2 == 0
    assert width / height == pytest.approx(size[0] / size[1], abs=0.02)


def test_a_probe_describes_the_portrait_and_keeps_a_clean_copy(handler: Handler, tmp_path: Path) -> None:
    data, context = run(
        handler, {"image": FIXTURES / "astronaut_256.heic"}, tmp_path / "out", task="portrait_probe"
    )
    assert (data["width"], data["height"], data["chosen"]) == (256, 256, 0)
    face = data["faces"][0]
    assert 0 < face["x"] < face["x"] + face["w"] < 1
    assert 0 < face["y"] < face["y"] + face["h"] < 1
    assert face["size_px"] > 80
    assert data["warnings"] == []
    with Image.open(context.artifacts["portrait"]["path"]) as portrait:
        assert (portrait.format, portrait.mode, portrait.size) == ("PNG", "RGB", (256, 256))
    with Image.open(context.artifacts["thumbnail"]["path"]) as thumbnail:
        assert thumbnail.format == "JPEG"
    assert context.fractions[-1] == 1.0


def test_a_probe_keeps_an_upside_down_picture_upright_and_says_so(handler: Handler, tmp_path: Path) -> None:
    path = tmp_path / "upside_down.png"
    with Image.open(FIXTURES / "astronaut_256.heic") as original:
        given = original.convert("RGB")
    given.transpose(Image.Transpose.ROTATE_180).save(path)
    data, context = run(handler, {"image": path}, tmp_path / "out", task="portrait_probe")
    assert [warning["code"] for warning in data["warnings"]] == ["rotated"]
    with Image.open(context.artifacts["portrait"]["path"]) as portrait:
        assert np.array_equal(np.asarray(portrait.convert("RGB")), np.asarray(given))


def test_a_probe_of_a_part_describes_the_part_and_keeps_the_whole(handler: Handler, tmp_path: Path) -> None:
    image = FIXTURES / "astronaut_256.heic"
    whole, _ = run(handler, {"image": image}, tmp_path / "whole", task="portrait_probe")
    box = {"x": 0.25, "y": 0.0, "w": 0.5, "h": 0.75}
    data, context = run(handler, {"image": image}, tmp_path / "out", task="portrait_probe", crop=box)
    assert (data["width"], data["height"], data["crop"]) == (128, 192, box)
    with Image.open(context.artifacts["portrait"]["path"]) as portrait:
        assert portrait.size == (128, 192)
    with Image.open(context.artifacts["whole"]["path"]) as kept:
        assert (kept.format, kept.size) == ("PNG", (256, 256))
    # The same face, seen from the part: its marks are where they were.
    for seen, mark in zip(data["faces"][0]["marks"], whole["faces"][0]["marks"], strict=True):
        assert box["x"] + seen["x"] * box["w"] == pytest.approx(mark["x"], abs=0.02)
        assert box["y"] + seen["y"] * box["h"] == pytest.approx(mark["y"], abs=0.02)


def test_the_marks_are_eyes_nose_mouth_and_chin_in_their_places(handler: Handler, tmp_path: Path) -> None:
    image = FIXTURES / "astronaut_256.heic"
    data, _ = run(handler, {"image": image}, tmp_path / "out", task="portrait_probe")
    right_eye, left_eye, nose, right_corner, left_corner, chin = data["faces"][0]["marks"]
    assert right_eye["x"] < nose["x"] < left_eye["x"], "the person's own right is the picture's left"
    assert right_corner["x"] < nose["x"] < left_corner["x"]
    heights = [mark["y"] for mark in (right_eye, nose, right_corner, chin)]
    assert heights == sorted(heights)


@pytest.mark.parametrize(
    ("crop", "code"),
    [
        ({"x": 0, "y": 0, "w": 0.05, "h": 0.05}, "face_too_small"),
        ({"x": 0.5, "y": 0, "w": 0.6, "h": 1}, "validation_failed"),
        ({"x": 0, "y": 0, "w": float("nan"), "h": 1}, "validation_failed"),
        ({"x": 0}, "validation_failed"),
        ("all", "validation_failed"),
    ],
)
def test_a_part_that_holds_no_face_is_refused(
    handler: Handler, tmp_path: Path, crop: object, code: str
) -> None:
    image = FIXTURES / "astronaut_256.heic"
    with pytest.raises(TaskError) as caught:
        run(handler, {"image": image}, tmp_path / "out", task="portrait_probe", crop=crop)
    assert caught.value.code == code


def test_a_probe_of_a_landscape_finds_no_face(handler: Handler, tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    Image.fromarray(np.full((300, 400, 3), 150, np.uint8)).save(path)
    with pytest.raises(TaskError) as caught:
        run(handler, {"image": path}, tmp_path / "out", task="portrait_probe")
    assert caught.value.code == "face_not_found"
