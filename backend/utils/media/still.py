"""The first picture of a video, for whoever needs a still of it. Runs in the service process; ffmpeg decodes."""

from __future__ import annotations

from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError
from backend.utils.media.ffmpeg import Cancelled, Ffmpeg, file_url, input_arguments, never_cancelled
from backend.utils.media.probe import probe
from backend.utils.sniff import Sniffed

# As large as what cameras record; a forged header that claims more is not decoded.
MAX_SIDE = 4096
_DEADLINE_S = 60.0


def first_picture(
    ffmpeg: Ffmpeg, video: Path, sniffed: Sniffed, output: Path, *, cancelled: Cancelled = never_cancelled
) -> None:
    """Write the first picture of a video as an upright PNG; blocks.

    Raises InputError(image_unreadable) when there is none or it is too large, EngineFailure(timeout, disk_full).
    """
    try:
        info = probe(ffmpeg, video, cancelled=cancelled).video
    except InputError as error:
        raise _unreadable("The video cannot be read.") from error
    if info is None:
        raise _unreadable("The video holds no picture.")
    if max(info.width, info.height) > MAX_SIDE:
        raise _unreadable(f"The video is larger than {MAX_SIDE} pixels a side.")
    try:
        ffmpeg.run_checked(
            [
                *("-loglevel", "error"),
                *input_arguments(video, sniffed),
                *("-map", "0:V:0", "-frames:v", "1", "-vf", "format=rgb24"),
                *("-c:v", "png", "-f", "image2", "-update", "1", file_url(output)),
            ],
            purpose="read the video",
            deadline_s=_DEADLINE_S,
            cancelled=cancelled,
        )
    except EngineFailure as failure:
        if failure.code is not ErrorCode.NO_OUTPUT:
            raise
        raise _unreadable("The video cannot be decoded.") from failure
    if not output.is_file():
        raise _unreadable("The video holds no picture.")


def _unreadable(sentence: str) -> InputError:
    return InputError(
        ErrorCode.IMAGE_UNREADABLE, sentence, hint="Use an MP4, MOV or WebM video that plays elsewhere."
    )
