"""Proves that a finished MP4 is playable and as long as its speech, by decoding all of it.

Runs inside the virtual environment, with the ffmpeg program of imageio-ffmpeg as a child process.
"""

from __future__ import annotations

import re
import subprocess
import sys
import wave
from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

# The product's promise: picture and sound end within this time (s) of the speech.
LENGTH_TOLERANCE_S = 0.2
# Decoding runs many times faster than playback; a minute per file is a hang.
DECODE_TIMEOUT_S = 300.0
# Silence with dither stays below this 16-bit sample value (about -40 dBFS); speech is far above it.
AUDIBLE_PEAK = 328
_PCM_RATE = 16_000


class MediaError(Exception):
    """The file is not what was promised. The message is one sentence."""


@dataclass(frozen=True)
class MediaReport:
    """What decoding found. Lengths in seconds."""

    video_codec: str
    audio_codec: str
    width: int
    height: int
    frames: int
    distinct_frames: int
    video_s: float
    audio_s: float
    audio_peak: int


def wav_seconds(path: Path) -> float:
    """Length of a WAV file. Raises MediaError."""
    try:
        with wave.open(str(path), "rb") as speech:
            return speech.getnframes() / speech.getframerate()
    except (OSError, EOFError, wave.Error, ZeroDivisionError) as error:
        raise MediaError(f"The speech file cannot be read: {error}") from error


def inspect(ffmpeg: str, video: Path) -> MediaReport:
    """Decode every frame and sample of `video`. Raises MediaError when anything does not decode."""
    video_codec, audio_codec, width, height = _streams(ffmpeg, video)
    frames = _run(
        [
            *(
                ffmpeg,
                "-v",
                "error",
                "-xerror",
                "-nostdin",
                "-i",
                str(video),
                "-map",
                "0:v:0",
                "-map",
                "0:a:0",
            ),
            # Small grey pictures: enough to tell frames apart, and cheap to checksum.
            *("-vf", "scale=64:64,format=gray", "-f", "framecrc", "-"),
        ]
    ).decode("ascii", errors="replace")
    video_s, count, distinct = _stream_of(frames, 0)
    audio_s, _, _ = _stream_of(frames, 1)
    return MediaReport(
        video_codec, audio_codec, width, height, count, distinct, video_s, audio_s, _audio_peak(ffmpeg, video)
    )


def verify(report: MediaReport, speech_s: float) -> None:
    """Raise MediaError unless the file keeps the product's promise for a speech of `speech_s` seconds."""
    if report.video_codec != "h264" or report.audio_codec != "aac":
        raise MediaError(f"The file holds {report.video_codec} and {report.audio_codec}, not H.264 and AAC.")
    for what, length in (("picture", report.video_s), ("sound", report.audio_s)):
        if abs(length - speech_s) > LENGTH_TOLERANCE_S:
            raise MediaError(f"The {what} lasts {length:.2f} s but the speech {speech_s:.2f} s.")
    if report.distinct_frames < 2:
        raise MediaError("The picture never moves.")
    if report.audio_peak < AUDIBLE_PEAK:
        raise MediaError("The sound is silent.")


def _streams(ffmpeg: str, video: Path) -> tuple[str, str, int, int]:
    # With an input and no output ffmpeg prints the streams and exits with 1; that is its only "probe".
    done = _call([ffmpeg, "-hide_banner", "-nostdin", "-i", str(video)])
    text = done.stderr.decode("utf-8", errors="replace")
    picture = re.search(r"Stream #0:\d+.*?: Video: (\w+).*?, (\d{2,5})x(\d{2,5})", text)
    sound = re.search(r"Stream #0:\d+.*?: Audio: (\w+)", text)
    if picture is None or sound is None:
        raise MediaError("The file has no picture or no sound.")
    return picture[1], sound[1], int(picture[2]), int(picture[3])


def _stream_of(framecrc: str, stream: int) -> tuple[float, int, int]:
    """(seconds, packets, distinct checksums) of one stream in ffmpeg's framecrc output.

    Lines are `stream, dts, pts, duration, size, checksum`, times in units of `#tb stream: a/b` seconds.
    """
    base = re.search(rf"^#tb {stream}: (\d+/\d+)$", framecrc, re.MULTILINE)
    rows = [line.split(",") for line in framecrc.splitlines() if re.match(rf"{stream},", line)]
    if base is None or not rows:
        raise MediaError("The file has no picture or no sound.")
    end = max(int(row[2]) + int(row[3]) for row in rows)
    return float(end * Fraction(base[1])), len(rows), len({row[5] for row in rows})


def _audio_peak(ffmpeg: str, video: Path) -> int:
    pcm = _run(
        [
            *(ffmpeg, "-v", "error", "-nostdin", "-i", str(video), "-map", "0:a:0"),
            *("-f", "s16le", "-ac", "1", "-ar", str(_PCM_RATE), "-"),
        ]
    )
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return max((abs(sample) for sample in samples), default=0)


def _run(command: list[str]) -> bytes:
    done = _call(command)
    if done.returncode != 0 or done.stderr.strip():
        reason = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise MediaError(f"The file does not decode: {reason[-1] if reason else done.returncode}")
    return done.stdout


def _call(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - argument list, program chosen by us
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DECODE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MediaError(f"The file cannot be checked: {error}") from error
