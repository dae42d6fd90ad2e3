"""Windows become a film on the disk. Runs in the InfiniteTalk worker; ffmpeg does the encoding.

Flow: frames of a window (F, H, W, 3) uint8 RGB -> one H.264 segment -> at the end all segments, in order,
become one MP4 without being encoded again. Memory holds one window whatever the film's length, and what is
done stays done: a segment never changes again.

A segment is a raw H.264 stream (ITU-T H.264 annex B) that begins with its own parameters and a picture
that needs no other one, so segments put one behind the other are again such a stream. It carries no times;
without B-frames its pictures come in the order they are shown, and the frame rate says all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers import ffmpeg as ff
from workers.handler import TaskError

# Visually without loss: the service compresses the film once more when it lays the sound under it.
# Without B-frames, see the module. Every segment is encoded alike, so one set of parameters fits all.
_ENCODER = ("-c:v", "libx264", "-preset", "medium", "-crf", "14", "-bf", "0", "-pix_fmt", "yuv420p")
# RGB pictures become YCbCr of ITU-R BT.709, and the file says so: players do not have to guess.
_TO_YUV = (
    "-vf",
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
)
_COLOURS = (
    "-colorspace",
    "bt709",
    "-color_primaries",
    "bt709",
    "-color_trc",
    "iec61966-2-1",
    "-color_range",
    "tv",
)
# Encoding runs at tens of frames a second on a busy machine; these are bounds against a hang.
_START_S = 120.0
_PER_FRAME_S = 4.0
_JOIN_S = 3600.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Film:
    """A finished film; `frames` were counted by decoding it."""

    path: Path
    width: int
    height: int
    frames: int


class FrameSize:
    """Bytes of one raw frame."""

    def __init__(self, height: int, width: int) -> None:
        if height < 2 or width < 2 or height % 2 or width % 2:
            raise ValueError(f"{width}x{height} cannot be encoded: sides must be even")
        self.height = height
        self.width = width

    @property
    def nbytes(self) -> int:
        return self.height * self.width * 3


def write_segment(
    frames: Any, path: Path, *, fps: int, ffmpeg: str, check: Callable[[], None], hold: int = 0
) -> int:
    """Encode (F, H, W, 3) uint8 RGB, a CPU tensor or an array; returns how many frames were written.

    `hold`: how many times the last frame is shown once more. The file is complete on the disk when this
    returns; before, it has another name. Raises `TaskError` `internal_error`, `disk_full`.
    """
    count, height, width, _ = frames.shape
    FrameSize(height, width)
    draft = path.with_name(path.name + ".part")
    argv = ff.command(
        ffmpeg,
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0"),
        *(*_TO_YUV, *_ENCODER, *_COLOURS, "-f", "h264", *ff.file_output(draft)),
    )
    deadline = _START_S + _PER_FRAME_S * (count + hold)
    try:
        with ff.FfmpegChild(argv, deadline_s=deadline, stdin=True) as child:
            data = b""
            for index in range(count):
                check()
                data = _bytes_of(frames[index])
                child.write(data)
            for _ in range(hold):
                child.write(data)
            child.finish()
        _settle(draft)
        draft.replace(path)
    except ff.FfmpegError as error:
        raise _failed("A window of the film cannot be encoded.", error) from error
    finally:
        draft.unlink(missing_ok=True)
    return int(count) + hold


def join_segments(
    segments: Sequence[Path], output: Path, *, fps: int, ffmpeg: str, check: Callable[[], None]
) -> None:
    """One MP4 out of segments, copied picture by picture. Raises `TaskError` `internal_error`, `disk_full`."""
    if not segments:
        raise ValueError("a film needs a segment")
    argv = ff.command(
        ffmpeg,
        *("-f", "h264", "-framerate", str(fps), "-i", "pipe:0"),
        # The raw stream has no times: picture n is shown at n / fps.
        *("-map", "0:v:0", "-c", "copy", "-bsf:v", f"setts=ts=N/({fps}*TB):duration=1/({fps}*TB)"),
        *("-video_track_timescale", str(fps * 512), "-movflags", "+faststart", "-f", "mp4"),
        *ff.file_output(output),
    )
    try:
        with ff.FfmpegChild(argv, deadline_s=_JOIN_S, stdin=True) as child:
            for block in _blocks(segments):
                check()
                child.write(block)
            child.finish()
    except ff.FfmpegError as error:
        raise _failed("The windows of the film cannot be joined.", error) from error


def probe(path: Path, *, fps: int, ffmpeg: str, check: Callable[[], None]) -> Film:
    """Decode a film to its end and count. Raises `TaskError` `no_output` when it is none, or breaks off.

    Also says so when its pictures are not `fps` a second, evenly.
    """
    argv = ff.command(
        ffmpeg,
        *(*ff.media_input(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framecrc", "pipe:1"),
    )
    report = bytearray()
    try:
        with ff.FfmpegChild(argv, deadline_s=_JOIN_S, stdout=True) as child:
            while block := child.read(_BLOCK):
                report += block
                check()
            child.finish()
        return _read_report(path, report.decode("ascii"), fps)
    except (ff.FfmpegError, ValueError, KeyError) as error:
        tail = error.tail if isinstance(error, ff.FfmpegError) else ""
        raise TaskError(
            "no_output",
            "The film that was made cannot be read. Start the job again.",
            detail=f"{path}: {error}\n{tail}",
        ) from error


def _read_report(path: Path, text: str, fps: int) -> Film:
    """ffmpeg's list of frames: a head with size and clock, then `stream, dts, pts, duration, …` each."""
    head: dict[str, str] = {}
    count = 0
    ticks = seconds = 0
    for line in text.splitlines():
        if line.startswith("#"):
            name, _, value = line[1:].partition(" 0: ")
            head[name] = value
            continue
        if not count:
            seconds, ticks = (int(part) for part in head["tb"].split("/"))
        shown = int(line.split(",")[2])
        # Clocks of containers are coarser than ours: half a picture is far from any rounding.
        if abs(shown * seconds / ticks * fps - count) >= 0.5:
            raise ValueError(f"picture {count} is shown at {shown * seconds / ticks:.3f} s")
        count += 1
    if not count:
        raise ValueError("no frames")
    width, height = (int(side) for side in head["dimensions"].split("x"))
    return Film(path, width, height, count)


def _bytes_of(frame: Any) -> bytes:
    """One (H, W, 3) uint8 frame, tensor or array, row by row."""
    array = frame.contiguous().numpy() if hasattr(frame, "contiguous") else frame
    return bytes(array.tobytes())


def _blocks(segments: Iterable[Path]) -> Iterable[bytes]:
    for segment in segments:
        with segment.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def _settle(path: Path) -> None:
    """What is called done must survive a loss of power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _failed(sentence: str, error: ff.FfmpegError) -> TaskError:
    full = "no space left" in error.tail.lower()
    return TaskError(
        "disk_full" if full else "internal_error",
        f"{sentence} {'Make room on the disk and start' if full else 'Start'} the job again.",
        detail=f"{error}\n{error.tail}",
    )
