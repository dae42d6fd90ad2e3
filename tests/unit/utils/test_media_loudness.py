"""How loud a sound is, how high its peaks are and how much of it is silence, against signals that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.errors import JobCancelled
from backend.utils.media.ffmpeg import Ffmpeg, locate_ffmpeg
from backend.utils.media.loudness import FIGURES, Loudness, measure_loudness

FFMPEG = Ffmpeg(locate_ffmpeg())


def sound(folder: Path, source: str) -> Path:
    path = folder / "sound.wav"
    FFMPEG.run_checked(
        ["-f", "lavfi", "-i", source, "-ar", "48000", str(path)], purpose="make a sound", deadline_s=60
    )
    return path


def measured(folder: Path, source: str, duration_s: float) -> Loudness:
    return measure_loudness(FFMPEG, sound(folder, source), duration_s=duration_s)


def test_a_sine_of_1_khz_has_the_loudness_of_the_standard(tmp_path: Path) -> None:
    """ITU-R BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LUFS; ffmpeg's source is at 1/8, -18.06 dB."""
    found = measured(tmp_path, "sine=frequency=997:duration=5", 5)
    assert found.loudness_lufs == pytest.approx(-21.1, abs=0.2)
    assert found.true_peak_dbtp == pytest.approx(-18.1, abs=0.2)
    assert (found.silence_share, found.unmeasured) == (0.0, {})


@pytest.mark.parametrize(
    ("source", "share"),
    [
        # Silent in the middle, at the end, and in pieces too short to count.
        ("aevalsrc='if(between(t,1,3),0,sin(6283*t)/2)':d=4:s=48000", 0.5),
        ("aevalsrc='if(gt(t,3),0,sin(6283*t)/2)':d=4:s=48000", 0.25),
        ("aevalsrc='if(lt(mod(t,1),0.2),0,sin(6283*t)/2)':d=4:s=48000", 0.0),
    ],
)
def test_silence_is_counted_where_it_lasts(tmp_path: Path, source: str, share: float) -> None:
    assert measured(tmp_path, source, 4).silence_share == pytest.approx(share, abs=0.02)


def test_peaks_above_full_scale_are_told(tmp_path: Path) -> None:
    """Samples of a square wave at full scale lie at 0 dB; between them the wave goes higher."""
    found = measured(tmp_path, "aevalsrc='sgn(sin(6283*t))':d=2:s=48000", 2)
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp > 0


def test_figures_that_there_are_not_are_none_with_a_reason(tmp_path: Path) -> None:
    silent = measured(tmp_path, "anullsrc=duration=2", 2)
    assert (silent.loudness_lufs, silent.true_peak_dbtp, silent.silence_share) == (None, None, 1.0)
    assert set(silent.unmeasured) == {"loudness_lufs", "loudness_range_lu", "true_peak_dbtp"}
    assert "-70" in silent.unmeasured["loudness_lufs"]
    short = measured(tmp_path, "sine=duration=0.2", 0.2)
    assert short.loudness_lufs is None
    assert "shorter" in short.unmeasured["loudness_lufs"]
    assert short.true_peak_dbtp is not None


def test_a_file_that_cannot_be_measured_stops_nothing_and_invents_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40))
    text = tmp_path / "text.wav"
    text.write_text("no sound at all")
    for path in (broken, text):
        found = measure_loudness(FFMPEG, path, duration_s=1.0)
        assert set(found.unmeasured) == set(FIGURES)
        assert all(getattr(found, name) is None for name in FIGURES)


def test_a_cancel_is_heard(tmp_path: Path) -> None:
    path = sound(tmp_path, "sine=duration=1")
    with pytest.raises(JobCancelled):
        measure_loudness(FFMPEG, path, duration_s=1.0, cancelled=lambda: True)
