"""The parts of enrolment that need no network: levels, clipping, bandwidth, choosing, findings."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from workers.speech.enrol.choose import MAX_USED_S, Phrase, best_run, choose, cut_long, spans, worth_hearing
from workers.speech.enrol.findings import FINDING_CODES, Figures, findings, is_long_enough, is_musical
from workers.speech.enrol.levels import LevelMeter, Levels
from workers.speech.enrol.music import MusicMeter, score_between
from workers.speech.enrol.noise import noise_power, snr_db
from workers.speech.enrol.spectrum import bandwidth_hz, crest_db
from workers.speech.enrol.vad import FRAME_S, Stretch, stretches

ROOT = Path(__file__).resolve().parents[3]
RATE = 16_000
GOOD = Figures(
    duration_s=15.0, speech_s=12.0, used_s=12.0, clipped_fraction=0.0, is_clipped_in_use=False, crest_db=15.0,
    snr_db=30.0, bandwidth_hz=8000, music_score=0.6, music_score_of_all=0.6, has_second_speaker=False,
    loudness_lufs=-24.0, is_inverted=False, is_cut=False,
)  # fmt: skip


def measured(samples: np.ndarray, piece: int = 1000) -> Levels:
    samples = samples.astype(np.float32).reshape(len(samples), -1)
    meter = LevelMeter(RATE, samples.shape[1])
    for start in range(0, len(samples), piece):
        meter.feed(samples[start : start + piece])
    return meter.result()


def loud_noise(seconds: float = 4.0) -> np.ndarray:
    """Like speech, its loud samples are rare."""
    return np.random.default_rng(1).laplace(0, 0.05, round(seconds * RATE))


def phrase(start: float, length: float, **changes: object) -> Phrase:
    made = Phrase(Stretch(start, start + length), snr_db=30.0, clipped_share=0.0, music=0.5)
    return replace(made, **changes)  # type: ignore[arg-type]


def probabilities(*parts: tuple[float, float]) -> np.ndarray:
    return np.concatenate([np.full(round(s / FRAME_S), value, np.float32) for s, value in parts])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("piece", [1, 10, 319, 320, 641, 4000])
def test_levels_are_the_same_in_pieces_of_any_length(channels: int, piece: int) -> None:
    # A piece shorter than a step is the usual end of a recording, and some are shorter than a step in all.
    for length in (1, 100, 320, 1601):
        samples = loud_noise(0.3)[: length * channels].reshape(length, channels)
        whole, found = measured(samples, piece=length), measured(samples, piece=piece)
        assert found.waveform() == whole.waveform()
        assert (found.peak, found.duration_s) == (whole.peak, whole.duration_s)


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"speech_s": 4.0}, "short", "warning"),
        ({"speech_s": 7.0}, "short", "info"),
        ({"clipped_fraction": 1e-3, "is_clipped_in_use": True}, "clipping", "warning"),
        ({"clipped_fraction": 2e-4, "is_clipped_in_use": True}, "clipping", "info"),
        ({"clipped_fraction": 1e-2}, "clipping", "info"),
        ({"crest_db": 7.0}, "clipping", "warning"),
        ({"snr_db": 9.0}, "noisy", "warning"),
        ({"snr_db": 17.0}, "noisy", "info"),
        ({"bandwidth_hz": 3400}, "narrow_band", "warning"),
        ({"bandwidth_hz": 5600}, "narrow_band", "info"),
        ({"music_score": 3.0}, "music", "warning"),
        ({"music_score_of_all": 3.0}, "music", "warning"),
        ({"has_second_speaker": True}, "second_speaker", "warning"),
        ({"loudness_lufs": -50.0}, "quiet", "warning"),
        ({"duration_s": 90.0}, "long", "info"),
        ({"duration_s": 600.0, "is_cut": True}, "long", "info"),
        ({"is_inverted": True}, "phase", "info"),
    ],
)
def test_each_fault_has_its_finding(changes: dict[str, float], code: str, severity: str) -> None:
    (finding,) = findings(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.message.endswith(".")
    assert finding.fix.endswith(".")
    assert set(finding.as_json()) == {"code", "severity", "message", "fix"}


def test_a_good_recording_has_none_and_a_bad_one_has_them_in_order() -> None:
    assert findings(GOOD) == []
    bad = Figures(90.0, 4.0, 4.0, 0.01, True, 15.0, 5.0, 3000, 3.0, 3.0, True, -50.0, True, False)
    assert tuple(finding.code for finding in findings(bad)) == FINDING_CODES


def test_the_page_on_speech_explains_every_finding_with_its_thresholds() -> None:
    text = (ROOT / "docs" / "speech.md").read_text("utf-8")
    section = text[text.index("### `voice_enrol`") :]
    rows = dict(re.findall(r"^\| `(\w+)` \|(.+)\|$", section[: section.index("\n## ")], re.MULTILINE))
    assert tuple(rows) == FINDING_CODES
    from workers.speech.enrol import findings as held
    from workers.speech.enrol import speakers

    told = {
        code: {float(number) for number in re.findall(r"[<≥>] (-?[\d.]+)", row)} for code, row in rows.items()
    }
    assert told["short"] == {held.SHORT_INFO_S, held.SHORT_WARNING_S}
    assert told["clipping"] == {
        100 * held.CLIPPING_INFO, 100 * held.CLIPPING_WARNING, held.CREST_WARNING_DB
    }  # fmt: skip
    assert told["noisy"] == {held.SNR_INFO_DB, held.SNR_WARNING_DB}
    assert told["narrow_band"] == {held.NARROW_INFO_HZ, held.NARROW_WARNING_HZ}
    assert told["music"] == {held.MUSIC_WARNING}
    assert told["second_speaker"] == {speakers.TWO_VOICES_BELOW}
    assert told["quiet"] == {held.QUIET_WARNING_LUFS}
    assert told["long"] == {held.LONG_S}


def test_three_seconds_less_what_a_detector_misses_are_enough() -> None:
    assert is_long_enough(2.85)
    assert not is_long_enough(2.7)


def test_a_ceiling_is_found_wherever_it_lies() -> None:
    sound = loud_noise()
    assert measured(sound).ceiling is None
    for level in (1.0, 0.3):
        levels = measured(np.clip(sound * 4, -1, 1) * level)
        assert levels.ceiling == pytest.approx(level, rel=0.01)
        assert 0.001 < levels.clipped_fraction < 0.1
        assert levels.clipped_share(0.0, 4.0) > 0


def test_a_peak_at_full_scale_is_no_clipping() -> None:
    sound = loud_noise()
    assert measured(sound / np.abs(sound).max()).clipped_fraction == 0.0


def test_how_a_recording_is_cut_into_pieces_changes_nothing() -> None:
    sound = np.clip(loud_noise() * 4, -1, 1)
    one, many = measured(sound, len(sound)), measured(sound, 777)
    assert (one.clipped_fraction, one.peak, one.waveform()) == (
        many.clipped_fraction,
        many.peak,
        many.waveform(),
    )


def test_which_channel_is_used() -> None:
    sound = loud_noise()
    both = measured(np.stack([sound, sound], axis=1))
    assert both.mix.left == both.mix.right > 0
    assert not both.is_inverted
    inverted = measured(np.stack([0.5 * sound, -sound], axis=1))
    assert inverted.is_inverted
    assert inverted.mix.left == 0 < inverted.mix.right
    one = measured(np.stack([sound, 0 * sound], axis=1))
    assert one.mix.right == 0 < one.mix.left
    assert not one.is_inverted


def test_silence_has_no_level_and_no_ceiling() -> None:
    levels = measured(np.zeros(RATE))
    assert (levels.peak, levels.clipped_fraction, max(levels.waveform())) == (0.0, 0.0, 0.0)


def test_bandwidth_and_crest() -> None:
    rng = np.random.default_rng(2)
    spectrum = np.fft.rfft(rng.standard_normal(4 * RATE))
    frequencies = np.fft.rfftfreq(4 * RATE, 1 / RATE)
    for edge in (3400, 6000):
        sound = np.fft.irfft(np.where(frequencies < edge, spectrum, 0)).astype(np.float32)
        assert bandwidth_hz(sound, RATE) == pytest.approx(edge, abs=150)
    assert bandwidth_hz(np.zeros(RATE, np.float32), RATE) == 0
    square = np.sign(np.sin(np.arange(RATE) * 0.1)).astype(np.float32)
    assert crest_db(square) == pytest.approx(0.0, abs=0.1)
    assert crest_db(loud_noise().astype(np.float32)) > 12


def test_notes_that_stay_are_music_and_gliding_tones_are_not() -> None:
    time = np.arange(8 * RATE) / RATE
    notes = sum(np.sin(2 * np.pi * f * time) for f in (660.0, 880.0, 1320.0, 1760.0, 2200.0)) / 7
    pitch = 120.0 + 80.0 * ((1.3 * time) % 1.0)
    glide = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / RATE) / k for k in range(1, 20)) / 4
    scores = {}
    for name, sound in (("notes", notes), ("glide", glide)):
        meter = MusicMeter()
        for start in range(0, len(sound), 5000):
            meter.feed(sound[start : start + 5000].astype(np.float32))
        scores[name] = score_between(meter.close(), 0.0, 8.0)
    assert is_musical(scores["notes"])
    assert not is_musical(scores["glide"])


def test_speech_over_noise() -> None:
    heard = probabilities((2, 0.01), (2, 0.99), (2, 0.01))
    powers = np.where(heard > 0.5, 101.0, 1.0).astype(np.float32)
    noise = noise_power(powers, heard)
    assert noise == 1.0
    assert snr_db(powers, heard, noise) == pytest.approx(20.0)


def test_stretches_bridge_short_pauses_and_leave_out_clicks() -> None:
    heard = probabilities((1, 0.0), (1, 0.9), (0.2, 0.1), (1, 0.9), (1, 0.0), (0.064, 0.9), (1, 0.0))
    (only,) = stretches(heard, bridge_s=0.3, total_s=9.0)
    assert only.start_s == pytest.approx(1.0, abs=0.05)
    assert only.end_s == pytest.approx(3.2, abs=0.08)
    assert len(stretches(heard, bridge_s=0.05, total_s=9.0)) == 2


def test_somebody_who_does_not_pause_is_cut_where_the_voice_is_weakest() -> None:
    heard = probabilities((7, 0.99), (0.064, 0.6), (7, 0.99))
    parts = cut_long([Stretch(0.0, 14.0)], heard)
    assert [round(part.length_s) for part in parts] == [7, 7]
    assert parts[0].end_s == parts[1].start_s == pytest.approx(7.03, abs=0.1)


def test_everything_is_used_when_it_fits_even_when_it_is_bad() -> None:
    phrases = [phrase(0, 4, clipped_share=0.9), phrase(5, 3), phrase(9, 2, music=3.0)]
    assert choose(phrases, is_musical=is_musical) == phrases


def test_faults_are_left_out_while_enough_remains() -> None:
    good = [phrase(start, 4) for start in (0, 10, 20)]
    bad = [phrase(5, 4, music=3.0), phrase(15, 4, clipped_share=0.5), phrase(25, 4, is_main_voice=False)]
    noisy = phrase(30, 4, snr_db=10.0)
    everything = sorted([*good, *bad, noisy], key=lambda one: one.stretch.start_s)
    assert choose(everything, is_musical=is_musical) == good


def test_no_more_than_thirty_seconds_are_used_and_the_best_of_them() -> None:
    phrases = [phrase(5 * n, 4.0, snr_db=40.0 if 10 <= n < 17 else 30.0) for n in range(30)]
    used = choose(phrases, is_musical=is_musical)
    assert used == phrases[10:17]
    cuts = spans(used, 200.0)
    assert sum(cut.length_s for cut in cuts) <= MAX_USED_S
    assert all(before.end_s < after.start_s for before, after in pairwise(cuts))


def test_short_pauses_stay_as_they_are() -> None:
    (cut,) = spans([phrase(1, 2), phrase(3.4, 2)], 10.0)
    assert (cut.start_s, cut.end_s) == (pytest.approx(0.88), pytest.approx(5.52))


def test_of_a_long_recording_every_part_is_heard() -> None:
    heard = worth_hearing([phrase(3 * n, 2.5) for n in range(200)], 600.0)
    assert sum(one.cost_s for one in heard) <= 60.0
    assert {int(one.stretch.start_s // 100) for one in heard} == set(range(6))


def test_nothing_to_choose_from_is_nothing() -> None:
    assert best_run([], 30.0) == []
