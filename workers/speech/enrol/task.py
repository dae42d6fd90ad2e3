"""The `voice_enrol` task: a recording becomes a voice's reference and a report on it. Runs in the speech worker.

Flow: any media file -> measured as it was recorded (`levels.py`) -> mixed to one channel at 24 and 16 kHz ->
speech, noise and music along the time -> the best 8 to 30 s of one voice (`choose.py`) -> `reference.wav`,
`reference_16k.wav` and what the voice doctor says (`findings.py`). Whole recordings are on disk, never in memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.handler import Task, TaskContext, TaskError
from workers.speech.enrol.choose import Phrase, choose, cut_long, spans, worth_hearing
from workers.speech.enrol.decode import (
    HIGH_RATE,
    LOW_RATE,
    MAX_DECODED_S,
    Source,
    as_recorded,
    describe,
    mixed,
)
from workers.speech.enrol.findings import MIN_SPEECH_S, Figures, findings, is_long_enough, is_musical
from workers.speech.enrol.levels import LevelMeter, Levels
from workers.speech.enrol.music import MusicMeter, score_between
from workers.speech.enrol.noise import PowerMeter, noise_power, snr_db
from workers.speech.enrol.reference import gain_to_target, join, write_wav
from workers.speech.enrol.scratch import Scratch, ScratchWriter
from workers.speech.enrol.speakers import Voices, compare
from workers.speech.enrol.spectrum import bandwidth_hz, crest_db
from workers.speech.enrol.vad import FRAME_S, SpeechDetector, Stretch, stretches
from workers.speech.loudness import SILENCE_LUFS
from workers.speech.speaker import SpeakerEncoder

# Pauses inside speech up to this long count as speech.
_BRIDGE_S = 0.3
# Decoding runs at hundreds of times real time, the measurements beside it at a hundred; a file that takes longer
# than this is broken or hostile. It ends well before the 120 s that the service waits.
DECODE_BUDGET_S = 100.0
# Shares of the time that the steps take, for the progress shown.
_MEASURED, _LISTENED, _COMPARED = 0.3, 0.7, 0.95
# A file that ends this close to the limit may have gone on.
_LIMIT_SLACK_S = 0.1

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Track:
    """What was heard along the time: one number per 32 ms, and one music score per 1.3 s."""

    probabilities: F32
    powers: F32
    music: F32
    high: Scratch
    low: Scratch


class _Deadline:
    """How long decoding may still take, all of it together."""

    def __init__(self) -> None:
        self._end = time.monotonic() + DECODE_BUDGET_S

    @property
    def left_s(self) -> float:
        return max(1.0, self._end - time.monotonic())


class Enroller:
    """Holds the two networks; loaded once per worker."""

    def __init__(self, *, ffmpeg: str, assets_dir: Path) -> None:
        """Raises TaskError(model_missing) when a network's file is missing or damaged."""
        self._ffmpeg = ffmpeg
        self._detector = SpeechDetector(assets_dir)
        self._encoder = SpeakerEncoder(assets_dir)

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        """Do the task. Raises TaskError: audio_unreadable, voice_too_short."""
        if "audio" not in task.inputs:
            raise TaskError("validation_failed", "The task has no recording.")
        source = describe(self._ffmpeg, task.inputs["audio"])
        scratch = (task.output_dir / "scratch_24k.pcm", task.output_dir / "scratch_16k.pcm")
        try:
            return self._enrol(source, scratch, task.output_dir, context)
        finally:
            for path in scratch:
                path.unlink(missing_ok=True)

    def _enrol(
        self, source: Source, scratch: tuple[Path, Path], output_dir: Path, context: TaskContext
    ) -> dict[str, Any]:
        deadline = _Deadline()
        levels = self._measure(source, deadline, context)
        context.progress(_MEASURED, "Listening")
        track = self._listen(source, levels, scratch, deadline, context)
        context.progress(_LISTENED, "Comparing voices")
        spoken = stretches(track.probabilities, bridge_s=_BRIDGE_S, total_s=track.low.duration_s)
        speech_s = sum(stretch.length_s for stretch in spoken)
        if not is_long_enough(speech_s):
            raise _too_short(speech_s, track.music)
        noise = noise_power(track.powers, track.probabilities)
        phrases = [_rate(stretch, track, levels, noise) for stretch in cut_long(spoken, track.probabilities)]
        heard = worth_hearing(phrases, track.low.duration_s)
        voices = compare(self._encoder, [_sound(track.low, phrase) for phrase in heard])
        context.raise_if_cancelled()
        context.progress(_COMPARED, "Choosing the best seconds")
        heard = [
            replace(phrase, alike=alike, is_main_voice=is_main)
            for phrase, (alike, is_main) in zip(heard, voices.phrases, strict=True)
        ]
        used = choose(heard, is_musical=is_musical)
        cuts = spans(used, track.low.duration_s)
        reference = join(track.high, cuts)
        loudness, gain = gain_to_target(reference, HIGH_RATE)
        for role, samples, rate in (
            ("reference", reference, HIGH_RATE),
            ("reference_16k", join(track.low, cuts), LOW_RATE),
        ):
            path = output_dir / f"{role}.wav"
            write_wav(path, samples * np.float32(gain), rate)
            context.artifact(role, path, media_type="audio/wav", duration_s=len(samples) / rate)
        context.progress(1.0, "Measured")
        figures = Figures(
            duration_s=levels.duration_s,
            speech_s=speech_s,
            used_s=len(reference) / HIGH_RATE,
            clipped_fraction=levels.clipped_fraction,
            is_clipped_in_use=any(levels.clipped_share(cut.start_s, cut.end_s) > 0 for cut in cuts),
            crest_db=crest_db(reference),
            snr_db=_snr(used, track, noise),
            bandwidth_hz=min(bandwidth_hz(reference, HIGH_RATE), max(source.rate, 1) // 2),
            music_score=_music(used),
            music_score_of_all=_music(phrases),
            has_second_speaker=voices.has_second,
            loudness_lufs=_as_recorded(loudness, levels),
            is_inverted=levels.is_inverted,
            is_cut=levels.duration_s >= MAX_DECODED_S - _LIMIT_SLACK_S,
        )
        return _report(source, levels, figures, voices, cuts)

    def _measure(self, source: Source, deadline: _Deadline, context: TaskContext) -> Levels:
        meter = LevelMeter(source.decoded_rate, source.decoded_channels)
        for piece in as_recorded(self._ffmpeg, source, context, deadline_s=deadline.left_s):
            meter.feed(piece)
        levels = meter.result()
        if not levels.duration_s:
            raise TaskError("audio_unreadable", "The file holds no sound. Upload a recording of a voice.")
        return levels

    def _listen(
        self,
        source: Source,
        levels: Levels,
        scratch: tuple[Path, Path],
        deadline: _Deadline,
        context: TaskContext,
    ) -> _Track:
        speech, power, music = self._detector.stream(), PowerMeter(), MusicMeter()
        heard = 0
        with ScratchWriter(scratch[1]) as low:
            for piece in mixed(
                self._ffmpeg, source, levels.mix, scratch[0], context, deadline_s=deadline.left_s
            ):
                for meter in (speech, power, music):
                    meter.feed(piece)
                low.write(piece)
                heard += len(piece)
                done = min(1.0, heard / LOW_RATE / levels.duration_s)
                context.progress(_MEASURED + done * (_LISTENED - _MEASURED), "Listening")
        return _Track(
            speech.close(),
            power.close(),
            music.close(),
            Scratch(scratch[0], HIGH_RATE),
            Scratch(scratch[1], LOW_RATE),
        )


def _sound(scratch: Scratch, phrase: Phrase) -> F32:
    return scratch.read(phrase.stretch.start_s, phrase.stretch.end_s)


def _frames(stretch: Stretch) -> slice:
    first = int(stretch.start_s / FRAME_S)
    return slice(first, max(first + 1, round(stretch.end_s / FRAME_S)))


def _rate(stretch: Stretch, track: _Track, levels: Levels, noise: float) -> Phrase:
    frames = _frames(stretch)
    return Phrase(
        stretch,
        snr_db=snr_db(track.powers[frames], track.probabilities[frames], noise),
        clipped_share=levels.clipped_share(stretch.start_s, stretch.end_s),
        music=score_between(track.music, stretch.start_s, stretch.end_s),
    )


def _snr(used: Sequence[Phrase], track: _Track, noise: float) -> float:
    """Of all that is used together."""
    frames = [_frames(phrase.stretch) for phrase in used]
    return snr_db(
        np.concatenate([track.powers[part] for part in frames]),
        np.concatenate([track.probabilities[part] for part in frames]),
        noise,
    )


def _music(phrases: Sequence[Phrase]) -> float:
    """The median over the phrases, each by its length."""
    ordered = sorted(phrases, key=lambda phrase: phrase.music)
    half = sum(phrase.stretch.length_s for phrase in ordered) / 2
    for phrase in ordered:
        half -= phrase.stretch.length_s
        if half <= 0:
            return phrase.music
    return 0.0


def _as_recorded(loudness: float, levels: Levels) -> float:
    """The loudness before the recording was raised; silence is -70 LUFS, where the standard's gate lies."""
    return -70.0 if loudness == SILENCE_LUFS else loudness - 20.0 * float(np.log10(levels.gain))


def _too_short(speech_s: float, music: F32) -> TaskError:
    hint = " It seems to be music." if len(music) and is_musical(float(np.median(music))) else ""
    return TaskError(
        "voice_too_short",
        f"The recording holds {speech_s:.1f} s of speech; at least {MIN_SPEECH_S:g} s are needed.{hint} "
        "10 to 20 s of clear speech are best.",
    )


def _report(
    source: Source, levels: Levels, figures: Figures, voices: Voices, cuts: Sequence[Stretch]
) -> dict[str, Any]:
    return {
        "duration_s": round(figures.duration_s, 3),
        "speech_s": round(figures.speech_s, 2),
        "used_s": round(figures.used_s, 2),
        "used_spans": [[round(cut.start_s, 3), round(cut.end_s, 3)] for cut in cuts],
        "sample_rate": source.rate,
        "channels": source.channels,
        "codec": source.codec,
        "loudness_lufs": round(figures.loudness_lufs, 1),
        "peak": round(levels.peak, 4),
        "clipped_fraction": round(figures.clipped_fraction, 6),
        "snr_db": round(figures.snr_db, 1),
        "bandwidth_hz": figures.bandwidth_hz,
        "music_score": round(figures.music_score, 2),
        "speaker_similarity": None if voices.similarity is None else round(voices.similarity, 3),
        "waveform": levels.waveform(),
        "findings": [finding.as_json() for finding in findings(figures)],
    }
