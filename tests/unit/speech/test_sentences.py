"""A script is cut into sentences without losing a character or tearing a number."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.speech.text.sentences import MAX_SENTENCE_TOKENS, split_sentences, token_estimate


def split(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello. Goodbye!", ["Hello.", "Goodbye!"]),
        ("你好。再见！真的？", ["你好。", "再见！", "真的？"]),
        ("It costs 3.5 dollars. Cheap.", ["It costs 3.5 dollars.", "Cheap."]),
        ("Dr. Smith met Mrs. Jones.", ["Dr. Smith met Mrs. Jones."]),
        ("J. K. Rowling wrote it. Yes.", ["J. K. Rowling wrote it.", "Yes."]),
        ("He said “Stop.” Then he left.", ["He said “Stop.”", "Then he left."]),
        ("他说：“走吧。”然后走了。", ["他说：“走吧。”", "然后走了。"]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("One line\nanother line", ["One line", "another line"]),
        ("See example.com now. Done.", ["See example.com now.", "Done."]),
        ("At 5 p.m. we left. Fine.", ["At 5 p.m. we left.", "Fine."]),
        ("真的吗？！好。", ["真的吗？！", "好。"]),
        ("Version 1.2.3 is out.", ["Version 1.2.3 is out."]),
        ("See https://a.example/x?y=1 now? Yes.", ["See https://a.example/x?y=1 now?", "Yes."]),
        ("Visit https://example.com/x?y=1 now.", ["Visit https://example.com/x?y=1 now."]),
        ("See https://a.example/!?_x=1&y=%20?z now.", ["See https://a.example/!?_x=1&y=%20?z now."]),
        ("See example.com/x?y=1. Done.", ["See example.com/x?y=1.", "Done."]),
        ("请访问https://example.com/x?y=1看看。谢谢", ["请访问https://example.com/x?y=1看看。", "谢谢"]),
        ("请看www.example.com/x?_y=1！好。", ["请看www.example.com/x?_y=1！", "好。"]),
        ('He said "Stop!" and left.', ['He said "Stop!" and left.']),
        ('He said "Stop." and left. Fine.', ['He said "Stop." and left.', "Fine."]),
        ("“Really?” she asked. No.", ["“Really?” she asked.", "No."]),
        ('He said "Stop!" Then he left.', ['He said "Stop!"', "Then he left."]),
        ("“停！”，他说。好。", ["“停！”，他说。", "好。"]),
        ("Yahoo! Inc. grows.", ["Yahoo! Inc. grows."]),
        ("Yahoo! is big. Yes.", ["Yahoo! is big.", "Yes."]),
        ("Great! Next one.", ["Great!", "Next one."]),
        ("   \n\n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_stop(text: str, expected: list[str]) -> None:
    assert split(text) == expected


_SCRIPT = st.text(
    alphabet=st.sampled_from(list("你好世界一二ab AB12,.3。，！？!?;；“”\"') \n…—😀Mr")), max_size=400
)


@settings(deadline=None)
@given(_SCRIPT)
def test_nothing_is_lost_or_doubled(text: str) -> None:
    assert re.sub(r"\s", "", "".join(split(text))) == re.sub(r"\s", "", text)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 9))
def test_a_long_sentence_is_cut_into_pieces_that_fit(words: int, digits: int) -> None:
    text = "，".join(f"这是第{'1' * digits},000.5个句子" for _ in range(words))
    pieces = split(text)
    assert "".join(pieces) == text
    assert all(token_estimate(piece) <= MAX_SENTENCE_TOKENS for piece in pieces)
    for piece in pieces:
        assert piece.startswith("这是第")


def test_an_address_in_a_long_sentence_is_never_cut() -> None:
    address = "https://example.com/a,b,c:d/x?y=1,2"
    pieces = split("，".join(["今天我们来看一个新的网页" + address] * 12))
    assert len(pieces) > 1
    assert sum(piece.count(address) for piece in pieces) == 12


def test_only_the_last_piece_of_a_cut_sentence_is_complete() -> None:
    text = "，".join(["今天我们来介绍一款新的产品"] * 20) + "。好。"
    marks = [sentence.complete for sentence in split_sentences(text)]
    assert marks[-2:] == [True, True]
    assert not any(marks[:-2])


def test_a_long_run_without_any_mark_is_cut_between_words() -> None:
    pieces = split("word " * 300)
    assert all(piece.split() == ["word"] * len(piece.split()) for piece in pieces)
    assert sum(len(piece.split()) for piece in pieces) == 300
