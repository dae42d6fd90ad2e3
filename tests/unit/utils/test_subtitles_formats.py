"""SubRip, WebVTT and ASS: the script is shown as it was typed, whatever it holds."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.utils.subtitle_formats import missing_glyphs, to_ass, to_srt, to_vtt
from backend.utils.subtitles import Cue
from tests.media_samples import make

NASTY = "<b>bold</b> & 1 --> 2 {\\an8} \\N <script>"
_LINE = st.text(alphabet="你好ab<>&-{}\\N0 ", min_size=1, max_size=20).map(lambda text: "x" + text.strip())
_CUES = st.lists(st.lists(_LINE, min_size=1, max_size=2).map(tuple), max_size=5).map(
    lambda texts: [Cue(1000 * index, 1000 * index + 900, lines) for index, lines in enumerate(texts)]
)
_TIME = r"(\d\d):(\d\d):(\d\d)[,.](\d{3})"


def _milliseconds(parts: tuple[str, ...]) -> int:
    hours, minutes, seconds, rest = map(int, parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def _read_back(text: str) -> list[Cue]:
    """A strict reader for both formats: blocks are parted by empty lines."""
    cues = []
    for block in text.strip("\n").split("\n\n"):
        lines = block.split("\n")
        timed = [at for at, line in enumerate(lines) if " --> " in line]
        if not timed:
            continue
        assert len(timed) == 1
        found = re.fullmatch(f"{_TIME} --> {_TIME}", lines[timed[0]])
        assert found
        times = found.groups()
        cues.append(Cue(_milliseconds(times[:4]), _milliseconds(times[4:]), tuple(lines[timed[0] + 1 :])))
    return cues


@settings(deadline=None)
@given(_CUES)
def test_vtt_reads_back_to_the_same_cues(cues: list[Cue]) -> None:
    text = to_vtt(cues)
    assert text.startswith("WEBVTT\n")
    back = [Cue(cue.start_ms, cue.end_ms, tuple(map(html.unescape, cue.lines))) for cue in _read_back(text)]
    assert back == cues


@settings(deadline=None)
@given(_CUES)
def test_srt_reads_back_to_the_same_times_and_numbers(cues: list[Cue]) -> None:
    text = to_srt(cues)
    back = _read_back(text)
    assert [(cue.start_ms, cue.end_ms, len(cue.lines)) for cue in back] == [
        (cue.start_ms, cue.end_ms, len(cue.lines)) for cue in cues
    ]
    assert re.findall(r"^(\d+)\n\d\d:", text, re.MULTILINE) == [str(n + 1) for n in range(len(cues))]


def test_plain_text_stands_in_srt_exactly_as_written() -> None:
    assert to_srt([Cue(0, 3_723_004, ("a < b & c > d, {ok}",))]) == (
        "1\n00:00:00,000 --> 01:02:03,004\na < b & c > d, {ok}\n"
    )


def test_markup_in_the_script_is_no_markup_in_the_files() -> None:
    cues = [Cue(0, 1000, (NASTY,))]
    vtt, srt, ass = to_vtt(cues), to_srt(cues), to_ass(cues, width=640, height=360)
    assert "<" not in vtt.replace("-->", "")
    assert vtt.count("-->") == srt.count("-->") == 1
    assert not re.search(r"<[a-z/]", srt)
    assert "{\\" not in srt
    dialogue = ass.splitlines()[-1]
    assert not re.search(r"(?<!\\)[{}]", dialogue)
    assert "\\N" not in dialogue


def test_a_text_with_commas_is_one_ass_field_and_two_lines_stay_two() -> None:
    ass = to_ass([Cue(1234, 62_345, ("one, two", "three"))], width=640, height=360)
    assert ass.splitlines()[-1] == "Dialogue: 0,0:00:01.23,0:01:02.34,Default,,0,0,0,,one, two\\Nthree"


@pytest.mark.parametrize(("size", "em"), [((1280, 720), 39.6), ((512, 512), 22.4), ((720, 1280), 31.5)])
def test_the_longest_line_fits_the_picture(size: tuple[int, int], em: float) -> None:
    ass = to_ass([], width=size[0], height=size[1])
    style = next(line for line in ass.splitlines() if line.startswith("Style:"))
    assert float(style.split(",")[2]) == pytest.approx(em * 1.448, abs=0.2)
    assert em * 18 <= size[0] * 0.95
    assert f"PlayResX: {size[0]}" in ass


def test_japanese_asks_for_japanese_forms() -> None:
    assert "Language: ja" in to_ass([], width=64, height=64, language="ja")
    assert "Language: zh" in to_ass([], width=64, height=64, language="en")


def test_missing_glyphs_are_told_once_each() -> None:
    line = "[Parsed_ass_0 @ 0x1] fontselect: failed to find any fallback with glyph {} for font: (X, 400, 0)"
    messages = "\n".join(line.format(code) for code in ("0x1F600", "0x30EDE", "0x1F600"))
    assert missing_glyphs(messages) == "😀\U00030ede"
    assert missing_glyphs("all is well") == ""


@pytest.mark.parametrize(("write", "demuxer"), [(to_srt, "srt"), (to_vtt, "webvtt")])
def test_another_reader_finds_the_same_cues(tmp_path: Path, write: object, demuxer: str) -> None:
    assert callable(write)
    cues = [Cue(0, 900, (NASTY,)), Cue(1000, 2000, ("你好，", "世界 a<b"))]
    path, listing = tmp_path / "subtitles", tmp_path / "listing.ass"
    path.write_text(write(cues), encoding="utf-8")
    make("-f", demuxer, "-i", str(path), str(listing))
    dialogues = [
        line for line in listing.read_text(encoding="utf-8").splitlines() if line.startswith("Dialogue")
    ]
    assert len(dialogues) == 2
    assert dialogues[0].startswith("Dialogue: 0,0:00:00.00,0:00:00.90")
    assert "bold" in dialogues[0]
    assert "script" in dialogues[0]
    assert "世界 a" in dialogues[1]
