"""Seconds of speech from frame levels."""

import numpy as np
import pytest

from workers.speech.probe import is_long_enough, speech_seconds


def levels(*stretches: tuple[float, float]) -> np.ndarray:
    """(seconds, dBFS) stretches as 20 ms frames."""
    return np.concatenate([np.full(round(seconds * 50), value) for seconds, value in stretches])


def test_speech_is_counted_and_silence_is_not() -> None:
    assert speech_seconds(levels((2, -70), (4, -20), (3, -70))) == 4.0


def test_short_pauses_inside_speech_count() -> None:
    assert speech_seconds(levels((2, -70), (2, -20), (0.2, -70), (2, -20), (2, -70))) == 4.2


def test_a_steady_noise_is_no_speech() -> None:
    assert speech_seconds(levels((10, -25))) == 0.0


def test_clicks_are_no_speech() -> None:
    parts = [(1.0, -70.0), (0.04, -10.0)] * 10
    assert speech_seconds(levels(*parts)) == 0.0


def test_nothing_is_no_speech() -> None:
    assert speech_seconds(np.zeros(0)) == 0.0


RATE = 24000


def frame_levels(samples: np.ndarray) -> np.ndarray:
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    return 10 * np.log10(np.maximum(np.mean(frames**2, axis=1), 1e-12))


def noise(seconds: float, level_db: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 10 ** (level_db / 20), round(seconds * RATE))


def spoken(seconds: float) -> np.ndarray:
    """A voice of 140 Hz in five syllables a second; each swells, fades and leaves a weak gap of 60 ms."""
    time = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    inside = (time * 5) % 1.0
    envelope = np.where(inside < 0.7, np.sin(np.pi * np.minimum(inside / 0.7, 1.0)) ** 0.7, 0.0)
    return np.asarray(0.2 * voice * np.maximum(envelope, 0.01))


@pytest.mark.parametrize("noise_db", [-90.0, -60.0, -45.0])
def test_three_seconds_of_clean_speech_count_as_three(noise_db: float) -> None:
    recording = noise(4.0, noise_db)
    recording[RATE // 2 : RATE // 2 + round(3.1 * RATE)] += spoken(3.1)
    assert 3.0 <= speech_seconds(frame_levels(recording)) <= 3.3


def test_speech_without_any_silence_around_it_counts_whole() -> None:
    assert speech_seconds(frame_levels(spoken(3.1) + noise(3.1, -70))) >= 3.0


def test_weak_words_between_loud_ones_count() -> None:
    recording = np.concatenate([spoken(2), 0.08 * spoken(2), spoken(2), np.zeros(2 * RATE)]) + noise(8, -60)
    assert 5.7 <= speech_seconds(frame_levels(recording)) <= 6.2


def test_a_pause_longer_than_a_breath_does_not_count() -> None:
    recording = np.concatenate([spoken(2), np.zeros(RATE), spoken(2), np.zeros(RATE)]) + noise(6, -60)
    assert 3.7 <= speech_seconds(frame_levels(recording)) <= 4.2


def test_noise_and_a_held_chord_are_no_speech() -> None:
    time = np.arange(8 * RATE) / RATE
    chord = 0.1 * sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.2, 329.6))
    assert speech_seconds(frame_levels(noise(8, -30))) == 0.0
    assert speech_seconds(frame_levels(noise(8, -80))) == 0.0
    assert speech_seconds(frame_levels(chord + noise(8, -60))) == 0.0


def test_three_seconds_with_soft_ends_pass_and_two_and_a_half_do_not() -> None:
    def recording(seconds: float) -> np.ndarray:
        ramp = np.minimum(1.0, np.arange(round(seconds * RATE)) / (0.2 * RATE))
        silence = np.zeros(RATE // 4)
        return np.concatenate([silence, spoken(seconds) * ramp * ramp[::-1], silence]) + noise(
            seconds + 0.5, -85
        )

    assert is_long_enough(speech_seconds(frame_levels(recording(3.0))))
    assert not is_long_enough(speech_seconds(frame_levels(recording(2.5))))
