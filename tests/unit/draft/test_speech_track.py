"""From sounds to mouths: every symbol has one, lips shut where they must, and pauses are silent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.draft.conftest import ASSETS, spell, voiced, write_timings, write_wav
from workers.draft import mouth_track, phonemes, viseme_net, visemes
from workers.draft.audio_features import AudioFeatures, features_of, read_features
from workers.draft.phonemes import Segment
from workers.draft.sessions import Models
from workers.handler import TaskError

FPS = 25


def features(seconds: float) -> AudioFeatures:
    return features_of(voiced(seconds, rate=16_000).astype(np.float32))


def frame_of(seconds: float) -> int:
    return round((seconds - mouth_track.LEAD_S) * FPS)


def rows_of(symbols: list[tuple[str, float, float]], seconds: float) -> NDArray[np.float32]:
    return mouth_track.from_segments(phonemes.segments_of(symbols), features(seconds), FPS)


def test_every_symbol_of_the_synthesiser_has_a_mouth_or_is_a_known_mark() -> None:
    vocabulary = json.loads((ASSETS / "g2p" / "kokoro_vocab.json").read_text(encoding="utf-8"))
    assert len(vocabulary) > 100
    marks = visemes.MODIFIERS | visemes.STRESS
    for symbol in vocabulary:
        known = visemes.visemes_of(symbol)
        assert known is not None or symbol in marks, f"{symbol!r} has no mouth"
        for name in known or ():
            assert name in visemes.SHAPES


def test_the_table_agrees_with_the_order_of_the_nets_outputs() -> None:
    assert set(visemes.VISEMES) == set(visemes.SHAPES)
    assert visemes.TARGETS.shape == (15, len(visemes.CHANNELS))
    assert visemes.VISEMES[0] == "sil"
    assert visemes.VISEMES[1] == "PP"


@pytest.mark.parametrize("symbol", ["p", "b", "m"])
@pytest.mark.parametrize("length_s", [0.03, 0.05, 0.1])
@pytest.mark.parametrize("phase", [0.0, 0.013, 0.027])
def test_lips_are_shut_on_a_bilabial_however_short_it_is(symbol: str, length_s: float, phase: float) -> None:
    start = 0.4 + phase
    rows = rows_of([("ɑ", 0.1, start), (symbol, start, start + length_s), ("ɑ", start + length_s, 1.0)], 1.2)
    middle = frame_of(start + length_s / 2)
    assert rows[middle, visemes.OPEN] == 0
    assert rows[middle, visemes.PRESS] > 0.5
    assert rows[middle - 4, visemes.OPEN] > 0.15
    assert rows[middle + 4, visemes.OPEN] > 0.15


def test_open_vowels_open_wider_than_close_ones_and_round_ones_round() -> None:
    rows = rows_of(spell("ɑiuɔ", each_s=0.3), 1.8)
    ah, ee, oo, aw = (rows[frame_of(0.3 + 0.3 * k + 0.15)] for k in range(4))
    assert ah[visemes.OPEN] > aw[visemes.OPEN] > ee[visemes.OPEN] > 0.04
    assert ee[visemes.SPREAD] > 0.4
    assert oo[visemes.PUCKER] > 0.7
    assert ah[visemes.PUCKER] < 0.15


def test_the_mouth_is_shut_before_after_and_in_a_pause() -> None:
    symbols = [*spell("ɑtɑ", 0.15, 0.5), (".", 0.95, 1.75), *spell("ɑtɑ", 0.15, 1.75)]
    rows = rows_of(symbols, 3.0)
    for quiet in (0.1, 0.2, 1.35, 1.45, 2.7, 2.9):
        assert rows[frame_of(quiet), visemes.OPEN] < 0.01, quiet


def test_a_short_gap_between_words_does_not_shut_the_mouth() -> None:
    rows = rows_of([("ɑ", 0.2, 0.5), (" ", 0.5, 0.56), ("ɑ", 0.56, 0.9)], 1.1)
    assert rows[frame_of(0.53), visemes.OPEN] > 0.12


@pytest.mark.parametrize("pause_s", [0.3, 0.5, 1.5])
@pytest.mark.parametrize("sound", ["ɑ", "u", "ʃ"])
def test_the_mouth_shuts_in_a_pause_between_sentences_that_has_no_phoneme(pause_s: float, sound: str) -> None:
    second = 1.0 + pause_s
    symbols = [
        ("ɑ", 0.3, 0.7),
        (sound, 0.7, 1.0),
        (" ", second, second + 0.018),
        ("ɑ", second + 0.018, second + 0.4),
    ]
    rows = rows_of(symbols, second + 0.8)
    first_shut, last_shut = int(np.ceil(1.12 * FPS)), int((second - 0.12) * FPS)
    for frame in range(first_shut, last_shut + 1):
        assert rows[frame, visemes.OPEN] < 0.01, frame / FPS
        assert rows[frame, visemes.PUCKER] < 0.02, frame / FPS
    assert rows[frame_of(second + 0.2), visemes.OPEN] > 0.15


def test_a_sound_is_not_stretched_over_the_pause_after_it() -> None:
    segments = phonemes.segments_of([("ɑ", 0.0, 0.4), (" ", 1.9, 1.918), ("m", 1.918, 2.0)])
    assert segments == [Segment("aa", 0.0, 0.4), Segment("sil", 0.4, 1.918), Segment("PP", 1.918, 2.0)]


@pytest.mark.parametrize("seconds", [1.0, 1.013, 1.03])
@pytest.mark.parametrize("fps", [10, 25, 30])
def test_the_video_ends_on_a_shut_mouth_even_on_a_vowel(seconds: float, fps: int) -> None:
    segments = phonemes.segments_of([("ɑ", 0.2, seconds)])
    rows = mouth_track.from_segments(segments, features(seconds), fps)
    assert rows[-1, visemes.OPEN] < 0.01
    assert rows[round(0.6 * fps), visemes.OPEN] > 0.2


def test_a_silent_recording_shuts_the_mouth_whatever_the_phonemes_say() -> None:
    sound = np.concatenate([voiced(0.8, 16_000), np.zeros(4_000), voiced(0.8, 16_000), np.zeros(3_200)])
    sound += np.random.default_rng(0).normal(0, 1e-4, len(sound))
    heard = features_of(sound.astype(np.float32))
    rows = mouth_track.from_segments(phonemes.segments_of([("ɑ", 0.0, 2.05)]), heard, FPS)
    for quiet in (0.92, 0.96, 1.96, 2.0):
        assert rows[round(quiet * FPS), visemes.OPEN] < 0.02, quiet
    for loud in (0.4, 0.7, 1.2, 1.7):
        assert rows[round(loud * FPS), visemes.OPEN] > 0.2, loud


def test_soft_consonants_and_the_holds_of_stops_do_not_shut_the_mouth() -> None:
    rng = np.random.default_rng(0)
    hiss = np.diff(rng.normal(0, 0.004, 3_201))
    sound = np.concatenate(
        [voiced(0.6, 16_000), hiss, voiced(0.4, 16_000), np.zeros(1_280), voiced(0.6, 16_000)]
    )
    heard = features_of((sound + rng.normal(0, 1e-5, len(sound))).astype(np.float32))
    symbols = [("ɑ", 0.0, 0.6), ("s", 0.6, 0.8), ("ɑ", 0.8, 1.2), ("k", 1.2, 1.28), ("ɑ", 1.28, 1.88)]
    rows = mouth_track.from_segments(phonemes.segments_of(symbols), heard, FPS)
    assert rows[round(0.7 * FPS), visemes.OPEN] > 0.03
    assert rows[round(0.7 * FPS), visemes.SPREAD] > 0.2
    assert rows[round(1.24 * FPS), visemes.OPEN] > 0.08


def test_marks_lengthen_their_sound_and_stress_waits_for_its_own() -> None:
    segments = phonemes.segments_of([("ɑ", 0.0, 0.1), ("ː", 0.1, 0.2), ("ˈ", 0.2, 0.3), ("m", 0.3, 0.4)])
    assert segments == [Segment("aa", 0.0, 0.2), Segment("PP", 0.2, 0.4)]


def test_a_diphthong_moves_from_one_mouth_to_another() -> None:
    assert [s.viseme for s in phonemes.segments_of([("O", 0.0, 0.2)])] == ["O", "U"]


def test_frames_cover_the_audio_and_no_more(tmp_path: Path, ffmpeg_path: str) -> None:
    for samples, frames in ((24_000, 25), (24_001, 26), (24_960, 26), (25_000, 27), (480, 1)):
        wav = write_wav(tmp_path / "speech.wav", voiced(samples / 24_000)[:samples])
        read = read_features(ffmpeg_path, wav, lambda: None)
        assert read.frame_count(FPS) == frames
        assert len(mouth_track.from_segments([], read, FPS)) == frames


def test_features_do_not_depend_on_how_the_stream_is_cut() -> None:
    samples = voiced(2.3, rate=16_000).astype(np.float32)
    whole = features_of(samples)
    assert whole.samples == len(samples)
    assert len(whole.loudness) == len(whole.log_mel) >= 230
    assert np.isfinite(whole.log_mel).all()


def test_digital_silence_is_no_speech(models: Models) -> None:
    quiet = features_of(np.zeros(32_000, np.float32))
    rows = mouth_track.from_posteriors(viseme_net.posteriors(models.viseme_weights, quiet), quiet, FPS)
    assert rows[:, visemes.OPEN].max() < 0.005


def test_without_phonemes_the_net_opens_the_mouth_for_a_voice_and_shuts_it_after(models: Models) -> None:
    sound = np.concatenate([np.zeros(16_000), voiced(1.0, rate=16_000), np.zeros(16_000)]).astype(np.float32)
    sound += np.random.default_rng(0).normal(0, 1e-4, len(sound)).astype(np.float32)
    heard = features_of(sound)
    posteriors = viseme_net.posteriors(models.viseme_weights, heard)
    assert np.allclose(posteriors.sum(axis=1), 1, atol=1e-4)
    rows = mouth_track.from_posteriors(posteriors, heard, FPS)
    assert rows[30:45, visemes.OPEN].mean() > 0.03
    assert rows[:18, visemes.OPEN].max() < 0.02
    assert rows[58:, visemes.OPEN].max() < 0.02


def test_timings_give_segments_and_broken_ones_give_none(tmp_path: Path) -> None:
    good = write_timings(tmp_path / "timings.json", spell("pɑ"))
    assert [s.viseme for s in phonemes.read_segments(good)] == ["sil", "PP", "aa"]
    for content in ("", "[]", "{}", '{"sentences": [{"phonemes": [{"symbol": "a"}]}]}', "not json"):
        bad = tmp_path / "bad.json"
        bad.write_text(content, encoding="utf-8")
        assert phonemes.read_segments(bad) == []
    assert phonemes.read_segments(tmp_path / "absent.json") == []


def test_a_sentence_without_phonemes_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "timings.json"
    path.write_text('{"version": 1, "sentences": [{"index": 0, "text": "x"}]}', encoding="utf-8")
    assert phonemes.read_segments(path) == []


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_no_audio_is_unreadable(tmp_path: Path, ffmpeg_path: str, content: bytes) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    with pytest.raises(TaskError) as caught:
        read_features(ffmpeg_path, path, lambda: None)
    assert caught.value.code == "audio_unreadable"
    assert str(tmp_path) not in caught.value.message


def test_a_playlist_dressed_as_a_wav_is_not_followed(tmp_path: Path, ffmpeg_path: str) -> None:
    write_wav(tmp_path / "secret.wav", voiced(0.5))
    playlist = tmp_path / "speech.wav"
    playlist.write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'secret.wav'}'\n", encoding="utf-8")
    with pytest.raises(TaskError) as caught:
        read_features(ffmpeg_path, playlist, lambda: None)
    assert caught.value.code == "audio_unreadable"
