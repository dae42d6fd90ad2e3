"""Any recording to samples. Runs in the speech worker; the decoding itself runs in ffmpeg children.

Flow: the file's first packet is copied out to learn what it is -> it is decoded once as it was recorded, for the
measurements that resampling would blur (`levels.py`) -> and once more, mixed to one channel and raised to a full
level, at 24 kHz and 16 kHz. Nothing is held in memory: one of the two goes to a file, the other streams past.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.ffmpeg import AUDIO_DEMUXERS, FfmpegChild, FfmpegError, command, file_output, media_input
from workers.handler import TaskContext, TaskError

# Nobody needs more to show a voice; the rest of the file is not decoded.
MAX_DECODED_S = 600.0
# Looking at the first packet takes a blink.
DESCRIBE_DEADLINE_S = 15.0
HIGH_RATE, LOW_RATE = 24_000, 16_000
# The range of rates in which a voice is recorded. Above, there is no voice; below, no recorder.
_MIN_RATE, _MAX_RATE = 8_000, 48_000
_READ_BYTES = 1 << 18
# Voice messages of WeChat, QQ and Skype; no decoder that may be shipped knows them.
_SILK_MARKS = (b"#!SILK", b"\x02#!SILK")
# A file that breaks off is of use when this much of it could be read.
_MIN_RESCUED_S = 3.0
# ffmpeg's names for the layouts that its own mixing understands.
_CHANNELS_BY_LAYOUT = {
    "mono": 1, "stereo": 2, "downmix": 2, "2.1": 3, "3.0": 3, "3.1": 4, "quad": 4, "4.0": 4, "4.1": 5, "5.0": 5,
    "5.1": 6, "6.0": 6, "6.1": 7, "7.0": 7, "7.1": 8,
}  # fmt: skip

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """What a file says of its first sound track; `rate` in Hz."""

    path: Path
    codec: str
    rate: int
    channels: int
    has_known_layout: bool

    @property
    def decoded_rate(self) -> int:
        """The rate at which the recording is measured, Hz."""
        return min(max(self.rate, _MIN_RATE), _MAX_RATE)

    @property
    def decoded_channels(self) -> int:
        """1 or 2: more are mixed to two, or, when nobody says what they are, the first two are taken."""
        return min(self.channels, 2)

    @property
    def _to_stereo(self) -> str:
        if self.channels > 2 and not self.has_known_layout:
            return "pan=stereo|c0=c0|c1=c1"
        return f"aformat=channel_layouts={'mono' if self.channels == 1 else 'stereo'}"


@dataclass(frozen=True)
class Mix:
    """How the channels become one: a factor for each, the rise in level included."""

    left: float
    right: float

    def filter(self, channels: int) -> str:
        """The ffmpeg filter of it."""
        second = f"+{self.right:.8f}*c1" if channels == 2 else ""
        return f"pan=mono|c0={self.left:.8f}*c0{second}"


def describe(ffmpeg: str, path: Path) -> Source:
    """Look at the first sound track. Raises TaskError(audio_unreadable)."""
    with path.open("rb") as stream:
        if stream.read(16).startswith(_SILK_MARKS):
            raise TaskError(
                "audio_unreadable",
                "This is a SILK voice message of a chat app, which cannot be read. Record the voice again with the "
                "phone's voice recorder and upload that file.",
            )
    argv = command(
        ffmpeg, *media_input(path, demuxers=AUDIO_DEMUXERS),
        "-map", "0:a:0", "-c", "copy", "-frames:a", "1", "-f", "framecrc", "pipe:1",
    )  # fmt: skip
    try:
        with FfmpegChild(argv, deadline_s=DESCRIBE_DEADLINE_S, stdout=True) as child:
            text = child.read(_READ_BYTES)
            child.finish()
    except FfmpegError as error:
        if "matches no streams" in error.tail:
            raise TaskError(
                "audio_unreadable",
                "The file has no sound track. Upload a recording of a voice.",
                detail=error.tail,
            ) from error
        raise _unreadable(error) from error
    fields = {
        name: value.decode("ascii", "replace")
        for name, value in re.findall(rb"^#(\w+) 0: ([^\r\n]+)", text, re.MULTILINE)
    }
    layout = fields.get(b"channel_layout_name", "").split("(")[0].strip()
    counted = re.match(r"(\d+) channels", layout)
    rate = fields.get(b"sample_rate", "")
    return Source(
        path,
        codec=fields.get(b"codec_id", "unknown"),
        rate=int(rate) if rate.isdigit() else 0,
        channels=max(1, int(counted.group(1))) if counted else _CHANNELS_BY_LAYOUT.get(layout, 2),
        has_known_layout=layout in _CHANNELS_BY_LAYOUT,
    )


def as_recorded(ffmpeg: str, source: Source, context: TaskContext, *, deadline_s: float) -> Iterator[F32]:
    """The sound at `decoded_rate`, in pieces (n, decoded_channels) of any size; full scale is 1, more is possible.

    Raises TaskError(audio_unreadable), TaskCancelled.
    """
    argv = command(
        ffmpeg, *media_input(source.path, demuxers=AUDIO_DEMUXERS),
        "-map", "0:a:0", "-t", f"{MAX_DECODED_S:g}", "-af", source._to_stereo,
        "-ar", str(source.decoded_rate), "-f", "f32le", "pipe:1",
    )  # fmt: skip
    pieces = _samples(argv, source.decoded_channels, source.decoded_rate, context, deadline_s)
    for piece in pieces:
        yield piece.reshape(-1, source.decoded_channels)


def mixed(
    ffmpeg: str, source: Source, mix: Mix, high: Path, context: TaskContext, *, deadline_s: float
) -> Iterator[F32]:
    """The sound in one channel at 16 kHz, in pieces; the same at 24 kHz goes to `high` (16 bit, no header).

    Raises TaskError(audio_unreadable), TaskCancelled.
    """
    chain = f"[0:a:0]{source._to_stereo},{mix.filter(source.decoded_channels)},asplit[high][low]"
    limit = ("-t", f"{MAX_DECODED_S:g}")
    argv = command(
        ffmpeg, *media_input(source.path, demuxers=AUDIO_DEMUXERS), "-filter_complex", chain,
        "-map", "[high]", *limit, "-ar", str(HIGH_RATE), "-f", "s16le", *file_output(high),
        "-map", "[low]", *limit, "-ar", str(LOW_RATE), "-f", "f32le", "pipe:1",
    )  # fmt: skip
    return _samples(argv, 1, LOW_RATE, context, deadline_s)


def _samples(
    argv: list[str], channels: int, rate: int, context: TaskContext, deadline_s: float
) -> Iterator[F32]:
    """The child's 32 bit samples, whole frames at a time, NaN and infinity as silence."""
    frame = 4 * channels
    left = round(MAX_DECODED_S * rate) * frame
    read = 0
    pending = b""
    try:
        with FfmpegChild(argv, deadline_s=deadline_s, stdout=True) as child:
            while read < left and (chunk := child.read(min(_READ_BYTES, left - read))):
                context.raise_if_cancelled()
                read += len(chunk)
                pending += chunk
                whole = len(pending) // frame * frame
                piece = np.frombuffer(pending[:whole], "<f4").astype(np.float32)
                pending = pending[whole:]
                # Broken floating-point files hold both; either would poison every sum.
                yield np.nan_to_num(piece, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            if read < left:
                child.finish()
    except FfmpegError as error:
        if error.timed_out or read < _MIN_RESCUED_S * rate * frame:
            raise _unreadable(error) from error
        context.log("warning", f"The recording breaks off after {read / frame / rate:.1f} s: {error.tail}")


def _unreadable(error: FfmpegError) -> TaskError:
    return TaskError(
        "audio_unreadable",
        "The recording could not be read. Save it as WAV, MP3 or M4A and upload it again.",
        detail=f"{error}: {error.tail}",
    )
