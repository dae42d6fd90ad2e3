"""Chinese words for Chatterbox: set apart by our own front end, and no package that fetches a list of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workers.speech.text.zh import Chinese
from workers.wan2gp import segmenter
from workers.wan2gp.segmenter import keep_from_fetching, set_apart

CHINESE = Chinese(Path(__file__).resolve().parents[3] / "assets" / "g2p")


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the module changes is put back."""
    monkeypatch.setitem(sys.modules, segmenter.PACKAGE, None)
    monkeypatch.delitem(sys.modules, segmenter.PACKAGE)


@pytest.mark.parametrize(
    ("text", "spaced"),
    [
        ("今天天气很好。", "今天天气 很 好 。"),
        ("我喜欢 Python 编程，你呢？", "我 喜欢 Python 编程 ， 你 呢 ？"),
        ("北京大学的学生", "北京大学 的 学生"),
        ("Hello there.", "Hello there."),
        ("", ""),
    ],
)
def test_words_and_marks_are_set_apart_and_nothing_is_lost(text: str, spaced: str) -> None:
    said = set_apart(text, CHINESE.words)
    assert said.replace(" ", "") == text.replace(" ", "")
    assert said == spaced


def test_for_chatterbox_the_package_counts_as_not_installed() -> None:
    keep_from_fetching("chatterbox")
    keep_from_fetching("chatterbox")
    with pytest.raises(ImportError):
        __import__(segmenter.PACKAGE)


def test_for_others_and_where_it_was_loaded_before_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for model_type in ("qwen3_tts_base", "index_tts25", "omnivoice"):
        keep_from_fetching(model_type)
    assert segmenter.PACKAGE not in sys.modules
    loaded = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, segmenter.PACKAGE, loaded)
    keep_from_fetching("chatterbox")
    assert sys.modules[segmenter.PACKAGE] is loaded
