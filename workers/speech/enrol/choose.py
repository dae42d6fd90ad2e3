"""Which seconds of a recording show the voice best. Pure functions; run in the speech worker.

Flow: stretches of speech -> phrases, cut at pauses -> from a long recording, the best run of each part of it -> what
is clipped, lies in music or is another voice goes, if enough remains -> at most 30 s in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.speech.enrol.vad import FRAME_S, Stretch

# What cloning engines and voice matching make use of.
MIN_USED_S, MAX_USED_S = 8.0, 30.0
# Somebody who does not pause is cut where the voice is weakest, in pieces up to this long.
_MAX_PHRASE_S = 10.0
# No piece gets shorter than this.
_MIN_PHRASE_S = 1.0
# Listening for a second voice costs 20 ms per second of speech: this much is heard, from all parts of the recording.
MAX_HEARD_S = 60.0
_PARTS = 6
# Sound kept on either side of a phrase: consonants begin softly and end late.
PAD_S = 0.12
# Pauses up to this long between two phrases stay as they are.
_NATURAL_PAUSE_S = 0.6
# How much worse than the best phrase one may be in noise before it is left out, dB.
_NOISE_SPREAD_DB = 12.0
# A phrase of which more 20 ms steps than this touch the ceiling is clipped.
_CLIPPED_SHARE = 0.02
# Another voice is worse than little of the right one: alone it is used from this much of it on.
_MIN_OF_ONE_VOICE_S = 3.0
# A run this much shorter than the longest one is too short to be chosen for its quality.
_FULL_SHARE = 0.8
# What takes as much from a phrase's worth as 10 dB of noise.
_WORTH_OF_CLIPPING = 0.05
_WORTH_OF_MUSIC = 1.0
_WORTH_OF_STRANGENESS = 0.15


@dataclass(frozen=True)
class Phrase:
    """A stretch of speech with what was measured on it; `alike` is its cosine to the main voice."""

    stretch: Stretch
    snr_db: float
    clipped_share: float
    music: float
    alike: float = 1.0
    is_main_voice: bool = True

    @property
    def cost_s(self) -> float:
        """Seconds that it takes up in the reference."""
        return self.stretch.length_s + 2 * PAD_S

    @property
    def worth(self) -> float:
        """How good it is, in units of 10 dB."""
        return (
            self.snr_db / 10.0
            - self.clipped_share / _WORTH_OF_CLIPPING
            - self.music / _WORTH_OF_MUSIC
            - (1.0 - self.alike) / _WORTH_OF_STRANGENESS
        )


def cut_long(found: Sequence[Stretch], probabilities: npt.NDArray[np.float32]) -> list[Stretch]:
    """The stretches, long ones cut where speech is least probable."""
    done: list[Stretch] = []
    waiting = list(reversed(found))
    while waiting:
        stretch = waiting.pop()
        if stretch.length_s <= _MAX_PHRASE_S:
            done.append(stretch)
            continue
        first = int((stretch.start_s + _MIN_PHRASE_S) / FRAME_S)
        last = int((min(stretch.start_s + _MAX_PHRASE_S, stretch.end_s - _MIN_PHRASE_S)) / FRAME_S)
        cut = (first + int(np.argmin(probabilities[first : last + 1])) + 0.5) * FRAME_S
        done.append(Stretch(stretch.start_s, cut))
        waiting.append(Stretch(cut, stretch.end_s))
    return done


def worth_hearing(phrases: Sequence[Phrase], duration_s: float) -> list[Phrase]:
    """All phrases of a short recording; of a long one, the best run of each sixth of it, up to `MAX_HEARD_S`."""
    if sum(phrase.cost_s for phrase in phrases) <= MAX_HEARD_S:
        return list(phrases)
    parts: list[list[Phrase]] = [[] for _ in range(_PARTS)]
    for phrase in phrases:
        parts[min(_PARTS - 1, int(phrase.stretch.start_s / duration_s * _PARTS))].append(phrase)
    return [phrase for part in parts for phrase in best_run(part, MAX_HEARD_S / _PARTS)]


def choose(phrases: Sequence[Phrase], *, is_musical: Callable[[float], bool]) -> list[Phrase]:
    """The phrases to use, in order, at most `MAX_USED_S` of them.

    What is wrong with a phrase counts only while enough good ones remain, the worst faults first.
    """
    left = list(phrases)
    best_snr = max((phrase.snr_db for phrase in left), default=0.0)
    faults: tuple[Callable[[Phrase], bool], ...] = (
        lambda phrase: not phrase.is_main_voice,
        lambda phrase: is_musical(phrase.music),
        lambda phrase: phrase.clipped_share > _CLIPPED_SHARE,
        lambda phrase: phrase.snr_db < best_snr - _NOISE_SPREAD_DB,
    )
    for fault in faults:
        good = [phrase for phrase in left if not fault(phrase)]
        enough = _MIN_OF_ONE_VOICE_S if fault is faults[0] else MIN_USED_S
        if _length(good) >= enough:
            left = good
    run = best_run(left, MAX_USED_S)
    # Pauses that stay as they are were not counted.
    while len(run) > 1 and sum(span.length_s for span in spans(run, float("inf"))) > MAX_USED_S:
        run = run[:-1]
    return run


def best_run(phrases: Sequence[Phrase], limit_s: float) -> list[Phrase]:
    """The neighbouring phrases, together at most `limit_s`, that are worth most; all of them when they fit.

    Among runs of nearly the greatest length the quality decides. A phrase longer than the limit is a run alone.
    """
    if sum(phrase.cost_s for phrase in phrases) <= limit_s:
        return list(phrases)
    runs: list[list[Phrase]] = []
    for first in range(len(phrases)):
        run: list[Phrase] = []
        cost = 0.0
        for phrase in phrases[first:]:
            if run and cost + phrase.cost_s > limit_s:
                break
            run.append(phrase)
            cost += phrase.cost_s
        runs.append(run)
    longest = max((_length(run) for run in runs), default=0.0)
    return max((run for run in runs if _length(run) >= _FULL_SHARE * longest), key=_worth, default=[])


def _length(run: Sequence[Phrase]) -> float:
    return sum(phrase.stretch.length_s for phrase in run)


def _worth(run: Sequence[Phrase]) -> float:
    """Its phrases' mean worth, and how densely it is spoken: the share of speech in the time it takes."""
    length = max(_length(run), FRAME_S)
    mean = sum(phrase.worth * phrase.stretch.length_s for phrase in run) / length
    return mean + length / max(run[-1].stretch.end_s - run[0].stretch.start_s, FRAME_S)


def spans(phrases: Sequence[Phrase], duration_s: float) -> list[Stretch]:
    """What to cut out of the recording: the phrases with a little on either side, near ones in one piece."""
    merged: list[Stretch] = []
    for phrase in phrases:
        start = max(0.0, phrase.stretch.start_s - PAD_S)
        end = min(duration_s, phrase.stretch.end_s + PAD_S)
        if merged and start - merged[-1].end_s <= _NATURAL_PAUSE_S - 2 * PAD_S:
            merged[-1] = Stretch(merged[-1].start_s, max(end, merged[-1].end_s))
        else:
            merged.append(Stretch(start, end))
    return merged
