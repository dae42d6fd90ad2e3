"""The finish stage: from an engine's silent video and the speech to a checked MP4."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.services.finish_service import FinishedVideo, FinishService
from backend.utils.media.mp4 import read_tags
from tests.media_samples import FFMPEG, make, make_result, make_speech, make_video

ASSETS = Path(__file__).parents[2] / "assets"
SENTENCES = [
    {"text": "你好，世界。", "start_s": 0.1, "end_s": 0.9, "words": []},
    {"text": "Hello --> <b>world</b>.", "start_s": 1.0, "end_s": 1.9},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finish")
    make_video(folder / "video.mp4", 2.0, size="160x120")
    make_speech(folder / "speech.wav", 1.97)
    timings = {"version": 1, "language": "zh", "duration_s": 1.97, "sentences": SENTENCES}
    (folder / "timings.json").write_text(json.dumps(timings), encoding="utf-8")
    return folder


class Told:
    """What the stage reported, and on which thread."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.messages: list[str] = []
        self.threads: set[int] = set()
        self.joining = asyncio.Event()

    def __call__(self, fraction: float, message: str) -> None:
        self.fractions.append(fraction)
        self.messages.append(message)
        self.threads.add(threading.get_ident())
        if message.startswith("Joining"):
            self.joining.set()


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def _finish(folder: Path, work_dir: Path, **changes: Any) -> FinishedVideo:
    arguments: dict[str, Any] = {
        "job_id": "job_abcdefgh12345678",
        "work_dir": work_dir,
        "silent_video": folder / "video.mp4",
        "audio": folder / "speech.wav",
        "timings": folder / "timings.json",
        "title": "第一支视频",
        "subtitles": "file",
        "provenance": {
            "engine": "draft",
            "seed": 7,
            "attempts": [{"engine": "draft", "outcome": "completed"}],
        },
        "report": Told(),
        "cancelled": lambda: False,
    }
    return await FinishService(FFMPEG, ASSETS).finish(**{**arguments, **changes})


async def test_it_leaves_a_checked_video_with_subtitles_thumbnail_and_hash(
    tmp_path: Path, folder: Path
) -> None:
    told = Told()
    done = await _finish(folder, tmp_path / "attempt-1", report=told)
    assert done.info.video is not None
    assert done.info.audio is not None
    assert (done.info.video.codec, done.info.audio.codec, done.info.faststart) == ("h264", "aac", True)
    assert abs(done.info.duration_s - 1.97) < 0.2
    assert done.sha256 == hashlib.sha256(done.video.read_bytes()).hexdigest()
    assert done.srt is not None
    assert done.vtt is not None
    assert "你好，世界。" in done.srt.read_text(encoding="utf-8")
    assert "&lt;b&gt;world" in done.vtt.read_text(encoding="utf-8")
    with Image.open(done.thumbnail) as picture:
        assert (picture.format, picture.size) == ("JPEG", (160, 120))
    assert done.warnings == ()
    assert told.fractions == sorted(told.fractions)
    assert (told.fractions[0], told.fractions[-1]) == (0.0, 1.0)
    assert told.threads == {threading.get_ident()}


async def test_title_and_provenance_stand_in_the_file(tmp_path: Path, folder: Path) -> None:
    done = await _finish(folder, tmp_path)
    tags = read_tags(done.video)
    assert tags["©nam"] == "第一支视频"
    comment = json.loads(tags["©cmt"])
    assert comment["ai_generated"] is True
    assert (comment["engine"], comment["seed"], comment["job_id"]) == ("draft", 7, "job_abcdefgh12345678")


async def test_burn_in_changes_the_picture_and_still_writes_the_files(tmp_path: Path, folder: Path) -> None:
    plain = await _finish(folder, tmp_path / "plain")
    burnt = await _finish(folder, tmp_path / "burnt", subtitles="burn_in")
    assert burnt.srt is not None
    assert burnt.warnings == ()
    frames = []
    for done in (plain, burnt):
        frame = tmp_path / "frame.png"
        make("-ss", "0.5", "-i", str(done.video), "-frames:v", "1", "-update", "1", str(frame))
        with Image.open(frame) as picture:
            frames.append(picture.convert("L").crop((0, 90, 160, 120)))
    difference = sum(abs(a - b) for a, b in zip(frames[0].tobytes(), frames[1].tobytes(), strict=True))
    assert difference > 20_000


async def test_without_subtitles_none_are_written(tmp_path: Path, folder: Path) -> None:
    done = await _finish(folder, tmp_path, subtitles="none")
    assert (done.srt, done.vtt) == (None, None)
    assert {"subtitles.srt", "subtitles.vtt"}.isdisjoint(_contents(tmp_path))
    assert done.warnings == ()


@pytest.mark.parametrize("sentences", [None, []])
async def test_speech_without_its_text_gives_a_warning_not_a_failure(
    tmp_path: Path, folder: Path, sentences: list[Any] | None
) -> None:
    timings = None
    if sentences is not None:
        timings = tmp_path / "timings.json"
        timings.write_text(json.dumps({"sentences": sentences}), encoding="utf-8")
    done = await _finish(folder, tmp_path / "work", timings=timings, subtitles="burn_in")
    assert done.srt is None
    assert len(done.warnings) == 1


async def test_sound_of_the_engine_is_replaced(tmp_path: Path, folder: Path) -> None:
    carried = make_result(
        tmp_path / "carried.mp4", folder / "video.mp4", folder / "speech.wav", "-ar", "44100"
    )
    done = await _finish(folder, tmp_path / "work", silent_video=carried)
    assert done.info.audio is not None
    assert done.info.audio.sample_rate == 48000


@pytest.mark.parametrize("seconds", [1.0, 1.6, 2.4])
async def test_a_video_that_is_not_as_long_as_the_speech_is_the_engine_s_fault(
    tmp_path: Path, folder: Path, seconds: float
) -> None:
    video = make_video(tmp_path / "v.mp4", seconds)
    with pytest.raises(EngineFailure) as caught:
        await _finish(folder, tmp_path / "work", silent_video=video)
    assert caught.value.code is ErrorCode.NO_OUTPUT
    assert f"{seconds:.2f} s" in caught.value.detail
    assert not (tmp_path / "work" / "result.mp4").exists()


@pytest.mark.parametrize("content", [b"", b"not a video", b"#EXTM3U\nfile:///etc/passwd\n"])
async def test_a_file_that_is_no_video_is_the_engine_s_fault(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    fake = tmp_path / "v.mp4"
    fake.write_bytes(content)
    with pytest.raises(EngineFailure) as caught:
        await _finish(folder, tmp_path / "work", silent_video=fake)
    assert caught.value.code is ErrorCode.NO_OUTPUT
    assert str(tmp_path) not in f"{caught.value.detail}{caught.value.hint}"


async def test_a_truncated_or_missing_video_is_the_engine_s_fault(tmp_path: Path, folder: Path) -> None:
    cut = tmp_path / "cut.mp4"
    whole = (folder / "video.mp4").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    for video in (cut, tmp_path / "absent.mp4", folder / "speech.wav"):
        with pytest.raises(EngineFailure) as caught:
            await _finish(folder, tmp_path / "work", silent_video=video)
        assert caught.value.code is ErrorCode.NO_OUTPUT


async def test_damaged_pictures_are_found_after_joining(tmp_path: Path, folder: Path) -> None:
    """The packets copy well and only the decoder notices: this is why the result is decoded."""
    data = bytearray((folder / "video.mp4").read_bytes())
    start = data.index(b"mdat") + 3000
    data[start : start + 4000] = bytes(range(250)) * 16
    damaged = tmp_path / "v.mp4"
    damaged.write_bytes(data)
    with pytest.raises(EngineFailure) as caught:
        await _finish(folder, tmp_path / "work", silent_video=damaged)
    assert caught.value.code is ErrorCode.NO_OUTPUT


async def test_it_can_be_run_again_over_what_a_crash_left(tmp_path: Path, folder: Path) -> None:
    for name in ("result.mp4", "subtitles.srt", "thumbnail.jpg", "tags.ffmeta"):
        (tmp_path / name).write_bytes(b"half of it")
    first = await _finish(folder, tmp_path)
    second = await _finish(folder, tmp_path)
    assert replace(first, sha256="") == replace(second, sha256="")


async def test_the_inputs_are_left_as_they_were(tmp_path: Path, folder: Path) -> None:
    before = _contents(folder)
    await _finish(folder, tmp_path, subtitles="burn_in")
    assert _contents(folder) == before


async def test_a_full_disk_is_told_as_such(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EngineFailure) as caught:
        await _finish(folder, tmp_path)
    assert caught.value.code is ErrorCode.DISK_FULL


async def test_a_cancel_raises_and_leaves_no_result_behind_the_check(tmp_path: Path, folder: Path) -> None:
    told = Told()
    with pytest.raises(JobCancelled):
        await _finish(folder, tmp_path, report=told, cancelled=lambda: bool(told.fractions))
    assert told.fractions[-1] < 1.0


async def test_when_nobody_waits_any_more_its_ffmpeg_is_ended(tmp_path: Path, folder: Path) -> None:
    long_video, long_speech = make_video(tmp_path / "v.mp4", 60.0, size="640x360"), tmp_path / "s.wav"
    make_speech(long_speech, 60.0)
    told = Told()
    task = asyncio.create_task(
        _finish(
            folder,
            tmp_path / "w",
            silent_video=long_video,
            audio=long_speech,
            subtitles="burn_in",
            report=told,
        )
    )
    await told.joining.wait()
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = _contents(tmp_path / "w")
    assert "burn_in.ass" in left
    await asyncio.sleep(0.3)
    assert _contents(tmp_path / "w") == left
    assert told.fractions[-1] < 1.0
