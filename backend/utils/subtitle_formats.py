"""Cues as files: SubRip for players, WebVTT for browsers, ASS for drawing into the picture.

Runs in the service process; pure functions. The text of a cue is the user's script: in each format,
what would be markup there is written so that it is shown as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.utils.subtitles import Cue

# The vendored subset, see assets/fonts/NOTICE. `FONT_FAMILY` is the name inside the file.
FONT_FILE = "AllInOneSubtitles-Regular.otf"
FONT_FAMILY = "All-in-one Subtitles"

# libass sizes a font by ascent + descent; for this one that is 1.448 em (its hhea table).
FONT_LINE_EMS = 1.448
# An em as a fraction of the picture: of its height for wide ones, of its width so that the longest
# line (18 em, or 42 Latin letters of about half an em) fits for tall ones.
EM_OF_HEIGHT = 0.055
EM_OF_WIDTH = 0.92 / 21
MARGIN_OF_HEIGHT = 0.05
OUTLINE_EMS = 0.08

_SRT_TAG = re.compile(r"<(?=[A-Za-z/!])")
_MISSING_GLYPH = re.compile(r"failed to find any fallback with glyph 0x([0-9A-Fa-f]{1,6})\b")


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip, UTF-8. It has no escapes: what players take for a tag gets a full-width look-alike."""
    blocks = []
    for number, cue in enumerate(cues, start=1):
        text = "\n".join(
            _SRT_TAG.sub("＜", line).replace("{\\", "｛\\").replace("-->", "→") for line in cue.lines
        )
        blocks.append(f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT (W3C), UTF-8, with character references for `&`, `<` and `>`."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = "\n".join(
            line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in cue.lines
        )
        blocks.append(f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{text}\n")
    return "\n".join(blocks)


def to_ass(cues: Sequence[Cue], *, width: int, height: int, language: str = "zh") -> str:
    """Advanced SubStation Alpha for libass, sized for a picture of `width` x `height` pixels.

    `language`: `ja` draws the Japanese forms of characters that both languages write (骨, 直).
    """
    em = min(EM_OF_HEIGHT * height, EM_OF_WIDTH * width)
    style = (
        f"Style: Default,{FONT_FAMILY},{em * FONT_LINE_EMS:.1f},&H00FFFFFF,&H00FFFFFF,&H00101010,&H00000000,"
        f"0,0,0,0,100,100,0,0,1,{em * OUTLINE_EMS:.1f},0,2,{width // 40},{width // 40},"
        f"{round(height * MARGIN_OF_HEIGHT)},1"
    )
    head = [
        "[Script Info]",
        "ScriptType: v4.00+",
        f"Language: {'ja' if language == 'ja' else 'zh'}",
        f"PlayResX: {width}",
        f"PlayResY: {height}",
        "WrapStyle: 0",
        "ScaledBorderAndShadow: yes",
        "",
        "[V4+ Styles]",
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, "
        "Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, "
        "Alignment, MarginL, MarginR, MarginV, Encoding",
        style,
        "",
        "[Events]",
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
    ]
    events = [
        f"Dialogue: 0,{_ass_clock(cue.start_ms)},{_ass_clock(cue.end_ms)},Default,,0,0,0,,"
        + "\\N".join(_escape_ass(line) for line in cue.lines)
        for cue in cues
    ]
    return "\n".join([*head, *events, ""])


def missing_glyphs(messages: str) -> str:
    """The characters that libass, by its messages, found in no font; in order, each once."""
    codes = (int(code, 16) for code in _MISSING_GLYPH.findall(messages))
    return "".join(dict.fromkeys(chr(code) for code in codes if code <= 0x10FFFF))


def _escape_ass(line: str) -> str:
    """Braces open override tags (libass knows `\\{`); a backslash opens `\\N` and has no escape."""
    return line.replace("\\", "＼").replace("{", "\\{").replace("}", "\\}")


def _clock(at_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"


def _ass_clock(at_ms: int) -> str:
    """ASS has centiseconds; rounding down both ends keeps cues apart."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds // 10:02d}"
