"""Seconds of speech from frame levels."""

import numpy as np

from workers.speech.probe import speech_seconds


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
