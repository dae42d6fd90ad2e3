"""The finished parts as one film. Runs in the wan2gp worker; ffmpeg does the decoding and encoding.

Flow: files of upstream, each with a few frames too many at its head and end -> exactly the frames of the plan, the
seams cross-faded where the plan says so -> one H.264 MP4 whose picture lasts at least as long as the speech.

The film is encoded anew once as a whole: parts that were copied one behind the other would keep their own time
bases, and a part of another size (made before a step down the ladder) could not stand beside the others.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from workers import ffmpeg as ff
from workers.handler import TaskError
from workers.wan2gp.clips import FrameWriter, read_frames
from workers.wan2gp.media import VideoInfo, probe_video
from workers.wan2gp.parts import Part, Plan

# Upstream rounds to four frames and drops up to four at a window's end: what is missing beyond that is a lost part.
MISSING_ALLOWED = 6


def join(
    plan: Plan,
    files: Sequence[Path],
    output: Path,
    *,
    audio_s: float,
    ffmpeg: str,
    check: Callable[[], None],
) -> VideoInfo:
    """Write the film. Raises `TaskError` `no_output` when a part is missing frames, `disk_full` or `internal_error`
    when the film cannot be written.
    """
    if len(files) != len(plan.parts):
        raise ValueError(f"{len(files)} files for {len(plan.parts)} parts")
    size = (plan.width, plan.height)
    wanted = max(plan.total_frames, math.ceil(audio_s * plan.fps - 1e-6))
    written = 0
    try:
        with FrameWriter(output, size, plan.fps, ffmpeg=ffmpeg) as writer:
            frame = b""
            for frame in _film(plan, files, size, ffmpeg, check):
                writer.write(frame)
                written += 1
            for _ in range(written, wanted):
                writer.write(frame)
            writer.finish()
    except ff.FfmpegError as error:
        full = "no space left" in error.tail.lower()
        raise TaskError(
            "disk_full" if full else "internal_error",
            "The parts of the video cannot be joined. "
            f"{'Make room on the disk and start' if full else 'Start'} the job again.",
            detail=f"{error}\n{error.tail}",
        ) from error
    info = probe_video(output, ffmpeg=ffmpeg, check=check)
    if info.frames != wanted or (info.width, info.height) != size:
        raise TaskError(
            "no_output",
            "The joined video is not as long as the speech. Start the job again.",
            detail=f"{info} instead of {wanted} frames of {size[0]}x{size[1]}",
        )
    return info


def _film(
    plan: Plan, files: Sequence[Path], size: tuple[int, int], ffmpeg: str, check: Callable[[], None]
) -> Generator[bytes, None, None]:
    """All frames in order. The last frames of a part wait until it is known whether the next fades into them."""
    waiting: deque[bytes] = deque()
    for index, (part, file) in enumerate(zip(plan.parts, files, strict=True)):
        following = plan.parts[index + 1].fade if index + 1 < len(plan.parts) else 0
        with closing(_frames_of(part, file, size, ffmpeg, check)) as frames:
            for number in range(part.fade):
                incoming = next(frames)
                yield _mix(waiting.popleft(), incoming, (number + 1) / (part.fade + 1))
            for frame in frames:
                waiting.append(frame)
                if len(waiting) > following:
                    yield waiting.popleft()
    yield from waiting


def _frames_of(
    part: Part, file: Path, size: tuple[int, int], ffmpeg: str, check: Callable[[], None]
) -> Generator[bytes, None, None]:
    """The frames that a part gives: those to be faded in and its own. A last one that is missing is held."""
    ends = part.lead + part.frames
    skipped = part.lead - part.fade
    count = 0
    frame = b""
    with closing(read_frames(file, size, ffmpeg=ffmpeg, count=ends, check=check)) as frames:
        for frame in frames:
            count += 1
            if count > skipped:
                yield frame
    if ends - count > MISSING_ALLOWED or count <= part.lead:
        raise TaskError(
            "no_output",
            f"Part {part.index + 1} of the video is shorter than its speech. Start the job again.",
            detail=f"{file}: {count} of {ends} frames",
        )
    for _ in range(count, ends):
        yield frame


def _mix(before: bytes, after: bytes, share: float) -> bytes:
    """A frame between two: `share` of the second one. Brightness and colour mix alike."""
    import numpy as np

    first = np.frombuffer(before, np.uint8).astype(np.float32)
    second = np.frombuffer(after, np.uint8).astype(np.float32)
    mixed = np.rint(first + (second - first) * np.float32(share)).astype(np.uint8)
    return bytes(mixed.tobytes())
