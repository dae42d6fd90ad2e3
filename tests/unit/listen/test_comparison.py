"""What is understood, what is missing and what is only written in another way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from workers.listen.comparison import LIMIT, Word, align, compare, sounds_of, without_repeats
from workers.speech.text.front import Reader
from workers.speech.text.language import Language

ASSETS = Path(__file__).resolve().parents[3] / "assets"

Judge = Callable[[Language, str, str], tuple[float, tuple[str, ...], bool]]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """A sentence and what was heard -> the verdict, with the product's own front ends on both sides."""
    reader = Reader(ASSETS / "g2p")

    def compared(language: Language, text: str, heard: str) -> tuple[float, tuple[str, ...], bool]:
        words = [
            Word(text[unit.start : unit.end], sounds_of(unit.phonemes))
            for unit in reader.read(text, language)
            if unit.is_word
        ]
        units = reader.read(heard, language)
        verdict = compare(words, "".join(sounds_of(unit.phonemes) for unit in units if unit.is_word))
        return verdict.error, verdict.missing, verdict.ok

    return compared


@pytest.mark.parametrize(
    ("language", "text", "heard"),
    [
        ("en", "In 2026, more than 60% were new.", "In twenty twenty-six more than sixty percent were new"),
        ("en", "She paid $25 for two tickets.", "she paid 25 dollars for 2 tickets"),
        ("en", "Please check out the colour of the sea.", "Please checkout the color of the see."),
        ("en", "It's their house.", "Its there house"),
        ("zh", "请上传一张清晰的照片。", "請上傳一張清晰的照片"),
        ("zh", "他在银行工作了350天。", "她在银行工作了三百五十天"),
        ("zh", "利润增长了12.5%。", "利润增长了百分之十二点五"),
        ("zh", "课程一共有8节课。", "课成一共有八节课"),
        ("ja", "会議は3月5日に始まります。", "会議は三月五日に始まります"),
    ],
)
def test_another_way_of_writing_the_same_sounds_is_no_error(
    judge: Judge, language: Language, text: str, heard: str
) -> None:
    assert judge(language, text, heard) == (0.0, (), True)


@pytest.mark.parametrize(
    ("language", "text", "heard", "missing"),
    [
        ("en", "Do not open the window while the machine is running.", "Do not open the while the machine is running.", "window"),
        ("en", "Please upload a clear photo to begin.", "Please upload a clear banana to begin.", "photo"),
        ("zh", "机器正在工作的时候，千万不要打开窗户。", "机器正在工作的时候打开窗户", "千万"),
        ("zh", "感谢您的观看，我们下次再见。", "感谢您的观看，我们下次", "再见"),
        ("ja", "写真をアップロードして、ボタンを押してください。", "写真をアップロードして押してください", "ボタン"),
    ],
)  # fmt: skip
def test_a_swallowed_or_wrong_word_is_named(
    judge: Judge, language: Language, text: str, heard: str, missing: str
) -> None:
    error, words, ok = judge(language, text, heard)
    assert not ok
    assert error > 0
    assert missing in "".join(words)


def test_a_long_sentence_that_lost_one_word_is_doubtful(judge: Judge) -> None:
    """Cut out of real speech: what Whisper base wrote for it."""
    text = "Scientists found that plants can sense light, heat and even touch."
    heard = "Scientists found that plants can sense heat and even touch."
    error, missing, ok = judge("en", text, heard)
    assert (missing, ok) == (("light",), False)
    assert error < LIMIT


def test_a_lost_article_is_not_worth_another_take(judge: Judge) -> None:
    text = "Do not open a window while the machine is running."
    assert judge("en", text, "Do not open window while the machine is running.")[2]


def test_one_misheard_word_of_a_greeting_is_not_worth_another_take(judge: Judge) -> None:
    assert judge("en", "Hello, dear team.", "Hello, bear team.")[2]


def test_nothing_heard_is_everything_missing(judge: Judge) -> None:
    assert judge("en", "Birds sing.", "") == (1.0, ("Birds", "sing"), False)


def test_words_that_were_not_written_are_an_error(judge: Judge) -> None:
    error, missing, ok = judge(
        "en", "The sky is blue today.", "The sky is blue today subscribe to my channel"
    )
    assert (missing, ok) == ((), False)
    assert error > LIMIT


def test_a_recogniser_that_repeats_itself_is_not_the_speakers_fault(judge: Judge) -> None:
    heard = "Thank you for watching" + " for watching" * 9
    assert judge("en", "Thank you for watching.", heard) == (0.0, (), True)


def test_a_repetition_of_the_script_itself_is_kept() -> None:
    assert without_repeats("jɛsjɛsjɛs", "jɛsjɛsjɛs") == "jɛsjɛsjɛs"


def test_an_alignment_finds_the_cheapest_way() -> None:
    assert align("abcd", "abXcd") == ([True] * 4, 1)
    assert align("abcd", "ad") == ([True, False, False, True], 0)
    assert align("", "ab") == ([], 2)
    assert align("ab", "") == ([False, False], 0)


def test_a_sentence_without_sounds_is_never_doubtful() -> None:
    verdict = compare([Word("…", "")], "abc")
    assert (verdict.error, verdict.ok) == (0.0, True)
