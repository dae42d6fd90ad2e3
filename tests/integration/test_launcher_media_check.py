"""The demo's verdict comes from decoding: every way a file can be wrong is told apart from a good one."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.media_check import MediaError, inspect, verify, wav_seconds
from tests import media_samples

FFMPEG = str(media_samples.FFMPEG.binary)
SECONDS = 2.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return media_samples.make_video(folder / "v.mp4"), media_samples.make_speech(folder / "a.wav")


def judge(path: Path, speech_s: float = SECONDS) -> None:
    verify(inspect(FFMPEG, path), speech_s)


def test_a_good_video_passes_with_its_true_figures(parts: tuple[Path, Path], tmp_path: Path) -> None:
    video = media_samples.make_result(tmp_path / "好 video.mp4", *parts)

    report = inspect(FFMPEG, video)

    verify(report, SECONDS)
    assert (report.video_codec, report.audio_codec) == ("h264", "aac")
    assert (report.width, report.height) == (64, 64)
    assert report.frames == 50
    assert report.distinct_frames > 10
    assert report.video_s == pytest.approx(SECONDS, abs=0.041)
    assert report.audio_s == pytest.approx(SECONDS, abs=0.05)
    assert wav_seconds(parts[1]) == pytest.approx(SECONDS, abs=0.001)


@pytest.mark.parametrize("speech_s", [1.7, 2.3])
def test_a_length_beyond_the_tolerance_fails(
    parts: tuple[Path, Path], tmp_path: Path, speech_s: float
) -> None:
    video = media_samples.make_result(tmp_path / "v.mp4", *parts)
    with pytest.raises(MediaError, match="but the speech"):
        judge(video, speech_s)


def test_sound_shorter_than_the_picture_fails(parts: tuple[Path, Path], tmp_path: Path) -> None:
    speech = media_samples.make_speech(tmp_path / "a.wav", 1.0)
    video = media_samples.make_result(tmp_path / "v.mp4", parts[0], speech)
    with pytest.raises(MediaError, match="The sound lasts"):
        judge(video)


def test_a_video_without_sound_fails(parts: tuple[Path, Path]) -> None:
    with pytest.raises(MediaError, match="no picture or no sound"):
        judge(parts[0])


def test_another_codec_fails(parts: tuple[Path, Path], tmp_path: Path) -> None:
    video = media_samples.make_video(tmp_path / "v.mp4", SECONDS, "-c:v", "mpeg4")
    with pytest.raises(MediaError, match="mpeg4"):
        judge(media_samples.make_result(tmp_path / "r.mp4", video, parts[1]))


def test_a_silent_track_fails(parts: tuple[Path, Path], tmp_path: Path) -> None:
    silence = media_samples.make_speech(tmp_path / "a.wav", SECONDS, "-af", "volume=0")
    with pytest.raises(MediaError, match="silent"):
        judge(media_samples.make_result(tmp_path / "v.mp4", parts[0], silence))


def test_a_picture_that_never_moves_fails(parts: tuple[Path, Path], tmp_path: Path) -> None:
    still = tmp_path / "still.mp4"
    media_samples.make(
        "-f", "lavfi", "-i", f"color=c=red:s=64x64:r=25:d={SECONDS}", "-c:v", "libx264", str(still)
    )
    with pytest.raises(MediaError, match="never moves"):
        judge(media_samples.make_result(tmp_path / "v.mp4", still, parts[1]))


def test_a_truncated_file_fails(parts: tuple[Path, Path], tmp_path: Path) -> None:
    video = media_samples.make_result(tmp_path / "v.mp4", *parts, "-movflags", "+faststart")
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError):
        judge(video)


def test_a_file_that_is_no_media_at_all_fails(tmp_path: Path) -> None:
    fake = tmp_path / "v.mp4"
    fake.write_bytes(b"not a video" * 100)
    with pytest.raises(MediaError):
        judge(fake)
    with pytest.raises(MediaError, match="speech file"):
        wav_seconds(fake)


def test_a_missing_ffmpeg_is_a_sentence(parts: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be checked"):
        inspect(str(tmp_path / "no-ffmpeg"), parts[0])
