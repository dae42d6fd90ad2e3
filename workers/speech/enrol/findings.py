"""The voice doctor: measured figures become findings in words. Pure functions; run in the speech worker.

`FINDING_CODES` is the one list of codes: the page translates them, docs/speech.md explains them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FINDING_CODES = (
    "short", "clipping", "noisy", "narrow_band", "music", "second_speaker", "quiet", "long", "phase",
)  # fmt: skip
Severity = Literal["info", "warning"]

# Less is refused: no encoder and no cloning engine tells a voice from it.
MIN_SPEECH_S = 3.0
# What a detector misses of the first and the last sound, 0.1 s each (soft onsets, last breaths of a vowel): a voice
# trimmed to three seconds measures 2.8 to 2.9 s and is not refused for it.
EDGE_TOLERANCE_S = 0.2
# Similarity still grows up to about 8 s of speech; below 5 s the voice's range is not in it.
SHORT_WARNING_S, SHORT_INFO_S = 5.0, 8.0
# Share of samples at a ceiling: speech cut off 2 dB below its peak has 0.08 %, at 3 dB 0.15 %, at 6 dB 0.7 %.
CLIPPING_WARNING, CLIPPING_INFO = 5e-4, 1e-4
# Peak over level of the louder half: 12.8 dB at least on the eleven clean clips, 11.1 dB on 95 % of LibriSpeech;
# speech clipped by 10 dB and coded as MP3 afterwards, which hides the ceiling, has 6.6 to 7.5 dB.
CREST_WARNING_DB = 8.5
# Clean clips have 23 dB or more; white noise added at 15 dB measures 15 to 17, at 10 dB 10 to 12, at 20 dB 19 to 22.
SNR_WARNING_DB, SNR_INFO_DB = 15.0, 20.0
# -50 dB roll-off of the mean spectrum: 8 kHz files, AMR and telephone filters 3.9 to 5.3 kHz, Opus at 6 kbit/s up to
# 5.0, MP3 at 16 kbit/s 5.5 to 5.7, at 24 kbit/s 5.9 to 6.1; clean LibriSpeech 6.2 at least, half of it over 8.5.
NARROW_WARNING_HZ, NARROW_INFO_HZ = 5_300, 6_150
# Continuous frequency activation: 357 LibriSpeech clips reach 1.27, 99 % of them 1.0; songs and instruments 2.4 to
# 4.2; speech over music at equal level 1.6 to 3.6, at 10 dB 0.7 to 2.7. Drums alone stay below.
MUSIC_WARNING = 1.4
# LibriSpeech lies between -36 and -18 LUFS. Below -45, 16-bit recorders add their own noise.
QUIET_WARNING_LUFS = -45.0
# A recording this much longer than what is used is worth a word.
LONG_S = 60.0


@dataclass(frozen=True)
class Figures:
    """What was measured, on the seconds that are used where nothing else is said. Loudness as recorded.

    `music_score_of_all`: of all speech. `is_cut`: the file goes on behind what was decoded.
    """

    duration_s: float
    speech_s: float
    used_s: float
    clipped_fraction: float
    is_clipped_in_use: bool
    crest_db: float
    snr_db: float
    bandwidth_hz: int
    music_score: float
    music_score_of_all: float
    has_second_speaker: bool
    loudness_lufs: float
    is_inverted: bool
    is_cut: bool


@dataclass(frozen=True)
class Finding:
    """One thing to tell the person who recorded."""

    code: str
    severity: Severity
    message: str
    fix: str

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "severity": self.severity, "message": self.message, "fix": self.fix}


def is_long_enough(speech_s: float) -> bool:
    """Whether so much measured speech (s) holds the three seconds that a voice needs."""
    return speech_s >= MIN_SPEECH_S - EDGE_TOLERANCE_S


def is_musical(score: float) -> bool:
    """Whether a music score means music."""
    return score >= MUSIC_WARNING


def findings(figures: Figures) -> list[Finding]:
    """What is wrong with the recording and what to do, in the order of `FINDING_CODES`."""
    found = [
        _short(figures),
        _clipping(figures),
        _noisy(figures),
        _narrow_band(figures),
        _music(figures),
        _second_speaker(figures),
        _quiet(figures),
        _long(figures),
        _phase(figures),
    ]
    return [finding for finding in found if finding is not None]


def _short(figures: Figures) -> Finding | None:
    if figures.speech_s >= SHORT_INFO_S:
        return None
    return Finding(
        "short",
        "warning" if figures.speech_s < SHORT_WARNING_S else "info",
        f"The recording holds only {figures.speech_s:.1f} s of speech.",
        "Read 10 to 20 s of text: the voice will be matched more closely.",
    )


def _clipping(figures: Figures) -> Finding | None:
    fix = "Record again with the microphone farther away or its level turned down."
    if figures.crest_db < CREST_WARNING_DB:
        return Finding(
            "clipping",
            "warning",
            "The recording is strongly limited or distorted: its peaks are cut off.",
            fix,
        )
    if figures.clipped_fraction < CLIPPING_INFO:
        return None
    if not figures.is_clipped_in_use:
        return Finding(
            "clipping", "info", "Some loud sounds are cut off; the seconds that are used are not.", fix
        )
    return Finding(
        "clipping",
        "warning" if figures.clipped_fraction >= CLIPPING_WARNING else "info",
        f"Loud sounds are cut off ({100 * figures.clipped_fraction:.2f} % of the recording): the voice is distorted.",
        fix,
    )


def _noisy(figures: Figures) -> Finding | None:
    if figures.snr_db >= SNR_INFO_DB:
        return None
    is_bad = figures.snr_db < SNR_WARNING_DB
    return Finding(
        "noisy",
        "warning" if is_bad else "info",
        f"There is {'a lot of' if is_bad else 'some'} noise behind the voice: it is only {figures.snr_db:.0f} dB "
        "louder than the pauses.",
        "Record in a quiet room, close to the microphone, with fans and other devices off.",
    )


def _narrow_band(figures: Figures) -> Finding | None:
    if not 0 < figures.bandwidth_hz < NARROW_INFO_HZ:
        return None
    if figures.bandwidth_hz < NARROW_WARNING_HZ:
        return Finding(
            "narrow_band",
            "warning",
            f"The recording ends at {figures.bandwidth_hz / 1000:.1f} kHz, like a telephone call: the voice will sound "
            "dull.",
            "Use the voice recorder of the phone or a microphone, not a recorded call or a strongly compressed file.",
        )
    return Finding(
        "narrow_band",
        "info",
        f"The recording ends at {figures.bandwidth_hz / 1000:.1f} kHz: it was strongly compressed.",
        "Upload the original recording if there is one.",
    )


def _music(figures: Figures) -> Finding | None:
    if not is_musical(max(figures.music_score, figures.music_score_of_all)):
        return None
    return Finding(
        "music",
        "warning",
        "There is music or singing in the recording; it would become part of the voice.",
        "Use a recording of plain speech without music behind it.",
    )


def _second_speaker(figures: Figures) -> Finding | None:
    if not figures.has_second_speaker:
        return None
    return Finding(
        "second_speaker",
        "warning",
        "More than one voice seems to speak; the one that speaks most is used.",
        "Use a recording in which only one person speaks, or cut the others out.",
    )


def _quiet(figures: Figures) -> Finding | None:
    if figures.loudness_lufs >= QUIET_WARNING_LUFS:
        return None
    return Finding(
        "quiet",
        "warning",
        "The recording is very quiet; made louder, its noise grows with it.",
        "Record again closer to the microphone or with its level turned up.",
    )


def _long(figures: Figures) -> Finding | None:
    if not figures.is_cut and figures.duration_s <= LONG_S:
        return None
    begin = (
        f"Only the first {figures.duration_s / 60:.0f} minutes were listened to; the"
        if figures.is_cut
        else "The"
    )
    return Finding(
        "long",
        "info",
        f"{begin} best {figures.used_s:.0f} s are used as the voice.",
        "Nothing needs to be done. To choose the seconds yourself, upload only those: 10 to 30 s are enough.",
    )


def _phase(figures: Figures) -> Finding | None:
    if not figures.is_inverted:
        return None
    return Finding(
        "phase",
        "info",
        "The two channels cancel each other when they are mixed; one of them is used.",
        "Nothing needs to be done for this voice. A cable or plug of the microphone may be wired wrongly.",
    )
