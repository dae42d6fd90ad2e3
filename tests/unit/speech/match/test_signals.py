"""Pitch, pauses and reading: what a match measures first."""

import wave
from pathlib import Path

import numpy as np
import pytest

from workers.handler import TaskError
from workers.speech.match import signals


def tone(hz: float, seconds: float = 1.5, rate: int = 16_000, harmonics: int = 8) -> np.ndarray:
    """A voiced sound: harmonics that fall off as in speech."""
    t = np.arange(round(seconds * rate)) / rate
    parts = [np.sin(2 * np.pi * hz * k * t) / k for k in range(1, harmonics + 1) if hz * k < rate / 2]
    return np.asarray(0.1 * np.sum(parts, axis=0), np.float32)


@pytest.mark.parametrize("hz", [66.0, 98.5, 131.0, 220.0, 297.3, 410.0])
def test_pitch_is_found_to_half_a_percent(hz: float) -> None:
    found = signals.median_pitch_hz(tone(hz))
    assert found is not None
    assert abs(found / hz - 1) < 0.005


def test_pitch_of_a_glide_is_its_middle_and_pauses_do_not_count() -> None:
    pitch = np.exp(np.linspace(np.log(100), np.log(200), 32_000))
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    glide = np.asarray(0.1 * (np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.3 * np.sin(3 * phase)), np.float32)
    padded = np.concatenate([np.zeros(16_000, np.float32), glide, np.zeros(16_000, np.float32)])
    found = signals.median_pitch_hz(padded)
    assert found is not None
    assert abs(found / np.sqrt(100 * 200) - 1) < 0.03


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    assert signals.median_pitch_hz(noise) is None
    assert signals.median_pitch_hz(np.zeros(32_000, np.float32)) is None
    assert signals.median_pitch_hz(np.zeros(10, np.float32)) is None


def test_pauses_are_taken_out_and_speech_is_not() -> None:
    voiced = tone(120, seconds=1.0)
    found = signals.without_pauses(np.concatenate([voiced, np.zeros(32_000, np.float32), voiced]))
    assert 2.0 * 16_000 <= len(found) <= 2.2 * 16_000
    short = tone(120, seconds=0.3)
    assert len(signals.without_pauses(short)) == len(short)


def write(path: Path, channels: int, rate: int) -> Path:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(channels)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(np.arange(-500, 500, dtype="<i2").tobytes())
    return path


def test_reading_wants_the_form_that_enrolment_writes(tmp_path: Path) -> None:
    samples = signals.read_wav(write(tmp_path / "a.wav", 1, 24_000))
    assert np.allclose(samples, np.arange(-500, 500) / 32768)
    for channels, rate in ((2, 24_000), (1, 16_000)):
        with pytest.raises(TaskError) as caught:
            signals.read_wav(write(tmp_path / "b.wav", channels, rate))
        assert caught.value.code == "audio_unreadable"
    (tmp_path / "c.wav").write_bytes(b"RIFF no")
    with pytest.raises(TaskError):
        signals.read_wav(tmp_path / "c.wav")
    with pytest.raises(TaskError):
        signals.read_wav(tmp_path / "missing.wav")
