"""What the recogniser looks at, against figures that were worked out from the definition by hand."""

import numpy as np
import pytest

from workers.listen.features import BANDS, SAMPLE_RATE, Samples, log_mel, window_seconds


def tone(frequency: float, seconds: float = 1.0) -> Samples:
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * frequency * moments)).astype(np.float32)


def test_a_clip_fills_thirty_seconds_with_silence() -> None:
    features = log_mel(tone(440))
    assert features.shape == (BANDS, 3000)
    assert features.dtype == np.float32
    # The floor is 8 decades under the loudest point: 2.0 after scaling by 4.
    assert features.max() - features.min() == pytest.approx(2.0, abs=1e-5)
    assert np.all(features[:, 150:] == features.min())


@pytest.mark.parametrize(("frequency", "band"), [(200.0, 4), (1000.0, 26), (4000.0, 62)])
def test_a_tone_lies_in_its_band_of_the_mel_scale(frequency: float, band: int) -> None:
    """82 corners from 0 to 45.25 mel (8 kHz): 200 Hz is 3 mel, 1 kHz 15 mel, 4 kHz 35.16 mel."""
    assert abs(int(log_mel(tone(frequency))[:, 50].argmax()) - band) <= 1


def test_twice_as_loud_is_a_quarter_of_six_decibels_more() -> None:
    loud, soft = log_mel(tone(1000)), log_mel(tone(1000) / 2)
    assert loud.max() - soft.max() == pytest.approx(np.log10(4.0) / 4.0, abs=1e-4)


def test_what_is_beyond_thirty_seconds_is_left_out() -> None:
    long = np.concatenate([tone(440, 30.0), tone(2000, 5.0)])
    assert np.allclose(log_mel(long)[:, :2990], log_mel(tone(440, 30.0))[:, :2990], atol=1e-3)


def test_silence_is_no_division_by_zero() -> None:
    assert np.all(np.isfinite(log_mel(np.zeros(0, np.float32))))


def test_short_clips_take_half_the_window_and_leave_room_after_the_last_word() -> None:
    assert window_seconds(14 * SAMPLE_RATE) == 15
    assert window_seconds(14 * SAMPLE_RATE + 1) == 30
    assert log_mel(tone(440), 15).shape == (BANDS, 1500)
