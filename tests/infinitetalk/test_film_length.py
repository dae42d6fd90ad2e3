"""A film lasts as long as its speech, whatever the WAV's rate and length. Headers only: milliseconds."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from workers.infinitetalk import pipeline
from workers.infinitetalk.resample import Resampled, WavFile


@pytest.mark.parametrize(
    ("rate", "samples"),
    [
        (24_000, 7200),  # 0.3 s
        (24_000, 24_000),
        (24_000, 24_001),  # a sample more than a frame
        (24_000, 77_760),  # 3.24 s, exactly a window
        (16_000, 52_481),
        (44_100, 44_100),
        (22_050, 30_000),
        (48_000, 48_000 * 600 + 1),  # ten minutes and a sample
    ],
)
def test_a_film_is_as_long_as_its_speech_within_a_frame(tmp_path: Path, rate: int, samples: int) -> None:
    with wave.open(str(tmp_path / "speech.wav"), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(2 * samples))
    path = tmp_path / "speech.wav"
    frames = pipeline.frames_of(path, [path])
    seconds = samples / rate
    assert seconds - 1e-6 <= frames / 25 < seconds + 1 / 25
    # Every frame has speech around it: the rows that are heard end less than a frame before the film.
    assert frames - 1 <= Resampled(WavFile(path)).length // 640 <= frames
