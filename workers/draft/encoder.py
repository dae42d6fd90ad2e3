"""Frames into a silent H.264 file. Runs in the draft worker; the codec runs in an ffmpeg child.

Flow: BGRA frames, one at a time -> pipe -> libx264 -> MP4 without an audio track. Nothing is kept: the pipe holds
less than one frame. A file that was not finished is removed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType

from workers import ffmpeg
from workers.draft.arrays import Image
from workers.handler import TaskError

# "veryfast" costs a tenth of a CPU second per second of 512x512 video; 18 is visually lossless (x264's guide).
PRESET, CRF = "veryfast", 18
# A child that has not finished after this much time plus this much per frame hangs.
_DEADLINE_S, _DEADLINE_PER_FRAME_S = 120.0, 1.0
_NO_SPACE = ("No space left", "not enough space", "Disk quota")


class VideoWriter:
    """One video being written. A context manager: leaving it without `finish` removes the partial file."""

    def __init__(
        self, ffmpeg_path: str, path: Path, *, size: tuple[int, int], fps: int, frames: int, threads: int
    ) -> None:
        """`size` (width, height), both even."""
        width, height = size
        self._path = path
        self._finished = False
        self._child = ffmpeg.FfmpegChild(
            ffmpeg.command(
                ffmpeg_path,
                *("-f", "rawvideo", "-pix_fmt", "bgr0", "-s", f"{width}x{height}", "-r", str(fps)),
                *("-protocol_whitelist", ffmpeg.PROTOCOLS, "-i", "pipe:0", "-an"),
                *(
                    "-vf",
                    "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
                    "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709",
                ),
                *("-c:v", "libx264", "-preset", PRESET, "-crf", str(CRF), "-threads", str(threads)),
                *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
                *("-color_range", "tv", "-movflags", "+faststart", "-f", "mp4"),
                *ffmpeg.file_output(path),
            ),
            deadline_s=_DEADLINE_S + _DEADLINE_PER_FRAME_S * frames,
            stdin=True,
        )

    def __enter__(self) -> VideoWriter:
        try:
            self._child.__enter__()
        except ffmpeg.FfmpegError as error:
            raise _failure(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        if not self._finished:
            # What went wrong matters more than a leftover, which goes with the attempt's directory.
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    @property
    def pid(self) -> int | None:
        """Process id of the encoder."""
        return self._child.pid

    def write(self, frame: Image) -> None:
        """Append one frame (h, w, 4) BGRA. Blocks while the encoder is busy."""
        try:
            self._child.write(frame.data.cast("B"))
        except ffmpeg.FfmpegError as error:
            raise _failure(error) from error

    def finish(self) -> None:
        """Close the file. Raises `TaskError` when it could not be written whole."""
        try:
            self._child.finish()
        except ffmpeg.FfmpegError as error:
            raise _failure(error) from error
        self._finished = True


def _failure(error: ffmpeg.FfmpegError) -> TaskError:
    detail = f"{error}: {error.tail}"
    if any(sign.lower() in error.tail.lower() for sign in _NO_SPACE):
        return TaskError("disk_full", "The disk is full. Free some space and retry.", detail=detail)
    if error.timed_out:
        return TaskError(
            "timeout", "The video encoder did not finish in time.", detail=detail, retryable=True
        )
    return TaskError("internal_error", "The video could not be encoded.", detail=detail, retryable=True)
