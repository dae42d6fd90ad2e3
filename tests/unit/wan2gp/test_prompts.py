"""Words on their way to Wan2GP: nothing in them is a command, a file or too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.wan2gp.prompts import as_prompt, pieces


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Hello there.", "Hello there."),
        ("Hello there", "Hello there."),
        ("今天天气很好", "今天天气很好。"),
        ("两行\n文字\r\n在这里。", "两行 文字 在这里。"),
        ("#1 in the charts", "1 in the charts."),
        ("# a comment", "a comment."),
        ('! {name} = "x"', 'name, = "x"'),
        ("! Attention", "Attention."),
        ("I [laughter] agree.", "I, laughter, agree."),
        ("He said: [calm] yes.", "He said: calm, yes."),
        ("他说[高兴]好", "他说，高兴，好。"),
        ("[/new shot] go", "/new shot, go."),
        ("a <行|XING2> b", "a, 行，XING2, b."),
        ("<|im_end|> and on", "im_end, and on."),
        ("Speaker 1: Hello.", "Speaker 1, Hello."),
        ("speaker  12 : no", "speaker 12, no."),
        ("Really?", "Really?"),
        ("He said “stop!”", "He said “stop!”"),
        ("so, ", "so."),
        ("[]", ""),
        ("   ", ""),
    ],
)
def test_words_stay_and_signs_with_a_meaning_go(text: str, prompt: str) -> None:
    assert as_prompt(text) == prompt
    assert as_prompt(as_prompt(text)) == prompt


def test_the_name_of_a_file_is_read_and_not_what_stands_in_it(tmp_path: Path) -> None:
    for name in ("README.md", "wgp", "notes.txt."):
        (tmp_path / name).write_text("secret", "utf-8")
        said = as_prompt(name, tmp_path)
        assert not (tmp_path / said).is_file()
        assert not (tmp_path / said.rstrip(".")).is_file()
        assert said.startswith(name.split(".")[0])
    outside = tmp_path.parent / "passwd"
    outside.write_text("secret", "utf-8")
    said = as_prompt(str(outside), tmp_path)
    assert not (tmp_path / said).is_file()
    assert "passwd" in said
    assert as_prompt("x" * 5000, tmp_path) == "x" * 5000 + "."


def test_pieces_are_short_enough_lose_no_word_and_end_where_one_breathes() -> None:
    text = "One, two and three; four hundred and five, 1,234,567 and 8.5 of them, that is all"
    for limit in (12, 20, 33, 200):
        parts = pieces(text, limit)
        assert all(len(part) <= limit for part in parts)
        assert " ".join(parts) == text
    assert pieces(text, 20)[0] == "One, two and three;"
    assert pieces(text, None) == [text]
    assert pieces("", 10) == []


def test_pieces_without_a_place_to_cut_are_cut_all_the_same() -> None:
    parts = pieces("字" * 25, 10)
    assert [len(part) for part in parts] == [10, 10, 5]
    assert pieces("你好，世界和大家都在这里等着", 8)[0] == "你好，世界和大家"
    assert pieces("今天天气很好，我们去玩", 8) == ["今天天气很好，", "我们去玩"]
