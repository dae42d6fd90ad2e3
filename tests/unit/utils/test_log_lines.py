"""A log is read from its end, over rotated parts, in bounded pieces."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from backend.utils import log_lines
from backend.utils.log_lines import LogEntry, LogPlace, backwards, end_of
from backend.utils.logger import LineFormatter


def line(number: int, text: str = "hello", name: str = "allinone.app", job: str = "-") -> str:
    return f"2026-01-31T08:00:{number // 1000:02d}.{number % 1000:03d}Z INFO [{job}] {name}: {text}\n"


def entries(path: Path, after: LogPlace | None = None) -> list[LogEntry]:
    start = after or end_of(path)
    return [] if start is None else [e for e, _place, _bytes in backwards(path, after=start) if e is not None]


def test_lines_come_newest_first_with_what_follows_them(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    text = (
        line(1, "one")
        + line(2, "two", job="job_abcdefgh")
        + "  Traceback\n  ValueError: no\n"
        + line(3, "three")
    )
    path.write_text(text, encoding="utf-8")
    found = entries(path)
    assert [(e.text, e.more, e.job_id) for e in found] == [
        ("three", "", None),
        ("two", "  Traceback\n  ValueError: no", "job_abcdefgh"),
        ("one", "", None),
    ]
    assert (found[0].at, found[0].level, found[0].source) == ("2026-01-31T08:00:00.003Z", "INFO", "app")


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_the_size_of_a_block_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    path = tmp_path / "app.log"
    written = [line(n, f"第{n}行\n  more of {n}") for n in range(50)]
    path.write_text("".join(written), encoding="utf-8")
    whole = entries(path)
    monkeypatch.setattr(log_lines, "_BLOCK_BYTES", block)
    assert entries(path) == whole
    assert [e.text for e in whole] == [f"第{n}行" for n in reversed(range(50))]


def test_a_reading_goes_on_where_it_stopped_also_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("".join(line(n, str(n)) for n in range(10)), encoding="utf-8")
    first = entries(path)[:4]
    path.rename(tmp_path / "app.log.1")
    path.write_text(line(100, "new"), encoding="utf-8")
    assert [e.text for e in entries(path, first[-1].place)] == ["5", "4", "3", "2", "1", "0"]
    assert [e.text for e in entries(path)] == ["new", *(str(n) for n in reversed(range(10)))]
    assert entries(path, LogPlace(-5, 10)) == [], "that part is gone"


def test_the_place_told_after_a_block_is_where_the_next_reading_finds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_lines, "_BLOCK_BYTES", 100)
    path = tmp_path / "app.log"
    path.write_text("".join(line(n, str(n)) for n in range(30)), encoding="utf-8")
    seen: list[str] = []
    place = end_of(path)
    while place is not None:
        start, place = place, None
        for entry, reached, _bytes in backwards(path, after=start):
            if entry is not None:
                seen.append(entry.text)
            else:
                place = reached
                break
    assert seen == [str(n) for n in reversed(range(30))]


def test_what_is_no_line_of_ours_is_passed_over_and_a_huge_one_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_lines, "MAX_ENTRY_BYTES", 1000)
    path = tmp_path / "app.log"
    huge = line(1, "huge") + "  x\n" * 200_000
    path.write_bytes(b"\xff\xfe not ours\n" + huge.encode() + line(2, "after").encode())
    found = entries(path)
    assert [e.text for e in found] == ["after", "huge"]
    assert len(found[1].more) <= 1000 + log_lines._BLOCK_BYTES


def test_there_is_no_log_yet(tmp_path: Path) -> None:
    assert end_of(tmp_path / "app.log") is None
    assert entries(tmp_path / "app.log", LogPlace(1, 1)) == []


@pytest.mark.parametrize(
    ("text", "source", "told"),
    [
        ("speech-1 | loading", "speech", "loading"),
        ("wan2gp-0-2 | step 3 | of 4", "wan2gp", "step 3 | of 4"),
        ("worker speech-1 ended with 0", "worker", "worker speech-1 ended with 0"),
    ],
)
def test_a_workers_line_says_who_spoke(tmp_path: Path, text: str, source: str, told: str) -> None:
    path = tmp_path / "worker.log"
    path.write_text(line(1, text, name="allinone.worker"), encoding="utf-8")
    (entry,) = entries(path)
    assert (entry.source, entry.text) == (source, told)


def test_what_the_formatter_writes_is_what_is_read(tmp_path: Path) -> None:
    record = logging.LogRecord("allinone.app", logging.ERROR, "f.py", 1, "it %s\nbroke", ("really",), None)
    record.job_id = "job_12345678"
    path = tmp_path / "app.log"
    path.write_text(LineFormatter().format(record) + "\n", encoding="utf-8")
    (entry,) = entries(path)
    assert (entry.level, entry.job_id, entry.text) == ("ERROR", "job_12345678", "it really\\nbroke")
