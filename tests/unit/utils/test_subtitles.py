"""Cues: what stands together, on which line, and when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.subtitle_text import CJK_LIMIT, LATIN_LIMIT, clean_text, line_limit, width
from backend.utils.subtitles import (
    MAX_CUE_MS,
    MIN_CUE_MS,
    Cue,
    Sentence,
    Timings,
    Word,
    build_cues,
    load_timings,
)


def _sentence(text: str, start_s: float, end_s: float, *words: tuple[str, float, float]) -> Sentence:
    return Sentence(text, start_s, end_s, tuple(Word(*word) for word in words))


def _cues(text: str, seconds: float, *words: tuple[str, float, float]) -> list[Cue]:
    return build_cues(Timings((_sentence(text, 0.0, seconds, *words),)), total_s=seconds)


def _lines(cues: list[Cue]) -> list[str]:
    return [line for cue in cues for line in cue.lines]


def test_a_short_sentence_is_one_cue_on_one_line() -> None:
    assert _cues("你好，世界。", 2.0) == [Cue(0, 2000, ("你好，世界。",))]


def test_a_sentence_that_fits_on_two_lines_breaks_after_its_clause() -> None:
    cues = _cues("今天我们来看看这个新的工具，它可以让照片开口说话。", 5.0)
    assert [cue.lines for cue in cues] == [("今天我们来看看这个新的工具，", "它可以让照片开口说话。")]


def test_a_long_sentence_becomes_cues_that_end_at_clauses() -> None:
    text = "数字人视频生成并不神秘，首先合成语音，然后让照片动起来，最后再把声音和画面合在一起，整个过程都在自己的电脑上完成。"
    cues = _cues(text, 12.0)
    assert len(cues) >= 2
    assert all(cue.lines[-1][-1] in "，。" for cue in cues)
    assert "".join(_lines(cues)) == text


def test_latin_lines_have_at_most_42_characters_and_break_between_words() -> None:
    text = (
        "This is a rather long English sentence, which has to be broken into several lines, "
        "because nobody can read a hundred and sixty characters at once."
    )
    cues = _cues(text, 10.0)
    lines = _lines(cues)
    assert max(map(len, lines)) <= 42
    assert " ".join(lines) == text


def test_chinese_lines_have_at_most_18_full_width_characters() -> None:
    lines = _lines(_cues("的" * 100, 30.0))
    assert max(map(len, lines)) <= 18
    assert "".join(lines) == "的" * 100


@pytest.mark.parametrize(
    "unit",
    [
        *("2026年", "3.14159", "10:30", "1,234,567", "99.9%", "$19.99", "一百二十三"),
        *("iPhone", "don't", "user@example.com", "C++", "GPT-4", "コンピューター"),
    ],
)
@pytest.mark.parametrize("offset", range(12, 20))
def test_a_number_or_a_word_is_never_split(unit: str, offset: int) -> None:
    text = "的" * offset + unit + "了" * 30
    assert any(unit in line for line in _lines(_cues(text, 20.0)))


@pytest.mark.parametrize("offset", range(14, 19))
def test_a_word_that_the_voice_knows_is_never_split(offset: int) -> None:
    text = "的" * offset + "人工智能" + "了" * 30
    words = (("人工智能", 4.0, 5.0),)
    assert any("人工智能" in line for line in _lines(_cues(text, 20.0, *words)))


def test_no_line_starts_with_closing_punctuation_or_ends_with_an_opening_one() -> None:
    text = "他说：“这个办法很好”，（真的很好），然后《红楼梦》就出版了。" * 4
    for line in _lines(_cues(text, 40.0)):
        assert line[0] not in "，。”）》："
        assert line[-1] not in "“（《"


def test_a_single_word_longer_than_a_line_is_cut_as_the_only_way() -> None:
    lines = _lines(_cues("https://example.com/" + "a" * 200, 10.0))
    assert max(map(len, lines)) <= 42
    assert "".join(lines).endswith("aaa")


def test_cue_times_follow_the_words_that_were_spoken() -> None:
    text = "今天天气真的非常非常好，所以我们一起去公园散步吧，晚上再回家吃一顿丰盛的晚饭。"
    cues = _cues(text, 12.0, ("今天", 0.5, 1.0), ("所以", 6.0, 6.4), ("晚上", 9.0, 9.3), ("晚饭", 11.0, 11.8))
    assert [(cue.start_ms, cue.lines[0][:2]) for cue in cues] == [(500, "今天"), (6000, "所以")]
    assert 5800 < cues[0].end_ms <= 6000


def test_a_number_that_is_read_as_words_does_not_disturb_its_neighbours() -> None:
    text = "会议在2026年11月22日举行，欢迎大家准时参加，地点是北京市朝阳区的国际会议中心。"
    words = [("会议", 0.0, 0.4), ("在", 0.4, 0.6)]
    words += [
        (char, 0.6 + 0.2 * index, 0.8 + 0.2 * index) for index, char in enumerate("二零二六年十一月二十二日")
    ]
    words += [("举行", 3.4, 3.8), ("欢迎", 4.2, 4.6), ("地点", 6.5, 6.9), ("中心", 9.5, 9.9)]
    cues = _cues(text, 10.0, *words)
    assert next(cue for cue in cues if "地点" in cue.lines[0][:2]).start_ms == 6500


def test_sentences_without_words_share_their_time_by_length() -> None:
    text = "第一部分比较短一些，后面的第二部分相比之下就要长得多了，所以它应该占据更多的时间才对。"
    cues = _cues(text, 10.0)
    assert len(cues) >= 2
    assert cues[0].start_ms == 0
    assert cues[-1].end_ms == 10_000
    rates = [(cue.end_ms - cue.start_ms) / sum(map(len, cue.lines)) for cue in cues]
    assert max(rates) / min(rates) < 1.3


def test_two_cues_too_short_to_read_are_shown_together() -> None:
    timings = Timings((_sentence("好。", 0.0, 0.4), _sentence("是的。", 0.5, 1.0)))
    assert build_cues(timings, total_s=1.0) == [Cue(0, 1000, ("好。", "是的。"))]


def test_a_short_cue_before_a_pause_stays_long_enough_to_be_read() -> None:
    timings = Timings((_sentence("好。", 0.0, 0.3), _sentence("我们过一会儿再说吧。", 3.0, 5.0)))
    assert [(cue.start_ms, cue.end_ms) for cue in build_cues(timings, total_s=5.0)] == [
        (0, MIN_CUE_MS),
        (3000, 5000),
    ]


def test_no_speech_gives_no_cues() -> None:
    assert build_cues(Timings(()), total_s=3.0) == []
    assert build_cues(Timings((_sentence(" \n\t", 0.0, 1.0),)), total_s=1.0) == []


def test_control_characters_and_line_breaks_become_spaces() -> None:
    assert clean_text(" a\r\nb\x00\u2028c\ud800\t d ") == "a b c d"


_TEXT = st.text(alphabet="你好世界人工智能，。！？（）“” abcDE019.,%:'<>&{}\\-é🎬あカー\n", max_size=160)


@st.composite
def _timings(draw: st.DrawFn) -> tuple[Timings, float]:
    sentences, at = [], 0.0
    for text in draw(st.lists(_TEXT, max_size=6)):
        at += draw(st.floats(0.0, 1.0))
        end = at + draw(st.floats(0.0, 12.0))
        words = tuple(Word(word, draw(st.floats(0, 60)), draw(st.floats(0, 60))) for word in text.split()[:4])
        sentences.append(Sentence(text, at, end, words))
        at = end
    return Timings(tuple(sentences)), at + draw(st.floats(0.0, 1.0))


@settings(max_examples=150, deadline=None)
@given(_timings())
def test_cues_never_overlap_never_lose_text_and_always_fit(made: tuple[Timings, float]) -> None:
    timings, total_s = made
    cues = build_cues(timings, total_s=total_s)
    before = 0
    for cue in cues:
        assert before <= cue.start_ms < cue.end_ms <= round(total_s * 1000)
        before = cue.end_ms
        assert 1 <= len(cue.lines) <= 2
        for line in cue.lines:
            assert line == line.strip() != ""
            assert width(line, CJK_LIMIT) <= CJK_LIMIT or width(line, LATIN_LIMIT) <= LATIN_LIMIT
    if cues:
        least = min(MIN_CUE_MS, round(total_s * 1000) // len(cues))
        assert min(cue.end_ms - cue.start_ms for cue in cues) >= least
        written = "".join(clean_text(sentence.text) for sentence in timings.sentences)
        assert "".join(_lines(cues)).replace(" ", "") == written.replace(" ", "")


def test_cues_of_ordinary_speech_are_not_longer_than_a_reader_likes() -> None:
    text = (
        "我们先来介绍一下背景，再说明具体的做法，最后给出一些建议，希望对大家有所帮助，谢谢各位的收看和支持。"
    )
    assert all(cue.end_ms - cue.start_ms <= MAX_CUE_MS for cue in _cues(text, 11.0))


def test_the_limit_goes_by_the_script_of_the_sentence() -> None:
    assert line_limit("hello") == LATIN_LIMIT
    assert line_limit("hello 世界") == CJK_LIMIT
    assert line_limit("こんにちは") == CJK_LIMIT


def test_timings_are_read_as_the_contract_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "timings.json"
    document = {
        "version": 1,
        "engine": "kokoro-82m-int8",
        "voice": "zf_xiaobei",
        "language": "zh",
        "duration_s": 1.0,
        "sentences": [
            {
                "index": 0,
                "text": "你好",
                "start_s": 0.1,
                "end_s": 0.9,
                "words": [{"text": "你好", "start_s": 0.1, "end_s": 0.9}],
                "phonemes": [],
            }
        ],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    timings = load_timings(path)
    assert timings == Timings((_sentence("你好", 0.1, 0.9, ("你好", 0.1, 0.9)),), "zh")


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", "null", '{"sentences": 3}', '{"sentences": [{}]}', '{"sentences": ["x"]}'),
        '{"sentences": [{"text": "a", "start_s": "x", "end_s": 1}]}',
        '{"sentences": [{"text": "a", "start_s": NaN, ',
    ],
)
def test_damaged_timings_are_an_engine_fault_with_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "timings.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EngineFailure) as caught:
        load_timings(path)
    assert caught.value.code is ErrorCode.NO_OUTPUT


def test_times_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "timings.json"
    path.write_text('{"sentences": [{"text": "a", "start_s": NaN, "end_s": Infinity}]}', encoding="utf-8")
    with pytest.raises(EngineFailure):
        load_timings(path)


def test_the_first_cue_of_a_turn_names_its_speaker_and_the_next_ones_do_not() -> None:
    sentences = (
        Sentence("Good morning.", 0.0, 1.5, (), 0),
        Sentence("How are you today?", 2.0, 4.0, (), 0),
        Sentence("我很好，谢谢。", 5.0, 7.0, (Word("我很好", 5.2, 6.0),), 1),
        Sentence("Of whom nothing is known.", 8.0, 10.0, (), 7),
    )
    cues = build_cues(Timings(sentences, "en", ("Anna", "小明")), total_s=11.0)
    assert _lines(cues) == [
        "Anna: Good morning.",
        "How are you today?",
        "小明：我很好，谢谢。",
        "Of whom nothing is known.",
    ]
    assert cues[2].start_ms == 5000


def test_names_of_speakers_are_read_from_the_timings(tmp_path: Path) -> None:
    path = tmp_path / "timings.json"
    sentence = {"text": "Hi.", "start_s": 0, "end_s": 1, "speaker": 1}
    document = {
        "sentences": [sentence, {**sentence, "speaker": "x"}],
        "speakers": [{"name": "A"}, {"name": "B"}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    timings = load_timings(path)
    assert timings.speakers == ("A", "B")
    assert [entry.speaker for entry in timings.sentences] == [1, None]
    path.write_text(json.dumps({**document, "speakers": [{"title": "A"}]}), encoding="utf-8")
    with pytest.raises(EngineFailure):
        load_timings(path)
