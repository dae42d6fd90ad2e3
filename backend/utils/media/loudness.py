"""How loud the sound of a finished file is, how far its peaks reach, and how much of it is silence.

Runs in the service process; ffmpeg decodes and measures in a child. Loudness and true peak: EBU R 128 and ITU-R
BS.1770 (filter `ebur128`); silence: filter `silencedetect`. What cannot be measured is None, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from backend.models.errors import EngineFailure
from backend.utils.logger import app_logger
from backend.utils.media.ffmpeg import Cancelled, Ffmpeg, input_arguments, never_cancelled
from backend.utils.sniff import sniff_file

# Speech pauses are quieter than this, and shorter than this is part of a word.
SILENCE_BELOW_DB = -50
SILENCE_AT_LEAST_S = 0.3
# One block of BS.1770; of less there is no loudness.
SHORTEST_S = 0.4
# What ebur128 says when no block passed its absolute gate.
_GATE_LUFS = -70.0
# Decoding sound runs at over a hundred times real time; a busy slow core gets a lot more.
BASE_DEADLINE_S = 60.0
DEADLINE_PER_SECOND = 2.0

_INTEGRATED = re.compile(r"^\s*I:\s+(?P<value>-?[0-9.]+|-inf|nan) LUFS")
_RANGE = re.compile(r"^\s*LRA:\s+(?P<value>-?[0-9.]+|nan) LU\b")
_PEAK = re.compile(r"^\s*Peak:\s+(?P<value>-?[0-9.]+|-inf|nan) dBFS")

FIGURES = ("loudness_lufs", "loudness_range_lu", "true_peak_dbtp", "silence_share")


@dataclass(frozen=True)
class Loudness:
    """Figures of one sound track; `unmeasured` says by name of a figure why it is None.

    `silence_share` is 0 to 1: the part of the length that is below SILENCE_BELOW_DB for SILENCE_AT_LEAST_S or longer.
    """

    loudness_lufs: float | None = None
    loudness_range_lu: float | None = None
    true_peak_dbtp: float | None = None
    silence_share: float | None = None
    unmeasured: dict[str, str] = field(default_factory=dict)


class _Silence:
    """Sums up what `silencedetect` says by way of `ametadata`, line by line."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.begun: float | None = None

    def add(self, line: str) -> None:
        key, _, value = line.strip().partition("=")
        try:
            if key == "lavfi.silence_start":
                self.begun = float(value)
            elif key == "lavfi.silence_duration":
                self.seconds += float(value)
                self.begun = None
        except ValueError:
            app_logger.warning("a figure of ffmpeg's silencedetect could not be read")

    def share(self, duration_s: float) -> float:
        """Silence that lasts to the end has no end that ffmpeg would tell."""
        rest = max(duration_s - self.begun, 0.0) if self.begun is not None else 0.0
        return round(min((self.seconds + rest) / duration_s, 1.0), 4)


def measure_loudness(
    ffmpeg: Ffmpeg, path: Path, *, duration_s: float, cancelled: Cancelled = never_cancelled
) -> Loudness:
    """Measure the first sound track of `path`, which lasts `duration_s`; blocks. Raises JobCancelled alone."""
    sniffed = sniff_file(path)
    if sniffed is None or duration_s <= 0:
        return _nothing("The file holds no sound.")
    silence = _Silence()
    chain = (
        f"silencedetect=noise={SILENCE_BELOW_DB}dB:d={SILENCE_AT_LEAST_S},ametadata=mode=print:file=-,"
        "ebur128=peak=true:framelog=quiet"
    )
    arguments = [
        *("-loglevel", "info", "-nostats", "-threads", str(ffmpeg.threads)),
        *input_arguments(path, sniffed),
        *("-map", "0:a:0", "-af", chain, "-f", "null", "-"),
    ]
    deadline_s = BASE_DEADLINE_S + DEADLINE_PER_SECOND * duration_s
    try:
        done = ffmpeg.run_checked(
            arguments,
            purpose="measure the sound",
            deadline_s=deadline_s,
            cancelled=cancelled,
            on_line=silence.add,
        )
    except EngineFailure as error:
        # The video is whole all the same; its report says what it lacks.
        app_logger.warning("the sound could not be measured: %s\n%s", error.detail, error.log_tail)
        return _nothing(error.detail)
    return _figures(done.stderr_tail, duration_s, silence.share(duration_s))


def _figures(summary: str, duration_s: float, silence_share: float) -> Loudness:
    lines = summary.splitlines()
    reasons: dict[str, str] = {}
    integrated, spread, peak = (_value(pattern, lines) for pattern in (_INTEGRATED, _RANGE, _PEAK))
    if duration_s < SHORTEST_S:
        integrated = spread = None
        reason = f"The sound is shorter than {SHORTEST_S} s."
    elif integrated is not None and integrated <= _GATE_LUFS:
        integrated = spread = None
        reason = "All of the sound is below -70 LUFS."
    else:
        reason = "ffmpeg gave no figure."
    found = {"loudness_lufs": integrated, "loudness_range_lu": spread, "true_peak_dbtp": peak}
    for name, value in found.items():
        if value is None:
            is_peak = name == "true_peak_dbtp"
            reasons[name] = "The sound has no peak, or ffmpeg gave no figure." if is_peak else reason
    return Loudness(**found, silence_share=silence_share, unmeasured=reasons)


def _value(pattern: re.Pattern[str], lines: list[str]) -> float | None:
    """The last one: the summary stands at the end. Infinity and NaN are no figures."""
    for line in reversed(lines):
        if found := pattern.match(line):
            text = found["value"]
            return None if text in {"-inf", "nan"} else float(text)
    return None


def _nothing(reason: str) -> Loudness:
    return Loudness(unmeasured=dict.fromkeys(FIGURES, reason))
