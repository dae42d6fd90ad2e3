"""The `voice_probe` task: is this recording of use as a voice? Runs in the speech worker.

Flow: any media file -> an ffmpeg child decodes its sound to 24 kHz mono -> `voice.wav` written as it streams by ->
level per 20 ms frame -> seconds of speech, peak, clipping.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workers.ffmpeg import AUDIO_DEMUXERS, FfmpegChild, FfmpegError, command, media_input
from workers.handler import Task, TaskContext, TaskError
from workers.speech.kokoro import SAMPLE_RATE
from workers.speech.wav import WavWriter

MIN_SPEECH_S = 3.0
# What a level meter misses of the first and the last sound, 0.1 s each (soft onsets, last breaths of a vowel): a
# voice trimmed to three seconds measures 2.8 to 2.9 s and is not refused for it.
_EDGE_TOLERANCE_S = 0.2
# Nobody needs more to show a voice; the rest of the file is not decoded.
MAX_DECODED_S = 600.0
# Decoding runs at hundreds of times real time; a file that takes longer than this is broken or hostile.
DECODE_DEADLINE_S = 120.0
_READ_BYTES = 2 * SAMPLE_RATE
_FRAME = SAMPLE_RATE // 50
# The quietest tenth of a recording is its noise floor, the loudest twentieth its top. Nearer together than this they
# are a hum, hiss or tone: speech always has valleys.
_MIN_RANGE_DB = 12.0
# A frame is loud when it is this share of that range above the floor, but at least and at most so many dB: read
# speech in a room has 20 to 25 dB of range and weak consonants 6 to 9 dB above its noise ...
_MARGIN_SHARE = 0.35
_MIN_MARGIN_DB = 5.0
_MAX_MARGIN_DB = 9.0
# ... and above what is silence in any recording ...
_ABSOLUTE_FLOOR_DB = -55.0
# ... and not too far below the top: reverberation and breath are not speech.
_BELOW_TOP_DB = 40.0
# Words fade in and out: next to a loud stretch, frames this much weaker still belong to it, up to 0.1 s.
_FADE_DB = 12.0
_FADE_FLOOR_MARGIN_DB = 3.0
_FADE_FRAMES = 5
# Pauses inside speech up to this long (0.3 s) count as speech, bursts shorter than this (60 ms) do not.
_BRIDGE_FRAMES = 15
_MIN_BURST_FRAMES = 3
# Samples this close to full scale were cut off by the recorder.
_CLIP_LEVEL = 0.997
_SILENT_DB = -120.0


def run_probe(task: Task, context: TaskContext, *, ffmpeg: str) -> dict[str, Any]:
    """Do the task. Raises TaskError: audio_unreadable, voice_too_short."""
    if "audio" not in task.inputs:
        raise TaskError("validation_failed", "The task has no recording.")
    target = task.output_dir / "voice.wav"
    levels: list[float] = []
    peak = 0.0
    clipped = 0
    argv = command(
        ffmpeg,
        *media_input(task.inputs["audio"], demuxers=AUDIO_DEMUXERS),
        "-map", "0:a:0", "-t", f"{MAX_DECODED_S:g}", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "pipe:1",
    )  # fmt: skip
    rest = np.zeros(0, np.float32)
    try:
        with FfmpegChild(argv, deadline_s=DECODE_DEADLINE_S, stdout=True) as child, WavWriter(target) as wav:
            pending = b""
            while chunk := child.read(_READ_BYTES):
                context.raise_if_cancelled()
                pending += chunk
                whole = len(pending) // 2 * 2
                # 16 bits also because ffmpeg scales a mix of channels to full range only for whole numbers.
                samples = (np.frombuffer(pending[:whole], "<i2") / np.float32(32768)).astype(np.float32)
                pending = pending[whole:]
                wav.write(samples)
                peak = max(peak, float(np.max(np.abs(samples), initial=0.0)))
                clipped += int(np.count_nonzero(np.abs(samples) >= _CLIP_LEVEL))
                rest = _frame_levels(np.concatenate([rest, samples]), levels)
            child.finish()
            total = wav.samples
    except FfmpegError as error:
        raise TaskError(
            "audio_unreadable",
            "The recording could not be read. Save it as WAV, MP3 or M4A and upload it again.",
            detail=f"{error}: {error.tail}",
        ) from error
    if not total:
        raise TaskError("audio_unreadable", "The file holds no sound. Upload a recording of a voice.")
    speech_s = speech_seconds(np.asarray(levels))
    if not is_long_enough(speech_s):
        raise TaskError(
            "voice_too_short",
            f"The recording holds {speech_s:.1f} s of speech; at least {MIN_SPEECH_S:g} s are needed. "
            "10 to 20 s of clear speech are best.",
        )
    duration_s = total / SAMPLE_RATE
    context.progress(1.0, "Measured")
    context.artifact("voice", target, media_type="audio/wav", duration_s=duration_s)
    return {
        "duration_s": round(duration_s, 3),
        "speech_s": round(speech_s, 2),
        "sample_rate": SAMPLE_RATE,
        "channels": 1,
        "peak": round(peak, 4),
        "clipped_fraction": round(clipped / total, 6),
    }


def is_long_enough(speech_s: float) -> bool:
    """Whether a recording with so much measured speech (s) holds the three seconds a voice needs."""
    return speech_s >= MIN_SPEECH_S - _EDGE_TOLERANCE_S


def _frame_levels(samples: npt.NDArray[np.float32], levels: list[float]) -> npt.NDArray[np.float32]:
    """Append the level of each whole frame in dBFS to `levels`; returns what was left over."""
    count = len(samples) // _FRAME
    frames = samples[: count * _FRAME].reshape(count, _FRAME).astype(np.float64)
    power = np.mean((frames - frames.mean(axis=1, keepdims=True)) ** 2, axis=1) if count else np.zeros(0)
    levels.extend((10.0 * np.log10(np.maximum(power, 10 ** (_SILENT_DB / 10)))).tolist())
    return samples[count * _FRAME :]


def speech_seconds(levels: npt.NDArray[np.float64]) -> float:
    """Seconds of speech from frame levels in dBFS: loud stretches with their fades, short pauses bridged.

    The threshold follows the noise floor of the recording; clicks, and sounds without valleys, are left out.
    """
    if not len(levels):
        return 0.0
    floor, top = np.percentile(levels, 10), np.percentile(levels, 95)
    if top - floor < _MIN_RANGE_DB:
        return 0.0
    margin = float(np.clip(_MARGIN_SHARE * (top - floor), _MIN_MARGIN_DB, _MAX_MARGIN_DB))
    threshold = max(floor + margin, top - _BELOW_TOP_DB, _ABSOLUTE_FLOOR_DB)
    loud = levels > threshold
    audible = levels > max(floor + _FADE_FLOOR_MARGIN_DB, threshold - _FADE_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(np.int8), [0]])))
    stretches = [
        _with_fades(int(a), int(b), audible)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if b - a >= _MIN_BURST_FRAMES
    ]
    merged: list[tuple[int, int]] = []
    for start, end in stretches:
        if merged and start - merged[-1][1] <= _BRIDGE_FRAMES:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return sum(end - start for start, end in merged) * _FRAME / SAMPLE_RATE


def _with_fades(start: int, end: int, audible: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The loud stretch `start:end` with the audible frames that touch it."""
    first, last = start, end
    while first > max(0, start - _FADE_FRAMES) and audible[first - 1]:
        first -= 1
    while last < min(len(audible), end + _FADE_FRAMES) and audible[last]:
        last += 1
    return first, last
