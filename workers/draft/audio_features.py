"""What the ear hears every 10 ms: log-mel energies and loudness. Runs in the draft worker.

Flow: any audio file -> ffmpeg child -> 16 kHz mono samples in blocks -> features. Samples are dropped block by
block; what grows with the length is 41 floats per 10 ms (10 MB for ten minutes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers import ffmpeg
from workers.draft.arrays import F32, f32
from workers.handler import TaskError

SAMPLE_RATE = 16_000
# Feature frames per second; the viseme net was trained at this rate.
FEATURE_RATE = 100
HOP = SAMPLE_RATE // FEATURE_RATE
WINDOW = 400
FFT_SIZE = 512
MEL_BANDS = 40
MEL_LOW_HZ, MEL_HIGH_HZ = 60.0, 7600.0
PRE_EMPHASIS = 0.90
# An hour of speech: its features take 60 MB, its video half a day's patience.
MAX_AUDIO_S = 3600.0
# Decoding runs hundreds of times faster than real time; a file that takes longer than this hangs.
DECODE_DEADLINE_S = 300.0
_BLOCK_BYTES = 2 * SAMPLE_RATE


@dataclass(frozen=True)
class Levels:
    """What is quiet and what is loud in a recording: percentiles 5 and 95 of its power (dB), and percentile 95 of its
    loudest band (nats).
    """

    low_db: float
    high_db: float
    loud_band: float


@dataclass(frozen=True)
class AudioFeatures:
    """`log_mel` (n, 40) and `loudness` (n,), 100 per second; `samples` at 16 kHz. Loudness: 0 floor, 1 loud.

    `levels`: those of the recording, or of the one that it is a part of.
    """

    log_mel: F32
    loudness: F32
    samples: int
    levels: Levels

    @property
    def duration_s(self) -> float:
        """Length of the audio in seconds."""
        return self.samples / SAMPLE_RATE

    def frame_count(self, fps: int) -> int:
        """Video frames that cover the audio: ceil(seconds * fps)."""
        return -(-self.samples * fps // SAMPLE_RATE)


def read_features(
    ffmpeg_path: str, audio: Path, check: Callable[[], None], levels: Levels | None = None
) -> AudioFeatures:
    """Features of an audio file. `check` is called per second of audio and may raise. `levels`: of the recording that
    this one is a part of, so that a track that is silent most of the time is measured as the whole is.

    Raises `TaskError`: `audio_unreadable` when nothing can be decoded, `too_large` beyond `MAX_AUDIO_S`.
    """
    argv = ffmpeg.command(
        ffmpeg_path,
        *ffmpeg.media_input(audio),
        *("-vn", "-sn", "-dn", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "pipe:1"),
    )
    extractor = _Extractor()
    try:
        with ffmpeg.FfmpegChild(argv, deadline_s=DECODE_DEADLINE_S, stdout=True) as child:
            for block in _blocks(child):
                check()
                extractor.feed(block)
                if extractor.samples > MAX_AUDIO_S * SAMPLE_RATE:
                    raise TaskError(
                        "too_large",
                        f"The audio is longer than {MAX_AUDIO_S / 60:.0f} minutes. Split the script.",
                    )
            child.finish()
    except ffmpeg.FfmpegError as error:
        raise TaskError(
            "audio_unreadable",
            "The speech audio cannot be read. Use a WAV or MP3 file.",
            detail=f"{error}: {error.tail}",
        ) from error
    if extractor.samples == 0:
        raise TaskError("audio_unreadable", "The speech audio is empty.")
    return extractor.finish(levels)


def features_of(samples: F32) -> AudioFeatures:
    """Features of samples in memory (-1..1, 16 kHz): for tests and tools."""
    extractor = _Extractor()
    for start in range(0, len(samples), SAMPLE_RATE):
        extractor.feed(samples[start : start + SAMPLE_RATE])
    return extractor.finish()


def _blocks(child: ffmpeg.FfmpegChild) -> Iterator[F32]:
    rest = b""
    while data := child.read(_BLOCK_BYTES):
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)


def _mel_bank() -> F32:
    """Triangular filters (40, 257) on the mel scale of O'Shaughnessy (2595 log10(1 + f/700))."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (MEL_LOW_HZ, MEL_HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, MEL_BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return f32(np.clip(np.minimum(rising, falling), 0, None).astype(np.float32))


class _Extractor:
    """Turns a stream of samples into features; frame i is centred on sample i * HOP."""

    def __init__(self) -> None:
        self._bank = _mel_bank().T.copy()
        self._window = np.hanning(WINDOW).astype(np.float32)
        # Half a window of silence before the first sample, plus one for the pre-emphasis.
        self._pending = np.zeros(WINDOW // 2 + 1, np.float32)
        self._mel: list[F32] = []
        self._power_db: list[F32] = []
        self.samples = 0

    def feed(self, block: F32) -> None:
        self.samples += len(block)
        self._take(block)

    def finish(self, levels: Levels | None = None) -> AudioFeatures:
        """All features; the stream is padded with silence so that its last sample has a frame."""
        self._take(np.zeros(WINDOW, np.float32))
        power, log_mel = np.concatenate(self._power_db), np.concatenate(self._mel)
        levels = levels or _levels(power, log_mel)
        return AudioFeatures(log_mel, _relative_loudness(power, levels), self.samples, levels)

    def _take(self, block: F32) -> None:
        data = np.concatenate([self._pending, block])
        count = (len(data) - 1 - WINDOW) // HOP + 1
        if count > 0:
            starts = 1 + HOP * np.arange(count)[:, None] + np.arange(WINDOW)[None]
            plain = data[starts]
            emphasised = (plain - np.float32(PRE_EMPHASIS) * data[starts - 1]) * self._window
            spectrum = np.abs(np.fft.rfft(emphasised, FFT_SIZE)).astype(np.float32) ** 2
            self._mel.append(np.log(spectrum @ self._bank + np.float32(1e-7)))
            self._power_db.append(10 * np.log10((plain**2).mean(axis=1) + np.float32(1e-9)))
            data = data[count * HOP :]
        self._pending = data


def _levels(power_db: F32, log_mel: F32) -> Levels:
    low, high = (float(np.percentile(power_db, part)) for part in (5, 95))
    return Levels(low, high, float(np.percentile(log_mel.max(axis=1), 95)))


def _relative_loudness(power_db: F32, levels: Levels) -> F32:
    """0..1.15 between the noise floor and the loud parts."""
    high = levels.high_db
    low = max(levels.low_db, high - 45)
    low = min(low + 6, high - 18)
    # A clip of pure silence has no loud part: nothing in it counts as speech.
    if high < -70:
        return np.zeros(len(power_db), np.float32)
    return f32(np.clip((power_db - low) / (high - low), 0, 1.15).astype(np.float32))
