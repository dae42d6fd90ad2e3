"""Which language a text is in, and how long it takes to speak."""

from __future__ import annotations

import pytest

from backend.services.script_language import (
    CHARS_PER_S,
    estimated_s,
    is_written_in,
    language_for,
    length_for,
    spoken_length,
)

EN = (
    "Tea is a quiet drink. It asks for time and gives it back, and that is why so many people love it. "
    "Try a cup this afternoon."
)
ZH = "茶是一种安静的饮料。它要你花时间，也会把时间还给你。今天下午，试着泡一杯 Green Tea 吧。"
JA = "お茶は静かな飲み物です。時間をかけるほど、味わいが深くなります。午後に一杯いかがですか。"
FR = "Le thé est une boisson calme. Il demande du temps et vous le rend, et pour cela beaucoup de gens le boivent chaque jour."
KO = "차는 조용한 음료입니다. 시간을 들일수록 맛이 깊어집니다."
RU = "Чай — тихий напиток. Он просит времени и возвращает его."


@pytest.mark.parametrize("text", [EN, ZH, JA, FR, KO, RU, "", "123 456", "🍵"])
def test_a_text_is_in_one_of_our_languages_or_in_none(text: str) -> None:
    expected = {EN: {"en"}, ZH: {"zh"}, JA: {"ja"}}.get(text, set())
    assert {language for language in ("zh", "en", "ja") if is_written_in(text, language)} == expected


@pytest.mark.parametrize(
    ("topic", "language"),
    [
        ("green tea", "en"),
        ("绿茶的好处", "zh"),
        ("緑茶の良さ", "ja"),
        ("iPhone 17 发布会", "zh"),
        ("the meaning of 茶", "en"),
        ("用英文介绍故宫", "en"),
        ("用英语写一段关于长城的介绍", "en"),
        ("Introduce the Forbidden City in Chinese", "zh"),
        ("富士山について英語で紹介して", "en"),
        ("Mount Fuji, in Japanese please", "ja"),
        ("2026", "en"),
    ],
)
def test_the_language_is_the_one_named_or_the_topics_own(topic: str, language: str) -> None:
    assert language_for(topic) == language


@pytest.mark.parametrize("language", ["zh", "en", "ja"])
def test_seconds_become_characters_and_back(language: str) -> None:
    assert language in CHARS_PER_S
    for seconds in (5, 30, 600):
        length = length_for(seconds, language, 1.0, 100_000)  # type: ignore[arg-type]
        assert estimated_s("字" * length, language) == pytest.approx(seconds, abs=0.3)  # type: ignore[arg-type]
        assert length_for(seconds, language, 2.0, 100_000) == pytest.approx(2 * length, abs=2)  # type: ignore[arg-type]


def test_no_time_asks_for_more_than_a_script_may_have() -> None:
    assert length_for(600, "en", 2.0, 1000) == 900
    assert length_for(5, "zh", 1.0, 1) == 1


def test_white_space_takes_time_in_english_only() -> None:
    assert spoken_length("a b c", "en") == 5
    assert spoken_length("你 好\n吗", "zh") == 3
