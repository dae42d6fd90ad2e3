"""What the files handed to us really hold. Runs in the wan2gp worker, inside upstream's Python.

Flow: a portrait, a WAV or a video -> its size and length, learned by decoding it to its end. Upstream would find a
broken picture as a crash of its event loop and a broken WAV only after minutes of loading a model.
"""

from __future__ import annotations

import struct
import warnings
import wave
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers import ffmpeg as ff
from workers.handler import TaskError

# What the service lets through at most, with room to spare; told from the header alone.
MAX_PIXELS = 100_000_000
# Samples copied at once: half a second, so that a speech of hours needs no memory.
_BLOCK = 12_000
# What PIL raises on broken files besides OSError.
_BROKEN_PICTURE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error)
_BROKEN_WAVE = (OSError, EOFError, ValueError, struct.error, wave.Error)
# An hour of film has 90,000 frames, of which a small machine decodes tens a second while it is busy: a bound against a
# hang.
_PROBE_DEADLINE_S = 7200.0
_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class VideoInfo:
    """A video as its decoder sees it. `frames` were counted, not read from a header."""

    width: int
    height: int
    fps: float
    frames: int

    @property
    def duration_s(self) -> float:
        """How long the frames last."""
        return self.frames / self.fps


def portrait_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture that decodes to its last row. Raises `TaskError` `image_unreadable`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Our own limit below is stricter than the one Pillow warns about.
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise _bad_picture(f"it declares {picture.width}x{picture.height} pixels")
                picture.load()
                return picture.width, picture.height
    except UnidentifiedImageError as error:
        raise _bad_picture("it is not a picture in a format we know") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise _bad_picture("it is too large") from error
    except _BROKEN_PICTURE as error:
        raise _bad_picture("the file is damaged or cut off") from error


def audio_seconds(path: Path) -> float:
    """Length of a WAV by the samples that are really there. Raises `TaskError` `audio_unreadable`."""
    try:
        with wave.open(str(path), "rb") as reader:
            rate, size = reader.getframerate(), reader.getsampwidth() * reader.getnchannels()
            samples = 0
            while block := reader.readframes(_BLOCK):
                samples += len(block) // size
    except _BROKEN_WAVE as error:
        raise TaskError(
            "audio_unreadable",
            "The speech is not a WAV file that can be read. Start the job again.",
            detail=f"{path}: {error}",
        ) from error
    if samples == 0 or rate <= 0:
        raise TaskError(
            "audio_unreadable", "The speech holds no sound. Start the job again.", detail=str(path)
        )
    return samples / rate


def cut_wave(source: Path, target: Path, *, start_s: float, end_s: float) -> None:
    """Write the samples from `start_s` to `end_s`, silence where the source has ended already.

    Both ends are rounded as points in time, so neighbouring pieces share no sample and leave none out.
    """
    if not 0 <= start_s < end_s:
        raise ValueError(f"an empty piece from {start_s} s to {end_s} s")
    with wave.open(str(source), "rb") as reader, wave.open(str(target), "wb") as writer:
        rate = reader.getframerate()
        first, last = round(start_s * rate), round(end_s * rate)
        writer.setparams((reader.getnchannels(), reader.getsampwidth(), rate, 0, "NONE", "not compressed"))
        frame_bytes = reader.getsampwidth() * reader.getnchannels()
        # 8-bit WAV is unsigned: its silence is not zero.
        silence = b"\x80" if reader.getsampwidth() == 1 else b"\x00"
        reader.setpos(min(first, reader.getnframes()))
        left = last - first
        while left > 0:
            wanted = min(_BLOCK, left)
            block = reader.readframes(wanted)
            if len(block) < wanted * frame_bytes:
                block += silence * (wanted * frame_bytes - len(block))
            writer.writeframesraw(block)
            left -= wanted


def probe_video(path: Path, *, ffmpeg: str, check: Callable[[], None]) -> VideoInfo:
    """Decode a whole video and count. Raises `TaskError` `no_output` when it is none, or breaks off."""
    argv = ff.command(
        ffmpeg, *ff.media_input(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framecrc", "pipe:1"
    )
    report = bytearray()
    try:
        with ff.FfmpegChild(argv, deadline_s=_PROBE_DEADLINE_S, stdout=True) as child:
            while block := child.read(_READ_BYTES):
                report += block
                check()
            child.finish()
        return _read_report(report.decode("ascii"))
    except (ff.FfmpegError, ValueError, KeyError) as error:
        tail = error.tail if isinstance(error, ff.FfmpegError) else ""
        raise TaskError(
            "no_output",
            "Wan2GP wrote a video that cannot be read. Try again; if it happens again, look at its log.",
            detail=f"{path}: {error}\n{tail}",
        ) from error


def _read_report(text: str) -> VideoInfo:
    """Size and clock stand in the head of ffmpeg's list of frames, then one line for each frame."""
    head: dict[str, str] = {}
    frames = 0
    for line in text.splitlines():
        if line.startswith("#"):
            name, _, value = line[1:].partition(" 0: ")
            head[name] = value
        elif line:
            frames += 1
    width, height = (int(side) for side in head["dimensions"].split("x"))
    ticks, seconds = (int(part) for part in head["tb"].split("/"))
    if frames == 0:
        raise ValueError("no frames")
    return VideoInfo(width, height, seconds / ticks, frames)


def _bad_picture(why: str) -> TaskError:
    return TaskError(
        "image_unreadable", f"The picture cannot be read: {why}. Save it again as JPEG or PNG and retry."
    )
