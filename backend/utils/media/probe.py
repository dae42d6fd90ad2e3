"""What a media file holds, told by its packets and not by the durations it claims.

Runs in the service process; the demuxer runs in an ffmpeg child. Source of the figures: ffmpeg's
`framecrc` muxer, a stable machine-readable listing (header lines `#key stream: value`, then one
line `stream, dts, pts, duration, size, crc` per packet). Only the pixel format is read from the
human-readable stream line, which lists it nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.media.ffmpeg import Cancelled, Ffmpeg, input_arguments, never_cancelled
from backend.utils.media.mp4 import is_faststart
from backend.utils.sniff import sniff_file

# Reading packets is as fast as the disk; a file that keeps ffmpeg busy longer is hostile.
PROBE_DEADLINE_S = 60.0
# Nobody's speech is longer; a file that claims more is read up to here.
PROBE_MAX_DURATION_S = 4 * 3600.0

_STREAM_LINE = re.compile(r"^\s*Stream #0:\d+\S*: Video: \S+.*?, (?P<pixels>[a-z][a-z0-9]+)[(,]")
_LAYOUT_CHANNELS = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexagonal": 6, "octagonal": 8}


@dataclass(frozen=True)
class VideoInfo:
    """The first real video stream (cover art is not one). `fps` is the mean over the stream."""

    codec: str
    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    pixel_format: str | None = None


@dataclass(frozen=True)
class AudioInfo:
    """The first audio stream. `channels` is 0 when its layout has an unknown name."""

    codec: str
    sample_rate: int
    channels: int
    duration_s: float


@dataclass(frozen=True)
class MediaInfo:
    """A media file. `container` is our own extension for it; `faststart`: the index stands first."""

    container: str
    duration_s: float
    video: VideoInfo | None
    audio: AudioInfo | None
    faststart: bool


@dataclass
class StreamListing:
    """One stream of a framecrc listing while it is read: bounded, whatever the stream's length."""

    header: dict[str, str] = field(default_factory=dict)
    packets: int = 0
    first_pts: int | None = None
    last_pts: int = 0
    end_pts: int = 0

    @property
    def duration_s(self) -> float:
        """From the first shown packet's start to the last one's end."""
        if self.first_pts is None:
            return 0.0
        return float((self.end_pts - max(self.first_pts, 0)) * self._time_base())

    @property
    def fps(self) -> float:
        """Mean frame rate, from the distance of first and last frame."""
        span = (self.last_pts - (self.first_pts or 0)) * self._time_base()
        if self.packets > 1 and span > 0:
            return round(float((self.packets - 1) / span), 3)
        return round(self.packets / self.duration_s, 3) if self.duration_s > 0 else 0.0

    def _time_base(self) -> Fraction:
        try:
            return Fraction(self.header.get("tb", "0"))
        except (ValueError, ZeroDivisionError):
            return Fraction(0)


class FrameListing:
    """Parser of framecrc output; feed it line by line with `add`."""

    def __init__(self) -> None:
        self.streams: dict[int, StreamListing] = {}

    def add(self, line: str) -> None:
        """Take one line; lines that are not of the format are ignored."""
        if line.startswith("#"):
            head, _, value = line[1:].partition(":")
            key, _, number = head.strip().rpartition(" ")
            if key and number.isascii() and number.isdigit():
                self._stream(int(number)).header[key] = value.strip()
            return
        cells = [cell.strip() for cell in line.split(",")]
        try:
            index, _dts, pts, duration = (int(cell) for cell in cells[:4])
        except ValueError:
            return
        stream = self._stream(index)
        stream.packets += 1
        stream.first_pts = pts if stream.first_pts is None else min(stream.first_pts, pts)
        stream.last_pts = max(stream.last_pts, pts)
        stream.end_pts = max(stream.end_pts, pts + duration)

    def of(self, media_type: str) -> StreamListing | None:
        """The first stream of `video` or `audio` that has at least one packet."""
        for index in sorted(self.streams):
            stream = self.streams[index]
            if stream.header.get("media_type") == media_type and stream.packets:
                return stream
        return None

    def _stream(self, index: int) -> StreamListing:
        return self.streams.setdefault(index, StreamListing())


def probe(
    ffmpeg: Ffmpeg,
    path: Path,
    *,
    code: ErrorCode = ErrorCode.AUDIO_UNREADABLE,
    cancelled: Cancelled = never_cancelled,
) -> MediaInfo:
    """Read every packet of `path` (no decoding) and tell what it holds; blocks.

    Raises InputError(`code`) when the file is of no known audio or video format or holds neither.
    """
    try:
        sniffed = sniff_file(path)
    except OSError as error:
        raise InputError(
            code, "The file could not be read.", hint="Give it again, or retry the job that made it."
        ) from error
    if sniffed is None or sniffed.kind == "image":
        raise InputError(
            code,
            "This is not a sound or video file of a known format.",
            hint="Use WAV, MP3, M4A, FLAC, OGG, MP4, MOV or WebM.",
        )
    listing = FrameListing()
    done = ffmpeg.run(
        [
            *input_arguments(path, sniffed, max_duration_s=PROBE_MAX_DURATION_S),
            *("-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-f", "framecrc", "pipe:1"),
        ],
        deadline_s=PROBE_DEADLINE_S,
        cancelled=cancelled,
        on_line=listing.add,
    )
    video, audio = _video_info(listing.of("video"), done.stderr_tail), audio_info(listing.of("audio"))
    if done.returncode != 0 or (video is None and audio is None):
        raise InputError(
            code,
            f"The file looks like {sniffed.extension.upper()} but is damaged or empty.",
            hint="Open it in a player; if it does not play there either, export it again.",
        )
    return MediaInfo(
        container=sniffed.extension,
        duration_s=max(part.duration_s for part in (video, audio) if part is not None),
        video=video,
        audio=audio,
        faststart=sniffed.demuxer == "mov" and is_faststart(path),
    )


def audio_info(stream: StreamListing | None) -> AudioInfo | None:
    """The audio part of a listing."""
    if stream is None:
        return None
    return AudioInfo(
        codec=stream.header.get("codec_id", ""),
        sample_rate=_integer(stream.header.get("sample_rate", "")),
        channels=_channels(stream.header.get("channel_layout_name", "")),
        duration_s=stream.duration_s,
    )


def _video_info(stream: StreamListing | None, stderr: str) -> VideoInfo | None:
    if stream is None:
        return None
    width, _, height = stream.header.get("dimensions", "").partition("x")
    shown = next((found for line in stderr.splitlines() if (found := _STREAM_LINE.match(line))), None)
    return VideoInfo(
        codec=stream.header.get("codec_id", ""),
        width=_integer(width),
        height=_integer(height),
        fps=stream.fps,
        frames=stream.packets,
        duration_s=stream.duration_s,
        pixel_format=shown["pixels"] if shown else None,
    )


def _channels(layout: str) -> int:
    """`mono`, `stereo`, `5.1(side)`, `3 channels`: names of ffmpeg's channel layouts."""
    name = layout.partition("(")[0].strip()
    if name in _LAYOUT_CHANNELS:
        return _LAYOUT_CHANNELS[name]
    if name.endswith(" channels"):
        return _integer(name.partition(" ")[0])
    parts = name.split(".")
    return sum(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else 0


def _integer(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
