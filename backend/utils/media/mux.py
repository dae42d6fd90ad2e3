"""Joins a silent video with the speech into the MP4 a user gets, and takes its thumbnail.

Runs in the service process; the work is done by ffmpeg children. In: the engine's video (its own
sound, if any, is ignored) and the speech. Out: H.264 copied untouched wherever possible, AAC, the
index first, a title, and a comment that says in JSON how the video was made.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.media.ffmpeg import Cancelled, Ffmpeg, file_url, input_arguments, never_cancelled
from backend.utils.media.probe import AudioInfo, VideoInfo
from backend.utils.sniff import Sniffed, sniff_file

# What players, phones and browsers all take; speech at 24 kHz is resampled up to it.
AUDIO_SAMPLE_RATE = 48_000
AUDIO_BIT_RATE = "128k"
# Visually lossless for a second generation; `veryfast` keeps a slow PC usable.
BURN_IN_CRF = 18
BURN_IN_PRESET = "veryfast"
# What every H.264 player decodes; others are encoded again.
_PLAYABLE_PIXELS = frozenset({"yuv420p", "yuvj420p", None})
_RGB_PREFIXES = ("rgb", "bgr", "gbr", "pal")

COPY_BASE_DEADLINE_S = 60.0
COPY_DEADLINE_PER_SECOND = 2.0
# x264 veryfast at 1080p on one busy core still makes about one frame a second.
ENCODE_BASE_DEADLINE_S = 120.0
ENCODE_DEADLINE_PER_SECOND = 30.0

THUMBNAIL_MAX_SIDE = 640
THUMBNAIL_AT = 1 / 3
# Where nobody knows a good moment, the most ordinary of so many frames is taken: eyes are shut, and mouths wide open,
# in few of them.
THUMBNAIL_CHOICE = 40
# A moment is the time of a frame, which a container may round up: look for it from a little earlier.
_ROUNDED_S = 0.005
THUMBNAIL_DEADLINE_S = 60.0

AI_STATEMENT = (
    "AI-generated: the voice and the picture of this video were made by a computer. 本视频由人工智能生成。"
)
MAX_TITLE_CHARS = 200
# Failed attempts may carry long reasons; players load the whole comment into memory.
MAX_COMMENT_CHARS = 16_384

# Fixed names below the work directory, so that no user path meets ffmpeg's filter syntax.
_TAGS_FILE = "tags.ffmeta"
_ASS_FILE = "burn_in.ass"
_FONTS_DIR = "fonts"


@dataclass(frozen=True)
class BurnIn:
    """Subtitles to draw into the picture: an ASS document and the font file it names."""

    ass: str
    font: Path


@dataclass(frozen=True)
class MuxRequest:
    """Two probed inputs and what to make of them. `work_dir` takes the helper files."""

    video: Path
    video_info: VideoInfo
    audio: Path
    audio_info: AudioInfo
    output: Path
    work_dir: Path
    title: str
    provenance: Mapping[str, Any]
    burn_in: BurnIn | None = None


def mux(
    ffmpeg: Ffmpeg,
    request: MuxRequest,
    *,
    cancelled: Cancelled = never_cancelled,
    on_fraction: Callable[[float], None] | None = None,
) -> str:
    """Write `request.output`; returns ffmpeg's messages (the burn-in names missing glyphs there).

    The picture is copied unless subtitles are burnt in or it is not 4:2:0 H.264. The sound is
    padded with silence to the picture's length and never cut. Raises EngineFailure, JobCancelled.
    """
    encode = request.burn_in is not None or not is_copyable(request.video_info)
    length_s = max(request.video_info.duration_s, request.audio_info.duration_s)
    # An ffmpeg that outlived a killed service may still write to the old file; it is left that one.
    request.output.unlink(missing_ok=True)
    tags_path = request.work_dir / _TAGS_FILE
    tags_path.write_text(tags_document(request.title, request.provenance), encoding="utf-8", newline="\n")
    arguments = [
        *("-loglevel", "info", "-nostats"),
        *input_arguments(request.video, _sniffed(request.video)),
        *input_arguments(request.audio, _sniffed(request.audio)),
        *("-protocol_whitelist", "file", "-format_whitelist", "ffmetadata"),
        *("-f", "ffmetadata", "-i", file_url(tags_path)),
        *("-map", "0:V:0", "-map", "1:a:0"),
        *("-map_metadata", "2", "-map_metadata:s", "-1", "-map_chapters", "-1"),
        *(_encode_arguments(ffmpeg, request) if encode else ("-c:v", "copy")),
        *("-c:a", "aac", "-b:a", AUDIO_BIT_RATE, "-ar", str(AUDIO_SAMPLE_RATE)),
        *("-ac", str(min(max(request.audio_info.channels, 1), 2))),
        *("-af", f"aresample={AUDIO_SAMPLE_RATE},apad=whole_dur={length_s:.6f}"),
        *("-movflags", "+faststart", "-f", "mp4"),
        *("-progress", "pipe:1", file_url(request.output)),
    ]
    base_s, per_second = (
        (ENCODE_BASE_DEADLINE_S, ENCODE_DEADLINE_PER_SECOND)
        if encode
        else (COPY_BASE_DEADLINE_S, COPY_DEADLINE_PER_SECOND)
    )
    done = ffmpeg.run_checked(
        arguments,
        purpose="join picture and sound",
        deadline_s=base_s + per_second * length_s,
        cancelled=cancelled,
        on_line=_progress_reader(request.video_info.frames, on_fraction),
        cwd=request.work_dir,
    )
    return done.stderr_tail


def is_copyable(info: VideoInfo) -> bool:
    """Whether the picture can go into the MP4 as it is."""
    return info.codec == "h264" and info.pixel_format in _PLAYABLE_PIXELS


def take_thumbnail(
    ffmpeg: Ffmpeg,
    video: Path,
    output: Path,
    *,
    duration_s: float,
    at_s: float | None = None,
    cancelled: Cancelled = never_cancelled,
) -> None:
    """Write a JPEG, longest side at most 640 px, of the frame at `at_s`; blocks.

    Without a moment, or with one that lies outside of `video`: of an ordinary frame after a third of it.
    """
    side = THUMBNAIL_MAX_SIDE
    known = at_s is not None and at_s < duration_s
    start_s = max(0.0, at_s - _ROUNDED_S) if known and at_s is not None else duration_s * THUMBNAIL_AT
    choice = "" if known else f",thumbnail={THUMBNAIL_CHOICE}"
    ffmpeg.run_checked(
        [
            *("-loglevel", "error", "-ss", f"{start_s:.3f}"),
            *input_arguments(video, _sniffed(video)),
            *("-map", "0:V:0", "-frames:v", "1"),
            "-vf",
            f"scale=w='min({side},iw)':h='min({side},ih)':force_original_aspect_ratio=decrease"
            f":out_color_matrix=bt601:out_range=pc,format=yuvj420p{choice}",
            *("-c:v", "mjpeg", "-q:v", "3", "-f", "image2", "-update", "1", file_url(output)),
        ],
        purpose="take the thumbnail",
        deadline_s=THUMBNAIL_DEADLINE_S,
        cancelled=cancelled,
    )


def tags_document(title: str, provenance: Mapping[str, Any]) -> str:
    """An ffmetadata document: given as a file, its text is in no process list and has no length limit."""
    one_line = "".join(char if char.isprintable() else " " for char in title).strip()[:MAX_TITLE_CHARS]
    tags = {
        "title": one_line or "All-in-one",
        "comment": provenance_comment(provenance),
        "description": AI_STATEMENT,
    }
    return ";FFMETADATA1\n" + "".join(f"{key}={_escape_tag(value)}\n" for key, value in tags.items())


def provenance_comment(provenance: Mapping[str, Any]) -> str:
    """One line of JSON: what made the video, with the statement that it is AI-generated.

    A document that grew too long keeps its plain values only and says `"shortened": true`.
    """
    label = {"ai_generated": True, "statement": AI_STATEMENT}
    text = _one_line_json({**provenance, **label})
    if len(text) <= MAX_COMMENT_CHARS:
        return text
    plain = {
        key: value[:200] if isinstance(value, str) else value
        for key, value in provenance.items()
        if isinstance(value, str | int | float | bool)
    }
    return _one_line_json({**plain, "shortened": True, **label})


def _encode_arguments(ffmpeg: Ffmpeg, request: MuxRequest) -> list[str]:
    filters: list[str] = []
    pixels = request.video_info.pixel_format or ""
    if pixels.startswith(_RGB_PREFIXES):
        # The one case where colours are converted: say how, in the pixels and in the tags.
        filters.append("scale=out_color_matrix=bt709:out_range=tv")
        filters.append("setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv")
    filters.append("crop=trunc(iw/2)*2:trunc(ih/2)*2")  # 4:2:0 has no odd sizes
    filters.append("format=yuv420p")
    if request.burn_in is not None:
        (request.work_dir / _ASS_FILE).write_text(request.burn_in.ass, encoding="utf-8", newline="\n")
        fonts = request.work_dir / _FONTS_DIR
        fonts.mkdir(exist_ok=True)
        shutil.copyfile(request.burn_in.font, fonts / request.burn_in.font.name)
        # Relative to cwd: filter arguments cannot hold a Windows path without four levels of escapes.
        filters.append(f"ass=filename={_ASS_FILE}:fontsdir={_FONTS_DIR}")
    return [
        *("-vf", ",".join(filters), "-fps_mode", "passthrough"),
        *("-c:v", "libx264", "-preset", BURN_IN_PRESET, "-crf", str(BURN_IN_CRF)),
        *("-pix_fmt", "yuv420p", "-threads", str(ffmpeg.threads)),
    ]


def _progress_reader(frames: int, on_fraction: Callable[[float], None] | None) -> Callable[[str], None]:
    """Turn ffmpeg's `frame=123` progress lines into fractions of the frames there are."""

    def read(line: str) -> None:
        key, _, value = line.partition("=")
        if on_fraction is not None and key == "frame" and value.strip().isdecimal() and frames > 0:
            on_fraction(min(1.0, int(value) / frames))

    return read


def _sniffed(path: Path) -> Sniffed:
    found = sniff_file(path)
    if found is None or found.kind == "image":
        raise EngineFailure(ErrorCode.NO_OUTPUT, "A file that an engine made is no sound or video.")
    return found


def _one_line_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _escape_tag(value: str) -> str:
    """ffmetadata: `=`, `;`, `#`, backslash and newline are escaped by a backslash."""
    return "".join(f"\\{char}" if char in "=;#\\\n" else char for char in value)
