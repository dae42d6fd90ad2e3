"""Where a long speech is cut into parts. Runs in the wan2gp worker, inside upstream's Python.

Flow: WAV -> loudness every 20 ms -> pauses -> places for a cut, each with a price -> the cheapest row of parts, none
longer than the model can make.

Cuts are frames of the film, counted from its beginning. A part therefore begins and ends at an exact point in time,
and errors cannot add up however many parts there are.
"""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.handler import TaskError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEP_S = 0.02
# So far below the loud parts of the speech nothing is being said; a recorded voice rests at about -50 dB.
_BELOW_SPEECH_DB = 32.0
# And this quiet is a pause whatever the rest sounds like.
_SILENT_DB = -62.0
# Closures of plosives last up to 0.1 s and are no pauses.
_LEAST_PAUSE_S = 0.12
# A cut in a pause of this length is as good as any.
_LONG_PAUSE_S = 0.35
# A silence longer than this can be cut at several places.
_INSIDE_LONG_S = 1.0
# Prices. A part costs 1: a cut has to be worth it.
_PER_PART = 1.0
_SHORT_PAUSE = 0.25
_NO_SENTENCE_END = 0.2
_IN_SPEECH = 4.0
_SHORT_PART = 3.0
# A quarter of the shortest wanted part is a flash, and too short to be continued: dearer than any cut in speech.
_FLASH = 20.0
# Even parts are a little better than one long and one short.
_UNEVEN = 0.1
# A sentence's end from the timings and a measured pause are the same when they are this near.
_NEAR_S = 0.25
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")


@dataclass(frozen=True)
class Sentence:
    """One spoken sentence, in seconds of the whole speech."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Pause:
    """A stretch without speech, in seconds."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Cut:
    """A place for a cut: the frame before which it lies, and its price."""

    frame: int
    price: float


@dataclass(frozen=True)
class Span:
    """A part of the film: its first frame and its length in frames."""

    first: int
    frames: int


@dataclass(frozen=True)
class Loudness:
    """The level of a speech in dB below full scale, every 20 ms."""

    levels: NDArray[np.float64]

    def pauses(self) -> list[Pause]:
        """Stretches in which nothing is said, in order."""
        import numpy as np

        if not self.levels.size:
            return []
        limit = max(_SILENT_DB, float(np.percentile(self.levels, 90)) - _BELOW_SPEECH_DB)
        quiet = np.concatenate(([False], self.levels < limit, [False]))
        edges = np.flatnonzero(quiet[1:] != quiet[:-1])
        found = [
            Pause(begin * _STEP_S, end * _STEP_S) for begin, end in zip(edges[::2], edges[1::2], strict=True)
        ]
        return [pause for pause in found if pause.end_s - pause.start_s >= _LEAST_PAUSE_S - 1e-9]

    def quietest(self, start_s: float, end_s: float) -> float:
        """The quietest moment between two points in time, in seconds."""
        import numpy as np

        begin = max(0, int(start_s / _STEP_S))
        levels = self.levels[begin : max(begin + 1, int(end_s / _STEP_S))]
        if not levels.size:
            return (start_s + end_s) / 2
        return (begin + int(np.argmin(levels)) + 0.5) * _STEP_S


def measure(audio: Path) -> Loudness:
    """The loudness of a WAV of 8, 16, 24 or 32 bits. Raises `TaskError` `audio_unreadable`."""
    import numpy as np

    levels: list[NDArray[np.float64]] = []
    with wave.open(str(audio), "rb") as reader:
        width, channels = reader.getsampwidth(), reader.getnchannels()
        step = max(1, round(reader.getframerate() * _STEP_S))
        while block := reader.readframes(step * 500):
            samples = _samples(block, width)[::channels]
            usable = samples[: len(samples) // step * step].reshape(-1, step)
            energy = np.mean(usable**2, axis=1) if usable.size else np.zeros(0)
            levels.append(10 * np.log10(np.maximum(energy, 1e-10)))
    return Loudness(np.concatenate(levels) if levels else np.zeros(0))


def _samples(block: bytes, width: int) -> NDArray[np.float64]:
    import numpy as np

    if width == 1:
        return (np.frombuffer(block, np.uint8).astype(np.float64) - 128) / 128
    if width == 2:
        return np.frombuffer(block, "<i2").astype(np.float64) / 2**15
    if width == 4:
        return np.frombuffer(block, "<i4").astype(np.float64) / 2**31
    if width == 3:
        # The upper two bytes of every three are loudness enough.
        upper = np.frombuffer(block, np.uint8).reshape(-1, 3)[:, 1:].copy().view("<i2")[:, 0]
        return np.asarray(upper, np.float64) / 2**15
    raise TaskError("audio_unreadable", f"A WAV of {8 * width} bits a sample cannot be read.")


def read_sentences(timings: Path | None) -> list[Sentence]:
    """The sentences of a timings file in order; none without a file."""
    if timings is None:
        return []
    try:
        raw: Any = json.loads(timings.read_text(encoding="utf-8"))
        found = [
            Sentence(str(entry["text"]), float(entry["start_s"]), float(entry["end_s"]))
            for entry in raw["sentences"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(
            "internal_error",
            "The times of the spoken words cannot be read. Start the job again.",
            detail=f"{timings}: {error!r}",
        ) from error
    return sorted(found, key=lambda sentence: sentence.start_s)


def estimated_sentences(script: str, audio_s: float) -> list[Sentence]:
    """When each sentence of a script is said, going by its length alone: good enough to choose pictures by."""
    texts = [text.strip() for text in _SENTENCE.findall(script) if text.strip()]
    total = sum(len(text) for text in texts)
    found = []
    said = 0
    for text in texts:
        start, said = said, said + len(text)
        found.append(Sentence(text, audio_s * start / total, audio_s * said / total))
    return found


def places(
    pauses: Sequence[Pause],
    sentences: Sequence[Sentence],
    loudness: Loudness,
    *,
    frames: int,
    fps: int,
    limit: int,
) -> list[Cut]:
    """Every place worth considering, and enough others that no stretch between two is longer than `limit`."""
    ends = [(one.end_s + other.start_s) / 2 for one, other in pairwise(sentences)]
    cuts: dict[int, float] = {}
    for pause in pauses:
        length = pause.end_s - pause.start_s
        price = _SHORT_PAUSE * max(0.0, 1 - length / _LONG_PAUSE_S)
        ended = any(pause.start_s - _NEAR_S <= end <= pause.end_s + _NEAR_S for end in ends)
        price += 0.0 if ended or not ends else _NO_SENTENCE_END
        for moment in _moments(pause):
            frame = round(moment * fps)
            if 0 < frame < frames and pause.start_s <= frame / fps <= pause.end_s:
                cuts[frame] = min(price, cuts.get(frame, price))
    # Where nobody pauses, the quietest moment of every stretch is offered, at a price that keeps it the last choice.
    stretch = max(1, limit // 4)
    for before, after in pairwise([0, *sorted(cuts), frames]):
        pieces = -(-(after - before) // stretch)
        for index in range(pieces - 1):
            begin = before + (after - before) * (index + 0.5) / pieces
            end = before + (after - before) * (index + 1.5) / pieces
            frame = round(loudness.quietest(begin / fps, end / fps) * fps)
            cuts.setdefault(min(after - 1, max(before + 1, frame)), _IN_SPEECH)
    return [Cut(frame, price) for frame, price in sorted(cuts.items())]


def _moments(pause: Pause) -> list[float]:
    """The middle of a pause; in a long silence one moment a second."""
    count = max(1, int((pause.end_s - pause.start_s) / _INSIDE_LONG_S))
    return [pause.start_s + (pause.end_s - pause.start_s) * (i + 0.5) / count for i in range(count)]


def split(frames: int, cuts: Sequence[Cut], *, limit: int, shortest: int) -> list[Span]:
    """The cheapest parts that tile `frames` frames, none longer than `limit`; one part when it fits.

    Deterministic. Raises `ValueError` when the places leave a stretch longer than `limit`.
    """
    if frames <= limit:
        return [Span(0, frames)]
    ends = [*cuts, Cut(frames, 0.0)]
    best: list[
        tuple[float, int]
    ] = []  # price of everything up to ends[i], and the end before it (-1: the beginning)
    oldest = -1
    for index, cut in enumerate(ends):
        while cut.frame - (ends[oldest].frame if oldest >= 0 else 0) > limit:
            oldest += 1
            if oldest == index:
                raise ValueError(f"no place for a cut in the {limit} frames before frame {cut.frame}")
        options = []
        for before in range(oldest, index):
            length = cut.frame - (ends[before].frame if before >= 0 else 0)
            so_far = best[before][0] if before >= 0 else 0.0
            options.append((so_far + cut.price + _part_price(length, limit, shortest), before))
        best.append(min(options))
    bounds = [frames]
    index = best[-1][1]
    while index >= 0:
        bounds.append(ends[index].frame)
        index = best[index][1]
    return [Span(first, last - first) for first, last in pairwise([0, *reversed(bounds)])]


def _part_price(length: int, limit: int, shortest: int) -> float:
    short = _SHORT_PART * max(0.0, 1 - length / shortest) + (_FLASH if length < shortest / 4 else 0.0)
    return _PER_PART + short + _UNEVEN * (length / limit) ** 2
