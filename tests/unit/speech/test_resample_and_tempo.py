"""Other rates, speeds and pitches: what must stay stays, what must change changes."""

from __future__ import annotations

import numpy as np
import pytest

from workers.speech.resample import resample
from workers.speech.tempo import at_pitch, at_speed


def tone(hertz: float, rate: int = 24_000, seconds: float = 2.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def loudest(samples: np.ndarray, rate: int = 24_000) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_height_length_and_loudness_at_another_rate(rate: int) -> None:
    made = resample(tone(440, rate), rate, 24_000)
    assert made.dtype == np.float32
    assert abs(len(made) - 48_000) <= 1
    wanted = tone(440)[: len(made)]
    assert np.abs(made - wanted)[500:-500].max() < 1e-3


def test_what_the_new_rate_cannot_hold_does_not_come_back_as_another_tone() -> None:
    assert np.abs(resample(tone(15_000, 48_000), 48_000, 24_000))[500:-500].max() < 1e-4


def test_up_and_down_again_is_the_same() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 24_000).astype(np.float32)
    low = resample(resample(noise, 24_000, 8_000), 8_000, 24_000)
    again = resample(resample(low, 24_000, 48_000), 48_000, 24_000)
    assert np.abs(again - low)[500:-500].max() < 1e-3


def test_an_empty_clip_and_a_foolish_rate() -> None:
    assert len(resample(np.zeros(0, np.float32), 48_000, 24_000)) == 0
    with pytest.raises(ValueError, match="no conversion"):
        resample(tone(440), 0, 24_000)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_another_speed_changes_the_length_and_nothing_else(speed: float) -> None:
    made = at_speed(tone(220), speed)
    assert abs(len(made) - 48_000 / speed) <= 1
    assert loudest(made) == pytest.approx(220, abs=1)
    middle = made[2000:-2000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_the_usual_speed_changes_no_sample() -> None:
    clip = tone(220)
    assert at_speed(clip, 1.0) is clip
    assert at_pitch(clip, 0.0) is clip


@pytest.mark.parametrize("semitones", [-12, -3, 4, 12])
def test_another_pitch_changes_the_height_and_not_the_length(semitones: int) -> None:
    made = at_pitch(tone(300), semitones)
    assert abs(len(made) - 48_000) <= 2
    assert loudest(made) == pytest.approx(300 * 2 ** (semitones / 12), rel=0.005)


def test_a_speed_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        at_speed(tone(220), 9.0)
