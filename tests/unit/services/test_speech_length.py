"""How long a text takes to speak: the paces that were measured, and what marks, names and settings change."""

from __future__ import annotations

import pytest

from backend.services.script_language import estimated_s
from backend.services.speech_length import speech_seconds

EN = "The weather was fine. We went for a walk along the river, and it was good."
ZH = "今天天气很好。我们去公园散步，大家都很高兴。"
JA = "今日は天気がいいです。公園を散歩しました。"


@pytest.mark.parametrize(("text", "language"), [(EN, "en"), (ZH, "zh"), (JA, "ja")])
def test_plain_text_takes_what_was_measured_for_its_language(text: str, language: str) -> None:
    assert speech_seconds(text, language) == estimated_s(text, language)  # type: ignore[arg-type]


def test_twice_the_speed_takes_half_the_time() -> None:
    assert speech_seconds(EN, "en", speed=2.0) == pytest.approx(speech_seconds(EN, "en") / 2, abs=0.1)


def test_longer_pauses_count_between_sentences_only() -> None:
    assert speech_seconds(ZH, "zh", pause_ms=2300) == pytest.approx(speech_seconds(ZH, "zh") + 2.0)
    assert speech_seconds("一句话", "zh", pause_ms=5000) == speech_seconds("一句话", "zh")


@pytest.mark.parametrize(
    ("mark", "seconds"),
    [
        ("[pause 2s]", 2.0),
        ("[pause 1500ms]", 1.5),
        ("[停顿3秒]", 3.0),
        ("[pause]", 0.5),
        ("[pause 99s]", 10.0),
    ],
)
def test_a_pause_that_is_written_is_silence(mark: str, seconds: float) -> None:
    assert speech_seconds(f"你好{mark}世界", "zh") == pytest.approx(
        speech_seconds("你好世界", "zh") + seconds
    )


def test_written_pauses_have_a_bound() -> None:
    assert speech_seconds("好" + "[pause 10s]" * 500, "zh") == pytest.approx(600.2)


def test_a_speed_that_is_written_holds_until_it_ends() -> None:
    text = "你好世界" * 10
    assert speech_seconds(f"[speed 0.5]{text}[/speed]{text}", "zh") == pytest.approx(24.0)
    assert speech_seconds(f"[语速0.1]{text}", "zh") == pytest.approx(16.0), "never slower than half"


def test_readings_and_names_of_speakers_are_not_spoken() -> None:
    assert speech_seconds("长[zhang3]大", "zh") == speech_seconds("长大", "zh")
    talk = "A: Hello there.\n小明：Hello again."
    assert speech_seconds(talk, "en", speakers=("A", "小明")) == speech_seconds(
        " Hello there.\n Hello again.", "en"
    )


def test_words_of_another_script_have_the_pace_of_theirs() -> None:
    mixed = speech_seconds("我们用 artificial intelligence 写稿", "zh")
    assert (
        speech_seconds("我们用写稿", "zh")
        < mixed
        < speech_seconds("我们用一二三四五六七八九十一二三四写稿", "zh")
    )
    assert speech_seconds("", "en") == 0.0


def test_a_text_of_full_length_with_many_brackets_is_read_in_one_pass() -> None:
    assert speech_seconds("[" * 10_000, "zh") == pytest.approx(2000.0)
