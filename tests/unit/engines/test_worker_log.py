"""The log pipe: splitting, capping, escaping, rate, ring, drain mark."""

from __future__ import annotations

import logging

import pytest

from backend.engines.worker_log import MAX_LINE_CHARS, MAX_LINES_PER_S, RING_LINES, LogPipe, escape
from backend.utils.clock import ManualClock


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage().removeprefix("w-1 | ") for record in self.records]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def drains() -> list[str]:
    return []


@pytest.fixture
def pipe(kept: Kept, clock: ManualClock, drains: list[str]) -> LogPipe:
    log = logging.Logger("test", logging.INFO)  # not registered: no global state
    log.addHandler(kept)
    return LogPipe(worker_id="w-1", log=log, clock=clock, on_drain=drains.append)


def test_lines_end_at_line_feed_and_at_carriage_return(pipe: LogPipe, kept: Kept) -> None:
    for chunk in (b"one\ntw", b"o\r\n 10%\r 20%\r", b"last"):
        pipe.feed(chunk)
    assert kept.lines == ["one", "two", " 10%", " 20%"]
    pipe.finish()
    assert kept.lines[-1] == "last"


def test_a_line_is_cut_at_eight_kibibytes_and_what_follows_is_not_kept(pipe: LogPipe, kept: Kept) -> None:
    for _ in range(100):
        pipe.feed(b"x" * 65_536)
    pipe.feed(b" the end of it\nnext\n")
    assert [len(line) for line in kept.lines] == [MAX_LINE_CHARS + 1, 4]
    assert kept.lines[0].endswith("…")
    assert len(pipe._partial) == 0


def test_a_line_that_comes_at_once_is_cut_as_well(pipe: LogPipe, kept: Kept) -> None:
    pipe.feed(b"y" * 20_000 + b"\nnext\n")
    assert [len(line) for line in kept.lines] == [MAX_LINE_CHARS + 1, 4]


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        (b"\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        (b"tab\tstays", "tab\tstays"),
        ("次 é".encode(), "次 é"),
        (b"\xff\xfe bytes", r"\xff\xfe bytes"),
        ("a\u2028b\u202ec\u0085d".encode(), r"a\u2028b\u202ec\x85d"),
        (b"nul\x00bell\x07", r"nul\x00bell\x07"),
    ],
)
def test_what_could_forge_a_line_or_drive_a_terminal_is_made_visible(
    pipe: LogPipe, kept: Kept, raw: bytes, written: str
) -> None:
    pipe.feed(raw + b"\n")
    assert kept.lines == [written]


def test_two_hundred_lines_a_second_are_written_and_the_rest_is_counted(
    pipe: LogPipe, kept: Kept, clock: ManualClock
) -> None:
    for _ in range(10):
        pipe.feed(b"line\n" * 100)
    assert kept.lines == ["line"] * MAX_LINES_PER_S
    clock.advance(1.0)
    pipe.feed(b"after\n")
    assert kept.lines[MAX_LINES_PER_S:] == ["dropped 800 lines", "after"]


def test_lines_that_are_dropped_at_the_end_are_counted_too(pipe: LogPipe, kept: Kept) -> None:
    pipe.feed(b"line\n" * 250)
    pipe.finish()
    assert kept.lines[-1] == "dropped 50 lines"


def test_structured_messages_count_against_the_same_rate(pipe: LogPipe, kept: Kept) -> None:
    for number in range(300):
        pipe.structured("error", "speech", f"line {number}")
    assert len(kept.lines) == MAX_LINES_PER_S
    assert kept.lines[0] == "speech: line 0"
    assert kept.records[0].levelno == logging.ERROR


def test_the_ring_keeps_the_last_lines_of_the_attempt_dropped_ones_included(pipe: LogPipe) -> None:
    pipe.feed(b"of the job before\n")
    pipe.begin_attempt("job_abcdefgh")
    assert pipe.tail() == ""
    pipe.feed(b"".join(b"line %d\n" % number for number in range(300)))
    pipe.feed(b"".join(b"line %d\n" % number for number in range(300, 1000)))
    tail = pipe.tail().splitlines()
    assert len(tail) == RING_LINES
    assert (tail[0], tail[-1]) == ("line 800", "line 999")
    pipe.begin_attempt(None)
    assert pipe.tail().splitlines()[-1] == "line 999"


def test_every_line_carries_its_worker_and_its_job(pipe: LogPipe, kept: Kept) -> None:
    pipe.begin_attempt("job_abcdefgh")
    pipe.feed(b"line\n")
    (record,) = kept.records
    assert (record.__dict__["worker_id"], record.__dict__["job_id"]) == ("w-1", "job_abcdefgh")
    assert record.getMessage() == "w-1 | line"


def test_a_drain_mark_is_reported_and_not_written_even_in_a_flood(
    pipe: LogPipe, kept: Kept, drains: list[str]
) -> None:
    token = "0123456789abcdef" * 2
    pipe.feed(b"line\n" * 250)
    pipe.feed(b"line\n" * 250 + b"no newline yet\n@drain:" + token.encode() + b"\n")
    pipe.feed(b"@drain:not a token\n")
    assert drains == [token]
    assert token not in "".join(kept.lines)


def test_escape_bounds_the_length() -> None:
    assert len(escape("x" * 100_000)) == MAX_LINE_CHARS + 1
