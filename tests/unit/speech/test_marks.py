"""Marks in a script do what they say and are never spoken, shown or counted."""

from __future__ import annotations

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from workers.speech.narration import Narration, lines_of
from workers.speech.text import pinyin
from workers.speech.text.front import Reader
from workers.speech.text.given import Lexicon
from workers.speech.text.marks import MAX_ALL_PAUSES_S, MAX_PAUSE_S, Marked, parse
from workers.speech.text.zh import Chinese


def narration_of(script: str, lexicon: Lexicon | None = None) -> Narration:
    marked = parse(script)
    return Narration(marked.text, "zh", False, 1.0, 2400, {}, marked=marked, lexicon=lexicon or Lexicon())


@pytest.mark.parametrize(
    ("written", "syllables"),
    [
        ("zhang3", ["zhang3"]), ("zhǎng", ["zhang3"]), ("chong2 qing4", ["chong2", "qing4"]), ("chóngqìng", ["chong2", "qing4"]),
        ("chong2qing4", ["chong2", "qing4"]), ("lü4", ["lv4"]), ("lv4", ["lv4"]), ("lǜ", ["lv4"]), ("nǚ'ér", ["nv3", "er2"]),
        ("de", ["de5"]), ("ma0", ["ma5"]), ("ZHANG3", ["zhang3"]), ("xī ān", ["xi1", "an1"]), ("ｚｈａｎｇ３", ["zhang3"]),
    ],
)  # fmt: skip
def test_pinyin_is_read_as_people_write_it(written: str, syllables: list[str]) -> None:
    assert pinyin.parse(written) == syllables


@pytest.mark.parametrize(
    "written", ["", "laughs", "1", "zhang9", "zhang", "hello3", "q1", "a3b", "注音", "zhǎ̌ng", "3", "x2"]
)
def test_what_is_no_pinyin_is_refused(written: str) -> None:
    assert pinyin.parse(written) is None


def test_a_reading_belongs_to_the_characters_before_it() -> None:
    marked = parse("他长[zhang3]大了，重庆[chóng qìng]。")
    assert marked.text == "他长大了，重庆。"
    assert [(marked.text[one.start : one.end], one.syllables) for one in marked.given] == [
        ("长", ("zhang3",)),
        ("重庆", ("chong2", "qing4")),
    ]


@pytest.mark.parametrize(
    ("mark", "seconds"),
    [
        ("[pause 0.5s]", 0.5), ("[pause 500ms]", 0.5), ("[停顿0.5秒]", 0.5), ("[停顿 1 秒]", 1.0), ("[pause]", 0.5),
        ("[PAUSE 2]", 2.0), ("[停顿500毫秒]", 0.5), ("[pause 999s]", MAX_PAUSE_S), ("[pause: 1.5 sec]", 1.5),
    ],
)  # fmt: skip
def test_pauses_are_measured_and_bounded(mark: str, seconds: float) -> None:
    marked = parse(f"你好{mark}再见")
    assert (marked.text, marked.pauses) == ("你好再见", [(2, seconds)])
    assert [problem.code for problem in marked.problems] == (["mark_limited"] if "999" in mark else [])


def test_all_pauses_together_are_bounded() -> None:
    marked = parse("好[pause 10s]" * 100)
    assert sum(seconds for _, seconds in marked.pauses) == MAX_ALL_PAUSES_S


@pytest.mark.parametrize(
    "text",
    [
        "[笑]",
        "a[1]",
        "see [note]",
        "数组[0]",
        "[长]",
        "他[zhang3 da4 ren2]",
        "[[x]]",
        "[",
        "]",
        "list[a]",
        "[停顿一会儿]",
    ],
)
def test_what_is_no_mark_stays(text: str) -> None:
    assert parse(text).text == text


def test_a_word_that_looks_like_a_mark_is_named() -> None:
    marked = parse("好[pause soon]好[/speed]")
    assert [problem.code for problem in marked.problems] == ["mark_unknown", "mark_unopened"]


def test_a_pause_inside_a_sentence_cuts_it_and_takes_the_place_of_the_usual_one() -> None:
    narration = narration_of("今天[停顿2秒]天气好。明天[pause 1s]。好[pause 3s]")
    lines = lines_of(narration)
    assert [(line.text, line.pause_s, line.complete) for line in lines] == [
        ("今天", 2.0, False),
        ("天气好。", None, True),
        ("明天。", 1.0, True),
        ("好", 3.0, True),
    ]
    assert narration.pause_after(lines[0]) == 48_000
    assert lines_of(narration_of("[pause 1s]你好。"))[0].lead_s == 1.0


def test_speed_and_pitch_hold_to_their_end_and_are_bounded() -> None:
    lines = lines_of(
        narration_of("一。[语速0.8]二。[音调+2]三。[/语速]四。[/音调]五。[speed 9]六。[pitch -1.5]七。")
    )
    assert [(line.text, line.speed, line.pitch) for line in lines] == [
        ("一。", 1.0, 0.0), ("二。", 0.8, 0.0), ("三。", 0.8, 2.0), ("四。", 1.0, 2.0), ("五。", 1.0, 0.0),
        ("六。", 2.0, 0.0), ("七。", 2.0, -1.5),
    ]  # fmt: skip


@settings(deadline=None)
@examples(st.lists(st.sampled_from([
    "你好", "。", "，", " ", "\n", "3.14", "[pause 0.5s]", "[停顿1秒]", "[语速0.8]", "[/语速]", "[pitch +2]", "长[zhang3]", "[笑]", "[", "]",
    "GPU", "Hello. ", "“", "”", "[pause", "😀",
]), max_size=30))  # fmt: skip
def test_marks_never_crash_and_lines_are_the_text_without_marks(pieces: list[str]) -> None:
    script = "".join(pieces)
    marked = parse(script)
    assert len(marked.origin) == len(marked.text) + 1
    assert all(script[marked.origin[place]] == character for place, character in enumerate(marked.text))
    if not marked.text.strip():
        return
    lines = lines_of(narration_of(script))
    assert all(marked.text[line.start : line.end] == line.text for line in lines)
    assert "".join("".join(line.text for line in lines).split()) == "".join(marked.text.split())


def test_given_pinyin_is_said_exactly(reader: Reader, chinese: Chinese) -> None:
    assert chinese.syllables("长大", given={0: "chang2"})[0].pinyin == "chang2"
    line = lines_of(narration_of("他会长[zhang3]大。"))[0]
    usual = reader.read("他会长大。", "zh")
    given = reader.read(line.text, "zh", given=line.given)
    assert "".join(u.phonemes for u in given) == "".join(u.phonemes for u in usual)
    other = lines_of(narration_of("他会长[chang2]大。"))[0]
    assert "".join(u.phonemes for u in reader.read(other.text, "zh", given=other.given)) != "".join(
        u.phonemes for u in usual
    )


def phonemes(reader: Reader, script: str, lexicon: Lexicon | None = None) -> str:
    return "".join(
        unit.phonemes
        for line in lines_of(narration_of(script, lexicon))
        for unit in reader.read(line.text, line.language, given=line.given)
        if unit.is_word
    )


def test_a_dictionary_reads_names_by_pinyin_or_by_other_words(reader: Reader) -> None:
    lexicon = Lexicon(
        [("单田芳", "shan4 tian2 fang1"), ("Nginx", "engine x"), ("GPU", "jī pì yōu"), ("sql", "sequel")]
    )
    assert phonemes(reader, "单田芳来了。", lexicon) == phonemes(reader, "单[shan4]田芳来了。")
    assert phonemes(reader, "用 Nginx 吧。", lexicon) == phonemes(reader, "用 engine x 吧。")
    assert phonemes(reader, "SQL 很好。", lexicon) == phonemes(reader, "sequel 很好。")
    assert phonemes(reader, "买 GPU 吧。", lexicon) == phonemes(reader, "买 GPU[ji1 pi4 you1] 吧。")
    assert phonemes(reader, "GPUs", lexicon) == phonemes(reader, "GPUs")


def test_an_inline_mark_wins_over_the_dictionary(reader: Reader) -> None:
    lexicon = Lexicon([("长乐", "chang2 le4")])
    assert phonemes(reader, "长乐[chang2 yue4]宫", lexicon) == phonemes(reader, "长乐[chang2 yue4]宫")


def test_a_dictionary_word_is_one_word_in_the_timings(reader: Reader) -> None:
    line = lines_of(narration_of("用 Nginx 吧。", Lexicon([("Nginx", "engine x")])))[0]
    spans = {
        (unit.start, unit.end) for unit in reader.read(line.text, "zh", given=line.given) if unit.is_word
    }
    assert (2, 7) in spans


def test_an_empty_script_has_an_empty_mark_list() -> None:
    assert parse("") == Marked(text="", origin=[0])
