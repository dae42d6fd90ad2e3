"""The filter that gives one voice the colour of another."""

import numpy as np
import pytest

from workers.speech.match import spectrum

FREQUENCIES = np.arange(spectrum.BINS) * spectrum.RATE / spectrum.TAPS


def noise(seed: int = 0, seconds: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * spectrum.RATE)).astype(np.float32)


def hump(centre: float, height: float) -> np.ndarray:
    """A smooth gain curve in dB."""
    return np.asarray(
        height * np.exp(-0.5 * (np.log(np.maximum(FREQUENCIES, 1) / centre) / 0.5) ** 2), np.float32
    )


def test_a_coloured_voice_gets_its_colour_back() -> None:
    plain = noise()
    wanted = spectrum.mean_log_spectrum(spectrum.apply(noise(1), hump(1500, 8)))
    correction = spectrum.correction_db(wanted, spectrum.mean_log_spectrum(plain))
    band = (FREQUENCIES > 200) & (FREQUENCIES < 6000)
    missing = hump(1500, 8) - hump(1500, 8)[band].mean()
    assert np.abs(correction - missing)[band].max() < 1.0
    after = spectrum.mean_log_spectrum(spectrum.apply(plain, correction))
    rest = spectrum.correction_db(wanted, after)
    assert np.abs(rest[band]).max() < 0.8


def test_a_voice_is_not_corrected_to_itself() -> None:
    curve = spectrum.mean_log_spectrum(noise())
    assert np.abs(spectrum.correction_db(curve, curve)).max() == 0


def test_level_does_not_matter_and_the_bound_holds() -> None:
    plain = noise()
    quiet = spectrum.mean_log_spectrum(plain * np.float32(0.1))
    assert np.abs(spectrum.correction_db(quiet, spectrum.mean_log_spectrum(plain))).max() < 0.01
    extreme = spectrum.mean_log_spectrum(spectrum.apply(plain, hump(3000, 40)))
    correction = spectrum.correction_db(extreme, spectrum.mean_log_spectrum(plain))
    assert correction.max() == pytest.approx(spectrum.MAX_DB)
    assert correction.min() >= -spectrum.MAX_DB
    assert np.all(correction[FREQUENCIES < 80] == 0)


def test_the_filter_keeps_length_and_place() -> None:
    click = np.zeros(5000, np.float32)
    click[1234] = 1.0
    filtered = spectrum.apply(click, hump(2000, 10))
    assert len(filtered) == len(click)
    assert int(np.argmax(np.abs(filtered))) == 1234
    assert np.allclose(spectrum.apply(click, np.zeros(spectrum.BINS, np.float32)), click, atol=1e-6)
    assert len(spectrum.apply(np.zeros(0, np.float32), hump(2000, 10))) == 0


def test_too_little_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        spectrum.mean_log_spectrum(np.zeros(100, np.float32))
