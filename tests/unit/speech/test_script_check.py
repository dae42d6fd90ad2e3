"""Checking a script tells what will be said and where the reading is a guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.speech_task import MemoryContext
from workers.handler import Task, TaskCancelled, TaskError
from workers.speech.check import run_check
from workers.speech.text.front import Reader


def check(
    reader: Reader, folder: Path, text: str, *, context: MemoryContext | None = None, **script: Any
) -> dict[str, Any]:
    path = folder / "script.json"
    path.write_text(json.dumps({"text": text, **script}), encoding="utf-8")
    task = Task("job_check0000", 1, "script_check", None, {"script": path}, {}, folder, 0)
    context = context or MemoryContext()
    run_check(task, context, reader)
    report: dict[str, Any] = json.loads(context.artifacts["check"].read_text("utf-8"))
    return report


def test_each_sentence_is_shown_as_it_will_be_said(reader: Reader, tmp_path: Path) -> None:
    report = check(reader, tmp_path, "他长[zhang3]大了。[停顿1秒]今年2026年，涨了12.5%。")
    assert [one["spoken"] for one in report["sentences"]] == [
        "他长大了。",
        "今年二零二六年，涨了百分之十二点五。",
    ]
    first, second = report["sentences"]
    assert (first["text"], first["pinyin"], first["language"]) == ("他长大了。", "tā zhǎng dà le", "zh")
    assert (first["start"], first["end"]) == (0, len("他长[zhang3]大了。"))
    assert second["start"] == len("他长[zhang3]大了。[停顿1秒]")
    assert report["version"] == 1
    assert report["characters"] == len("他长大了。今年2026年，涨了12.5%。")
    assert report["estimated_s"] > first["estimated_s"] + second["estimated_s"] + 1.0


def test_doubts_stand_at_their_place_in_the_script_as_sent(reader: Reader, tmp_path: Path) -> None:
    text = "[语速0.9]一行，白鹭飞过。买了 Zibblefrop 和 3/5。"
    report = check(reader, tmp_path, text)
    doubts = [doubt for one in report["sentences"] for doubt in one["doubts"]]
    assert [(doubt["text"], doubt["reason"]) for doubt in doubts] == [
        ("行", "polyphone"),
        ("Zibblefrop", "unknown_word"),
        ("3/5", "mixed"),
    ]
    assert all(text[doubt["start"] : doubt["end"]] == doubt["text"] for doubt in doubts)
    assert (doubts[0]["reading"], doubts[0]["alternatives"]) == ("háng", ["xíng"])


def test_words_that_no_front_end_reads_are_doubts(reader: Reader, tmp_path: Path) -> None:
    report = check(reader, tmp_path, "他说안녕하세요，又说Привет мир。")
    assert [(doubt["text"], doubt["reading"]) for one in report["sentences"] for doubt in one["doubts"]] == [
        ("안녕하세요", ""),
        ("Привет", ""),
        ("мир", ""),
    ]
    with pytest.raises(TaskError, match="Chinese, English or Japanese"):
        check(reader, tmp_path, "안녕하세요 여러분")


def test_a_given_reading_is_no_doubt(reader: Reader, tmp_path: Path) -> None:
    text = "一行[xing2]，买了 Zibblefrop。"
    entries = [{"term": "Zibblefrop", "reading": "zibble frop"}]
    report = check(reader, tmp_path, text, dictionary=entries)
    assert [doubt for one in report["sentences"] for doubt in one["doubts"]] == []
    assert "zibble frop" in report["sentences"][0]["spoken"]


@pytest.mark.parametrize(
    "text",
    [
        "大家好，欢迎来到我们的节目。今天我要和你们聊一聊人工智能。", "他的书在桌子上，你可以自己去拿。", "我们公司成立于2015年，现在有三百多名员工。",
        "This is a short and plain sentence.", "请在下午三点之前把文件发给我，谢谢。",
    ],
)  # fmt: skip
def test_plain_prose_raises_no_doubts(reader: Reader, tmp_path: Path, text: str) -> None:
    assert [doubt for one in check(reader, tmp_path, text)["sentences"] for doubt in one["doubts"]] == []


def test_problems_with_marks_are_listed(reader: Reader, tmp_path: Path) -> None:
    report = check(reader, tmp_path, "你好[pause 60s]。[/pitch]")
    assert [(one["code"], one["start"], one["end"]) for one in report["problems"]] == [
        ("mark_limited", 2, 13),
        ("mark_unopened", 14, 22),
    ]


def test_bad_scripts_are_refused_with_a_sentence(reader: Reader, tmp_path: Path) -> None:
    for script in (
        {"text": "…"},
        {"text": ""},
        {"text": "好", "dictionary": "no"},
        {"text": "好", "dictionary": [{}]},
    ):
        with pytest.raises(TaskError) as caught:
            check(reader, tmp_path, **script)
        assert caught.value.code == "validation_failed"


def test_a_check_can_be_cancelled(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(TaskCancelled):
        check(reader, tmp_path, "一。二。三。四。", context=MemoryContext(cancel_after=2))
