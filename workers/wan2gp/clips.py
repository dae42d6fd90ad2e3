"""Frames out of a video, frames into a video. Runs in the wan2gp worker; ffmpeg does the decoding and encoding.

Flow: a video -> its frames one by one as raw 4:2:0 bytes in the size that is wanted -> an H.264 file. The frames are
never turned into RGB and back, so a frame that is only moved from one file to another keeps its colours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from workers import ffmpeg as ff
from workers.handler import TaskError

# Decoding and encoding run at tens of frames a second on a busy machine; these are bounds against a hang.
_START_S = 120.0
_PER_FRAME_S = 2.0
_MAX_FRAMES = 400_000
# The last frames of a part travel without loss: they are what the next part is made from.
_LOSSLESS = ("-c:v", "libx264", "-preset", "veryfast", "-qp", "0")
# On the way from a file through upstream into the next file a picture loses one level of brightness: both its
# conversions round down. Measured with a model that draws what it is shown: 138.3, 137.3, 136.2, 135.2 over four
# parts. A long speech would grow dark; one level more on the way in keeps it where it was.
_ONE_BRIGHTER = bytes([*range(1, 256), 255])
# Visually without loss, because the service compresses the film once more when it lays the sound under it.
_FILM = ("-c:v", "libx264", "-preset", "medium", "-crf", "14")


class _Continuing(Protocol):
    """What of a part this module needs to know."""

    @property
    def index(self) -> int: ...

    @property
    def lead(self) -> int: ...

    @property
    def source_end(self) -> int: ...

    @property
    def fps(self) -> int: ...

    @property
    def settings(self) -> Any: ...


def frame_bytes(size: tuple[int, int]) -> int:
    """Bytes of one raw frame: a full plane of brightness, two of colour at half the size."""
    return size[0] * size[1] * 3 // 2


def read_frames(
    path: Path, size: tuple[int, int], *, ffmpeg: str, count: int, check: Callable[[], None]
) -> Generator[bytes, None, None]:
    """The first `count` frames of a video, scaled to `size`; fewer when it ends before.

    Raises `TaskError` `no_output` when the file cannot be decoded. Close the generator to stop early.
    """
    argv = ff.command(
        ffmpeg,
        *ff.media_input(path),
        *("-map", "0:v:0", "-fps_mode", "passthrough", "-frames:v", str(count)),
        *("-vf", f"scale={size[0]}:{size[1]}:flags=lanczos,format=yuv420p", "-f", "rawvideo", "pipe:1"),
    )
    length = frame_bytes(size)
    try:
        with ff.FfmpegChild(argv, deadline_s=_START_S + _PER_FRAME_S * count, stdout=True) as child:
            while True:
                check()
                frame = _read_exactly(child, length)
                if len(frame) < length:
                    break
                yield frame
            child.finish()
    except ff.FfmpegError as error:
        raise TaskError(
            "no_output",
            "A part of the video cannot be read any more. Start the job again.",
            detail=f"{path}: {error}\n{error.tail}",
        ) from error


def _read_exactly(child: ff.FfmpegChild, length: int) -> bytes:
    """A pipe gives what it has; a frame may come in several pieces."""
    frame = bytearray()
    while len(frame) < length:
        block = child.read(length - len(frame))
        if not block:
            break
        frame += block
    return bytes(frame)


class FrameWriter:
    """Frames into one H.264 MP4. A context manager; the file is complete after `finish`."""

    def __init__(
        self, path: Path, size: tuple[int, int], fps: int, *, ffmpeg: str, lossless: bool = False
    ) -> None:
        """`path` is overwritten."""
        argv = ff.command(
            ffmpeg,
            *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}", "-r", str(fps)),
            *("-i", "pipe:0", *(_LOSSLESS if lossless else _FILM), "-pix_fmt", "yuv420p"),
            *("-movflags", "+faststart", "-f", "mp4", *ff.file_output(path)),
        )
        # The input comes as fast as it is made: the bound is on the whole, and only against a hang.
        self._child = ff.FfmpegChild(argv, deadline_s=_START_S + _PER_FRAME_S * _MAX_FRAMES, stdin=True)

    def __enter__(self) -> FrameWriter:
        self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)

    def write(self, frame: bytes) -> None:
        """Append one raw frame. Raises `FfmpegError`."""
        self._child.write(frame)

    def finish(self) -> None:
        """Complete the file. Raises `FfmpegError`."""
        self._child.finish()


def continuation(
    previous: Path,
    part: _Continuing,
    size: tuple[int, int],
    scratch: Path,
    *,
    ffmpeg: str,
    check: Callable[[], None],
) -> dict[str, Any]:
    """The settings that let a part go on where the used frames of `previous` end.

    One shared frame is a start picture; several are a short video to be continued. Of such a video upstream's first
    window sees only the last frame, the movement is lost, unless the prompt commands an overlap; later windows have
    one by themselves.
    """
    tail: deque[bytes] = deque(maxlen=part.lead)
    frames = read_frames(previous, size, ffmpeg=ffmpeg, count=part.source_end, check=check)
    for frame in frames:
        tail.append(_brighter(frame, size))
    if len(tail) < part.lead:
        raise TaskError(
            "no_output",
            "A part of the video is too short to be continued. Start the job again.",
            detail=f"{previous}: {len(tail)} of {part.lead} frames",
        )
    types = str(part.settings["image_prompt_type"]).replace("S", "")
    if part.lead == 1:
        target = scratch / f"part-{part.index:03d}-start.png"
        _write_picture(tail[0], size, target, ffmpeg=ffmpeg)
        return {"image_start": str(target.resolve()), "image_prompt_type": f"{types}S"}
    target = scratch / f"part-{part.index:03d}-before.mp4"
    with FrameWriter(target, size, part.fps, ffmpeg=ffmpeg, lossless=True) as writer:
        for frame in tail:
            writer.write(frame)
        writer.finish()
    return {
        "video_source": str(target.resolve()),
        "image_prompt_type": f"{types}V",
        "prompt": f"[/overlap={part.lead}] {part.settings['prompt']}",
    }


def _brighter(frame: bytes, size: tuple[int, int]) -> bytes:
    luma = size[0] * size[1]
    return frame[:luma].translate(_ONE_BRIGHTER) + frame[luma:]


def _write_picture(frame: bytes, size: tuple[int, int], target: Path, *, ffmpeg: str) -> None:
    """One raw frame as a PNG."""
    argv = ff.command(
        ffmpeg,
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}", "-i", "pipe:0"),
        *("-frames:v", "1", "-pix_fmt", "rgb24", "-c:v", "png", "-f", "image2", "-update", "1"),
        *ff.file_output(target),
    )
    with ff.FfmpegChild(argv, deadline_s=_START_S, stdin=True) as child:
        child.write(frame)
        child.finish()
