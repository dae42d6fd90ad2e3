"""The check before `completed`: a finished video is decoded from its first to its last frame.

Runs in the service process, decoding in an ffmpeg child that stops at the first damaged packet.
"""

from __future__ import annotations

from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError
from backend.utils.media.ffmpeg import Cancelled, Ffmpeg, input_arguments, never_cancelled
from backend.utils.media.probe import FrameListing, MediaInfo, probe
from backend.utils.sniff import sniff_file

# Lengths of picture, sound and speech may differ by this much: about five frames at 25 fps.
LENGTH_TOLERANCE_S = 0.2
# Decoding 720p on one slow core runs at a few times real time.
VERIFY_BASE_DEADLINE_S = 60.0
VERIFY_DEADLINE_PER_SECOND = 5.0


def verify_result(
    ffmpeg: Ffmpeg,
    path: Path,
    expected_duration_s: float,
    *,
    tolerance_s: float = LENGTH_TOLERANCE_S,
    cancelled: Cancelled = never_cancelled,
) -> MediaInfo:
    """Decode `path` whole and check H.264, AAC and both lengths; blocks.

    Raises EngineFailure(no_output) with a sentence that says what is wrong. Returns what the file
    holds, `faststart` included.
    """
    sniffed = sniff_file(path) if path.is_file() else None
    if sniffed is None or sniffed.demuxer != "mov":
        raise _bad("The result is not an MP4 file.")
    try:
        info = probe(ffmpeg, path, cancelled=cancelled)
    except InputError as error:
        raise _bad("The result cannot be opened as a video.") from error
    if info.video is None or info.video.codec != "h264":
        raise _bad("The result has no H.264 picture track.")
    if info.audio is None or info.audio.codec != "aac":
        raise _bad("The result has no AAC sound track.")
    listing = FrameListing()
    done = ffmpeg.run(
        [
            # Any damaged packet ends the run with an error.
            *("-loglevel", "error", "-xerror", "-threads", str(ffmpeg.threads)),
            *input_arguments(path, sniffed),
            *("-map", "0:v:0", "-map", "0:a:0", "-fps_mode", "passthrough"),
            # Decoded frames are listed, not stored: `wrapped_avframe` copies no pixels.
            *("-c:v", "wrapped_avframe", "-c:a", "pcm_s16le", "-f", "framecrc", "pipe:1"),
        ],
        deadline_s=VERIFY_BASE_DEADLINE_S + VERIFY_DEADLINE_PER_SECOND * expected_duration_s,
        cancelled=cancelled,
        on_line=listing.add,
    )
    picture, sound = listing.of("video"), listing.of("audio")
    if done.returncode != 0 or picture is None or sound is None:
        raise _bad("The result is damaged: it cannot be played to its end.", done.stderr_tail)
    if picture.packets != info.video.frames:
        raise _bad(f"Only {picture.packets} of {info.video.frames} frames of the result can be decoded.")
    for name, length in (("picture", picture.duration_s), ("sound", sound.duration_s)):
        if abs(length - expected_duration_s) > tolerance_s:
            raise _bad(
                f"The {name} of the result lasts {length:.2f} s, but the speech {expected_duration_s:.2f} s."
            )
    return info


def _bad(sentence: str, log_tail: str = "") -> EngineFailure:
    return EngineFailure(
        ErrorCode.NO_OUTPUT,
        sentence,
        hint="Try again; if it happens each time, choose another engine or report it.",
        log_tail=log_tail,
    )
