"""What the probe and the final check say about good, broken and lying files."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError, JobCancelled
from backend.utils.media.mp4 import is_faststart
from backend.utils.media.probe import FrameListing, probe
from backend.utils.media.verify import verify_result
from tests.media_samples import FFMPEG, make, make_result, make_speech, make_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    video, speech = make_video(folder / "video.mp4"), make_speech(folder / "speech.wav")
    make_result(folder / "good.mp4", video, speech, "-movflags", "+faststart")
    make_result(folder / "slow.mp4", video, speech)
    return folder


def test_a_probe_tells_codec_size_rate_and_length_of_both_tracks(folder: Path) -> None:
    info = probe(FFMPEG, folder / "good.mp4")
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.codec, info.video.width, info.video.height) == ("h264", 64, 64)
    assert (info.video.fps, info.video.frames, info.video.duration_s) == (25.0, 50, 2.0)
    assert info.video.pixel_format == "yuv420p"
    assert (info.audio.codec, info.audio.sample_rate, info.audio.channels) == ("aac", 24000, 1)
    assert info.audio.duration_s == pytest.approx(2.0, abs=0.05)
    assert (info.container, info.faststart) == ("mp4", True)


def test_an_index_behind_the_data_is_not_faststart(folder: Path) -> None:
    assert not probe(FFMPEG, folder / "slow.mp4").faststart
    assert not is_faststart(folder / "speech.wav")


def test_sound_alone_has_no_picture(folder: Path) -> None:
    info = probe(FFMPEG, folder / "speech.wav")
    assert info.video is None
    assert info.audio is not None
    assert (info.audio.codec, info.audio.duration_s) == ("pcm_s16le", 2.0)


@pytest.mark.parametrize(("layout", "channels"), [("stereo", 2), ("5.1", 6), ("7.1", 8)])
def test_channels_are_counted(tmp_path: Path, layout: str, channels: int) -> None:
    path = tmp_path / "many.flac"
    make("-f", "lavfi", "-i", f"anullsrc=cl={layout}:r=48000:d=0.2", str(path))
    info = probe(FFMPEG, path)
    assert info.audio is not None
    assert info.audio.channels == channels


def test_cover_art_is_no_picture_track(tmp_path: Path, folder: Path) -> None:
    cover, song = tmp_path / "cover.png", tmp_path / "song.mp3"
    make("-f", "lavfi", "-i", "color=s=32x32:d=1", "-frames:v", "1", "-update", "1", str(cover))
    make("-i", str(folder / "speech.wav"), "-i", str(cover), "-map", "0:a", "-map", "1:v", str(song))
    assert probe(FFMPEG, song).video is None


def test_a_length_that_only_the_header_claims_is_not_believed(tmp_path: Path, folder: Path) -> None:
    lying = tmp_path / "ten_hours.wav"
    data = bytearray((folder / "speech.wav").read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = (1_728_000_000).to_bytes(4, "little")
    lying.write_bytes(data)
    assert probe(FFMPEG, lying).duration_s == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text", b"RIFF\x24\x00\x00\x00WAVE", b"\x00" * 4096]
)
def test_a_file_without_media_is_refused_with_the_code_asked_for(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        probe(FFMPEG, path)
    assert caught.value.code is ErrorCode.AUDIO_UNREADABLE
    assert str(tmp_path) not in caught.value.detail


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        probe(FFMPEG, tmp_path / "absent.wav")


def test_lines_that_are_no_listing_are_ignored() -> None:
    listing = FrameListing()
    for line in ("", "#", "#tb x: 1/2", "#tb 0: 1/0", "rubbish, 1", "0, a, b, c", "#media_type 0: video"):
        listing.add(line)
    assert listing.of("video") is None
    listing.add("0, 0, 0, 5, 10, 0x0")
    video = listing.of("video")
    assert video is not None
    assert video.duration_s == 0.0
    assert video.fps == 0.0


def test_a_good_result_passes_the_check(folder: Path) -> None:
    info = verify_result(FFMPEG, folder / "good.mp4", 2.0)
    assert info.video is not None
    assert info.video.frames == 50


def _refusal(path: Path, expected_s: float = 2.0) -> EngineFailure:
    with pytest.raises(EngineFailure) as caught:
        verify_result(FFMPEG, path, expected_s)
    assert caught.value.code is ErrorCode.NO_OUTPUT
    assert caught.value.detail.endswith(".")
    return caught.value


def test_a_truncated_result_is_refused(tmp_path: Path, folder: Path) -> None:
    data = (folder / "good.mp4").read_bytes()
    for part in (0.3, 0.6, 0.95):
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(data[: int(len(data) * part)])
        _refusal(cut)


def test_a_result_without_its_index_is_refused(tmp_path: Path, folder: Path) -> None:
    data = (folder / "slow.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"moov") - 4])
    _refusal(cut)


def test_a_result_with_damaged_pictures_is_refused(tmp_path: Path, folder: Path) -> None:
    data = bytearray((folder / "good.mp4").read_bytes())
    start = data.index(b"mdat") + 2000
    data[start : start + 4000] = bytes(range(250)) * 16
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    _refusal(damaged)


def test_an_empty_missing_or_foreign_result_is_refused(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    _refusal(empty)
    _refusal(tmp_path / "absent.mp4")
    _refusal(folder / "speech.wav")


def test_a_result_without_sound_or_with_other_codecs_is_refused(tmp_path: Path, folder: Path) -> None:
    assert "sound" in _refusal(folder / "video.mp4").detail
    other = make_video(tmp_path / "v.mp4", 2.0, "-c:v", "mpeg4")
    assert "H.264" in _refusal(make_result(tmp_path / "r.mp4", other, folder / "speech.wav")).detail
    mp3 = tmp_path / "mp3.mp4"
    make("-i", str(folder / "good.mp4"), "-c:v", "copy", "-c:a", "libmp3lame", str(mp3))
    assert "AAC" in _refusal(mp3).detail


@pytest.mark.parametrize("expected_s", [1.7, 2.3, 0.0])
def test_a_result_of_the_wrong_length_is_refused(folder: Path, expected_s: float) -> None:
    assert "lasts 2.0" in _refusal(folder / "good.mp4", expected_s).detail


def test_a_result_whose_sound_is_shorter_than_its_picture_is_refused(tmp_path: Path, folder: Path) -> None:
    short = make_speech(tmp_path / "short.wav", 1.5)
    assert "sound" in _refusal(make_result(tmp_path / "r.mp4", folder / "video.mp4", short)).detail


def test_a_cancelled_check_raises_the_cancel(folder: Path) -> None:
    with pytest.raises(JobCancelled):
        verify_result(FFMPEG, folder / "good.mp4", 2.0, cancelled=lambda: True)
