"""The MP4 a user gets: nothing cut, index first, words about its making inside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.models.errors import JobCancelled
from backend.utils.media.mp4 import read_tags
from backend.utils.media.mux import (
    MAX_COMMENT_CHARS,
    MAX_TITLE_CHARS,
    BurnIn,
    MuxRequest,
    mux,
    provenance_comment,
    tags_document,
    take_thumbnail,
)
from backend.utils.media.probe import MediaInfo, probe
from backend.utils.media.verify import verify_result
from backend.utils.subtitle_formats import FONT_FAMILY, FONT_FILE, missing_glyphs, to_ass
from backend.utils.subtitles import Cue
from tests.media_samples import FFMPEG, make, make_speech, make_video

FONT = Path(__file__).parents[3] / "assets" / "fonts" / FONT_FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mux")
    make_video(folder / "video.mp4")
    make_speech(folder / "speech.wav")
    return folder


def _request(video: Path, speech: Path, work_dir: Path, **changes: Any) -> MuxRequest:
    picture, sound = probe(FFMPEG, video).video, probe(FFMPEG, speech).audio
    assert picture is not None
    assert sound is not None
    request = MuxRequest(
        video=video,
        video_info=picture,
        audio=speech,
        audio_info=sound,
        output=work_dir / "out.mp4",
        work_dir=work_dir,
        title="A title",
        provenance={"engine": "draft"},
    )
    return replace(request, **changes)


def _verified(request: MuxRequest) -> MediaInfo:
    return verify_result(FFMPEG, request.output, request.audio_info.duration_s)


def _packet_sums(path: Path, tmp_path: Path) -> list[str]:
    listing = tmp_path / "packets.txt"
    make(
        "-i",
        str(path),
        "-map",
        "0:v:0",
        "-c",
        "copy",
        "-bsf:v",
        "h264_mp4toannexb",
        "-f",
        "framemd5",
        str(listing),
    )
    return [line.split(",")[-1].strip() for line in listing.read_text().splitlines() if line[0] != "#"]


def test_pictures_are_copied_untouched_and_the_index_comes_first(tmp_path: Path, folder: Path) -> None:
    request = _request(folder / "video.mp4", folder / "speech.wav", tmp_path)
    mux(FFMPEG, request)
    info = _verified(request)
    assert info.faststart
    assert info.audio is not None
    assert info.audio.sample_rate == 48000
    assert _packet_sums(request.output, tmp_path) == _packet_sums(request.video, tmp_path)


def test_chinese_title_and_provenance_survive(tmp_path: Path, folder: Path) -> None:
    title = "数字人；测试 = 1 # \\ “引号” 🎬\n第二行"
    provenance = {
        "engine": "draft",
        "seed": 7,
        "voice": "小贝",
        "attempts": [{"engine": "wan2gp", "error": "a=b;#\n"}],
    }
    request = _request(
        folder / "video.mp4", folder / "speech.wav", tmp_path, title=title, provenance=provenance
    )
    mux(FFMPEG, request)
    tags = read_tags(request.output)
    assert tags["©nam"] == title.replace("\n", " ")
    comment = json.loads(tags["©cmt"])
    assert comment["ai_generated"] is True
    assert "AI-generated" in comment["statement"]
    assert {key: comment[key] for key in provenance} == provenance
    assert "AI-generated" in tags["desc"]


def test_tags_of_the_engine_s_own_file_are_not_passed_on(tmp_path: Path, folder: Path) -> None:
    tagged = tmp_path / "tagged.mp4"
    make("-i", str(folder / "video.mp4"), "-c", "copy", "-metadata", "artist=/home/somebody", str(tagged))
    request = _request(tagged, folder / "speech.wav", tmp_path)
    mux(FFMPEG, request)
    assert b"somebody" in tagged.read_bytes()
    assert b"somebody" not in request.output.read_bytes()


@pytest.mark.parametrize("speech_s", [1.85, 1.99, 2.0, 2.15])
def test_the_last_word_is_never_cut_and_the_tracks_end_together(
    tmp_path: Path, folder: Path, speech_s: float
) -> None:
    speech = make_speech(tmp_path / "speech.wav", speech_s)
    request = _request(folder / "video.mp4", speech, tmp_path)
    mux(FFMPEG, request)
    info = _verified(request)
    assert info.video is not None
    assert info.audio is not None
    assert info.video.frames == 50
    assert info.audio.duration_s >= max(speech_s, 2.0) - 0.002
    assert info.audio.duration_s <= max(speech_s, 2.0) + 0.03


def test_sound_that_the_video_carries_is_replaced_by_the_speech(tmp_path: Path, folder: Path) -> None:
    loud = tmp_path / "loud.mp4"
    noise = ("-f", "lavfi", "-i", "anoisesrc=r=44100:d=2")
    make("-i", str(folder / "video.mp4"), *noise, "-map", "0:v", "-map", "1:a", "-c:v", "copy", str(loud))
    silent = tmp_path / "silence.wav"
    make("-f", "lavfi", "-i", "anullsrc=r=24000:cl=mono:d=2", str(silent))
    request = _request(loud, silent, tmp_path)
    mux(FFMPEG, request)
    raw = tmp_path / "raw.pcm"
    make("-i", str(request.output), "-f", "s16le", str(raw))
    assert set(raw.read_bytes()) <= {0x00}


@pytest.mark.parametrize(
    "codec",
    [
        ("-c:v", "mpeg4"),
        ("-c:v", "libvpx", "-f", "webm"),
        ("-c:v", "libx264", "-pix_fmt", "yuv444p"),
        ("-c:v", "libx264rgb", "-pix_fmt", "rgb24"),
    ],
)
def test_a_picture_that_phones_cannot_play_is_encoded_again(
    tmp_path: Path, folder: Path, codec: tuple[str, ...]
) -> None:
    video = make_video(tmp_path / "video.mp4", 2.0, *codec, size="66x50")
    request = _request(video, folder / "speech.wav", tmp_path)
    mux(FFMPEG, request)
    info = _verified(request)
    assert info.video is not None
    assert (info.video.codec, info.video.pixel_format, info.video.frames) == ("h264", "yuv420p", 50)


def test_burnt_in_text_is_drawn_with_the_bundled_font_and_nothing_is_missing(
    tmp_path: Path, folder: Path
) -> None:
    cues = [Cue(0, 2000, ("你好，世界！Hello", "こんにちは、東京タワー {x} 喆镕"))]
    video = make_video(tmp_path / "black.mp4", 2.0, size="320x240")
    fractions: list[float] = []
    burn_in = BurnIn(ass=to_ass(cues, width=320, height=240), font=FONT)
    request = _request(video, folder / "speech.wav", tmp_path, burn_in=burn_in)
    messages = mux(FFMPEG, request, on_fraction=fractions.append)
    _verified(request)
    chosen = [line for line in messages.splitlines() if "fontselect:" in line]
    assert len(chosen) == 1
    assert chosen[0].endswith(
        f"({FONT_FAMILY}, 400, 0) -> AllInOneSubtitles-Regular, 0, AllInOneSubtitles-Regular"
    )
    assert missing_glyphs(messages) == ""
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_burnt_in_text_changes_only_the_lower_part_of_the_picture(tmp_path: Path, folder: Path) -> None:
    video = tmp_path / "grey.mp4"
    make(
        "-f",
        "lavfi",
        "-i",
        "color=gray:s=320x240:r=25:d=2",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        str(video),
    )
    burn_in = BurnIn(ass=to_ass([Cue(0, 2000, ("你好",))], width=320, height=240), font=FONT)
    request = _request(video, folder / "speech.wav", tmp_path, burn_in=burn_in)
    mux(FFMPEG, request)
    frame = tmp_path / "frame.png"
    make("-ss", "1", "-i", str(request.output), "-frames:v", "1", "-update", "1", str(frame))
    with Image.open(frame) as picture:
        grey = picture.convert("L")
        upper, lower = grey.crop((0, 0, 320, 160)).getextrema(), grey.crop((0, 160, 320, 240)).getextrema()
    assert int(upper[1]) - int(upper[0]) < 8
    assert lower[0] < 40
    assert lower[1] > 220


def test_a_cancel_ends_the_joining(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(JobCancelled):
        mux(FFMPEG, _request(folder / "video.mp4", folder / "speech.wav", tmp_path), cancelled=lambda: True)


def test_names_that_look_like_options_or_lists_are_just_names(tmp_path: Path, folder: Path) -> None:
    odd = tmp_path / "-i %d 'x' | [a]:b,c;数字"
    odd.mkdir()
    video = odd / "-v%03d.mp4"
    video.write_bytes((folder / "video.mp4").read_bytes())
    cues = [Cue(0, 2000, ("你好",))]
    burn_in = BurnIn(ass=to_ass(cues, width=64, height=64), font=FONT)
    request = _request(video, folder / "speech.wav", odd, burn_in=burn_in)
    mux(FFMPEG, request)
    _verified(request)
    take_thumbnail(FFMPEG, request.output, odd / "-%d.jpg", duration_s=2.0)
    assert (odd / "-%d.jpg").is_file()


@pytest.mark.parametrize(
    ("size", "expected"), [("64x64", (64, 64)), ("1280x720", (640, 360)), ("100x900", (71, 640))]
)
def test_the_thumbnail_is_a_small_jpeg_in_the_same_shape(
    tmp_path: Path, size: str, expected: tuple[int, int]
) -> None:
    video, thumbnail = make_video(tmp_path / "v.mp4", 1.0, size=size), tmp_path / "t.jpg"
    take_thumbnail(FFMPEG, video, thumbnail, duration_s=1.0)
    with Image.open(thumbnail) as picture:
        assert picture.format == "JPEG"
        assert picture.size == pytest.approx(expected, abs=1)


def test_the_thumbnail_is_the_moment_that_was_named(tmp_path: Path) -> None:
    video, thumbnail = tmp_path / "v.mp4", tmp_path / "t.jpg"
    # Black, but for one white frame in the dark: 0.68 s is frame 17 of 25 a second.
    white = "geq=lum='if(eq(N,17),235,16)':cb=128:cr=128"
    make("-f", "lavfi", "-i", "color=black:s=64x64:r=25:d=1", "-vf", white, "-c:v", "libx264", str(video))
    shown = {}
    for name, at_s in (("named", 17 / 25), ("before", 16 / 25), ("beyond", 9.0), ("unknown", None)):
        take_thumbnail(FFMPEG, video, thumbnail, duration_s=1.0, at_s=at_s)
        with Image.open(thumbnail) as picture:
            shown[name] = picture.convert("L").getpixel((32, 32))
    assert shown["named"] > 200
    assert max(shown["before"], shown["beyond"], shown["unknown"]) < 50, "the ordinary frames are black"


def test_a_comment_that_grew_too_long_keeps_what_matters() -> None:
    attempts = [{"engine": "wan2gp", "detail": "x" * 4000} for _ in range(9)]
    text = provenance_comment({"engine": "draft", "seed": 3, "note": "y" * 9000, "attempts": attempts})
    assert len(text) <= MAX_COMMENT_CHARS
    comment = json.loads(text)
    assert comment["engine"] == "draft"
    assert comment["shortened"] is True
    assert comment["ai_generated"] is True
    assert "attempts" not in comment


def test_provenance_cannot_deny_that_the_video_is_ai_generated() -> None:
    assert json.loads(provenance_comment({"ai_generated": False}))["ai_generated"] is True


def test_a_title_is_one_short_line() -> None:
    document = tags_document("a\nb\x00\x1b[31m" + "长" * 500, {})
    title = document.splitlines()[1]
    assert title.startswith("title=a b  [31m长")
    assert len(title) <= len("title=") + MAX_TITLE_CHARS
