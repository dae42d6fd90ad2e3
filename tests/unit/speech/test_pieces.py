"""Joining units, timing words, trimming audio, levelling, and growing files."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.speech.kokoro import FRAME_SAMPLES, SAMPLE_RATE, trim
from workers.speech.limiter import PEAK_CEILING, apply_gain
from workers.speech.loudness import integrated_loudness
from workers.speech.text.aligned import Unit
from workers.speech.text.front import Reader
from workers.speech.timings import TimedSymbol, TimingsWriter, words_of
from workers.speech.utterances import NO_OWNER, Phrase, cut, join
from workers.speech.wav import WavWriter


def test_marks_hug_their_words_and_words_are_apart() -> None:
    units = [
        Unit("“", 0, 1, is_word=False),
        Unit("a", 1, 2),
        Unit(",", 2, 3, is_word=False),
        Unit("b", 4, 5),
        Unit("”", 5, 6, is_word=False),
        Unit("c", 7, 8),
        Unit("d", 9, 10, glued=True),
    ]
    assert join(units, lambda _: True).symbols == "“a, b” cd"


def test_symbols_that_the_model_does_not_know_are_left_out() -> None:
    phrase = join([Unit("a☃b", 0, 3)], lambda symbol: symbol != "☃")
    assert phrase.symbols == "ab"
    assert phrase.owners == (0, 0)


@settings(deadline=None)
@given(st.text(alphabet="ab ,.", max_size=300), st.integers(1, 40))
def test_cutting_loses_nothing_and_keeps_the_limit(symbols: str, limit: int) -> None:
    pieces = cut(Phrase(symbols, tuple(range(len(symbols)))), limit)
    assert "".join(piece.symbols for piece in pieces) == symbols
    assert [owner for piece in pieces for owner in piece.owners] == list(range(len(symbols)))
    assert all(1 <= len(piece.symbols) <= limit for piece in pieces)


def _timed(units: list[Unit]) -> list[TimedSymbol]:
    return [TimedSymbol("a", 100 * i, 100 * i + 100, i) for i in range(len(units))]


@pytest.mark.parametrize(
    ("sentence", "language"),
    [
        ("In 2026, “Dr. Smith” paid $5.50 (really)!", "en"),
        ("今天是2026年3月5日，“GPT-4”很好😀。", "zh"),
        ("😀 Hello, see https://example.com/x?y=1 now...", "en"),
        ("会議は3月5日です。", "ja"),
        ("价格¥12.50，增长5%！", "zh"),
    ],
)
def test_the_words_together_show_the_sentence_as_written(
    reader: Reader, sentence: str, language: str
) -> None:
    units = reader.read(sentence, language)  # type: ignore[arg-type]
    words = words_of(sentence, units, _timed(units))
    shown = "".join(word.text for word in words)
    assert shown.replace(" ", "") == sentence.replace(" ", "")
    for word in words:
        assert sentence[word.offset : word.offset + len(word.text)] == word.text
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)


def test_a_number_is_one_word_however_many_words_are_said(reader: Reader) -> None:
    sentence = "Since 2026 we fly."
    units = reader.read(sentence, "en")
    assert [word.text for word in words_of(sentence, units, _timed(units))] == ["Since", "2026", "we", "fly."]


@pytest.mark.parametrize("text", ["😀🎉", "———", "...", "《》", "  ", "\u200b", "🏳️‍🌈 !!"])
@pytest.mark.parametrize("language", ["zh", "en", "ja"])
def test_what_cannot_be_spoken_gives_no_units(reader: Reader, text: str, language: str) -> None:
    assert reader.read(text, language) == []  # type: ignore[arg-type]


@settings(deadline=None)
@given(text=st.text(max_size=60), language=st.sampled_from(["zh", "en", "ja"]))
def test_no_text_whatever_breaks_the_front_ends(reader: Reader, text: str, language: str) -> None:
    units = reader.read(text, language)  # type: ignore[arg-type]
    for unit in units:
        assert 0 <= unit.start < unit.end <= len(text)


def test_trimmed_durations_add_up_to_the_audio() -> None:
    frames = [10, 4, 6, 12]
    audio = np.zeros(sum(frames) * FRAME_SAMPLES, np.float32)
    audio[8 * FRAME_SAMPLES : 18 * FRAME_SAMPLES] = 0.5
    clip = trim(audio, [count * FRAME_SAMPLES for count in frames])
    assert sum(clip.token_samples) == len(clip.samples) < len(audio)
    assert min(clip.token_samples) >= 0
    assert clip.samples[0] == 0.0
    assert clip.samples[-1] == 0.0


def test_silence_alone_is_kept_whole() -> None:
    clip = trim(np.zeros(3000, np.float32), [1200, 1200, 600])
    assert len(clip.samples) == 3000 == sum(clip.token_samples)


@settings(deadline=None)
@given(st.floats(-12, 24), st.integers(1, 6000))
def test_no_peak_passes_the_ceiling(gain_db: float, length: int) -> None:
    rng = np.random.default_rng(length)
    samples = (rng.standard_normal(length) * 0.2).clip(-1, 1).astype(np.float32)
    out = apply_gain(samples, gain_db)
    assert len(out) == length
    assert float(np.abs(out).max()) <= PEAK_CEILING + 1e-6


def test_gain_below_the_ceiling_is_exact() -> None:
    samples = np.full(1000, 0.1, np.float32)
    assert np.allclose(apply_gain(samples, 6.0206), 0.2, atol=1e-4)


def test_a_full_scale_sine_measures_as_the_standard_says() -> None:
    # BS.1770: a 997 Hz sine at full scale in one channel is -3.01 LUFS.
    time = np.arange(48_000 * 5) / 48_000
    sine = np.sin(2 * np.pi * 997 * time).astype(np.float32)
    assert integrated_loudness(sine, 48_000) == pytest.approx(-3.01, abs=0.02)
    assert integrated_loudness(np.zeros(48_000, np.float32), 48_000) == float("-inf")


def test_files_grow_sentence_by_sentence(tmp_path: Path) -> None:
    unit = Unit("a", 0, 2)
    with (
        WavWriter(tmp_path / "a.wav") as wav,
        TimingsWriter(tmp_path / "t.json", sample_rate=SAMPLE_RATE, head={"engine": "x"}) as timings,
    ):
        for number in range(3):
            start = wav.samples
            wav.write(np.full(2400, 0.5, np.float32))
            wav.silence(1200)
            symbols = [
                TimedSymbol("a", start, start + 2400, 0),
                TimedSymbol(" ", start + 2400, start + 2400, NO_OWNER),
            ]
            timings.add(f"s{number}", [unit], symbols)
        timings.finish(wav.samples)
    with wave.open(str(tmp_path / "a.wav")) as stream:
        assert (stream.getnframes(), stream.getframerate(), stream.getnchannels()) == (10_800, 24_000, 1)
    raw = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert raw["version"] == 1
    assert raw["duration_s"] == pytest.approx(0.45)
    assert [sentence["index"] for sentence in raw["sentences"]] == [0, 1, 2]
    assert raw["sentences"][1]["words"] == [{"text": "s1", "offset": 0, "start_s": 0.15, "end_s": 0.25}]
    assert [phoneme["symbol"] for phoneme in raw["sentences"][0]["phonemes"]] == ["a"]
