"""Log lines for a person: merged, filtered, page by page, clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.errors import RequestError
from backend.services import log_service
from backend.services.log_service import LogFilter, LogService
from backend.utils.redact import Redactor


def write(path: Path, *lines: tuple[int, str, str]) -> None:
    """`(second, level, text)` of each line."""
    name = "allinone.worker" if path.name == "worker.log" else "allinone.app"
    text = "".join(
        f"2026-01-31T08:{s // 60:02d}:{s % 60:02d}.000Z {lv} [-] {name}: {t}\n" for s, lv, t in lines
    )
    path.write_text(text, encoding="utf-8")


def service(folder: Path) -> LogService:
    return LogService(folder, lambda names: Redactor(folders={folder: "logs"}, secrets=[*names, "hunter2"]))


async def read_all(logs: LogService, wanted: LogFilter, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    for _ in range(200):
        page = await logs.page(wanted, limit=limit, cursor=cursor)
        found += [line.message for line in page.data]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


async def test_both_logs_are_one_list_newest_first_on_every_page(tmp_path: Path) -> None:
    write(tmp_path / "app.log", *((n, "INFO", f"a{n}") for n in range(0, 40, 2)))
    write(tmp_path / "worker.log", *((n, "INFO", f"speech-1 | w{n}") for n in range(1, 40, 2)))
    expected = [f"{'wa'[n % 2 == 0]}{n}" for n in reversed(range(40))]
    for limit in (1, 7, 40, 500):
        assert await read_all(service(tmp_path), LogFilter(), limit) == expected


async def test_lines_that_are_written_meanwhile_belong_to_no_later_page(tmp_path: Path) -> None:
    write(tmp_path / "app.log", (1, "INFO", "one"), (2, "INFO", "two"))
    write(tmp_path / "worker.log", (0, "INFO", "speech-1 | zero"))
    logs = service(tmp_path)
    first = await logs.page(LogFilter(), limit=1, cursor=None)
    with (tmp_path / "worker.log").open("a", encoding="utf-8") as file:
        file.write("2026-01-31T08:59:00.000Z INFO [-] allinone.worker: speech-1 | new\n")
    second = await logs.page(LogFilter(), limit=5, cursor=first.next_cursor)
    assert [line.message for line in first.data + second.data] == ["two", "one", "zero"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (LogFilter(source="app"), ["broken", "hello"]),
        (LogFilter(source="worker"), ["Loading", "gone"]),
        (LogFilter(source="speech"), ["Loading"]),
        (LogFilter(source="nobody"), []),
        (LogFilter(level="WARNING"), ["broken", "gone"]),
        (LogFilter(level="ERROR"), ["broken"]),
        (LogFilter(text="LOAD"), ["Loading"]),
        (LogFilter(job_id="job_abcdefgh"), []),
    ],
)
async def test_filters(tmp_path: Path, wanted: LogFilter, told: list[str]) -> None:
    write(tmp_path / "app.log", (1, "INFO", "hello"), (4, "CRITICAL", "broken"))
    write(tmp_path / "worker.log", (2, "WARNING", "draft-1 | gone"), (3, "INFO", "speech-1 | Loading"))
    assert await read_all(service(tmp_path), wanted, 10) == told


async def test_a_filter_that_finds_nothing_ends_and_reads_a_bounded_piece_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_service, "MAX_SCAN_BYTES", 100_000)
    write(tmp_path / "app.log", *((n % 3600, "INFO", "x" * 200) for n in range(1000)))
    (tmp_path / "worker.log").write_bytes(b"no line of ours\n" * 10_000)
    logs = service(tmp_path)
    first = await logs.page(LogFilter(text="needle"), limit=10, cursor=None)
    assert (first.data, first.next_cursor is not None) == ([], True)
    assert await read_all(logs, LogFilter(text="needle"), 10) == []


async def test_secrets_and_folders_are_taken_out_and_a_traceback_is_told_by_its_end(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(
        f"2026-01-31T08:00:00.000Z ERROR [job_abcdefgh] allinone.app: cannot read {tmp_path}/a with hunter2\n"
        "  Traceback (most recent call last):\n"
        f'    File "{tmp_path}/b.py", line 1, in f\n'
        "  OSError: no such file\n",
        encoding="utf-8",
    )
    page = await service(tmp_path).page(LogFilter(), limit=10, cursor=None)
    (line,) = page.data
    assert line.message == "cannot read logs/a with ***\nOSError: no such file"
    assert (line.level, line.job_id, line.source) == ("ERROR", "job_abcdefgh", "app")
    for wanted, found in (("hunter2", 0), (str(tmp_path), 0), ("no such FILE", 1), ("job_abcd", 1)):
        told = await service(tmp_path).page(LogFilter(text=wanted), limit=10, cursor=None)
        assert len(told.data) == found, wanted


@pytest.mark.timeout(60)
@pytest.mark.parametrize("junk", ["a.", "a-", "a@", "[::1]", "x", "word "])
async def test_of_a_long_line_only_the_beginning_is_cleaned_and_it_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junk: str
) -> None:
    cleaned: list[int] = []
    clean = Redactor.clean

    def noted(self: Redactor, text: str) -> str:
        cleaned.append(len(text))
        return clean(self, text)

    monkeypatch.setattr(Redactor, "clean", noted)
    text = f"hunter2 http://me:pass@10.0.0.1 {junk * 30_000} hunter2"
    write(tmp_path / "app.log", *((n, "INFO", text) for n in range(20)))
    page = await service(tmp_path).page(LogFilter(), limit=20, cursor=None)
    assert len(cleaned) == len(page.data) == 20
    assert max(cleaned) <= log_service.MAX_CLEANED_CHARS
    for line in page.data:
        assert line.message.startswith("*** http://***@10.0.0.1 ")
        assert len(line.message) == log_service.MAX_MESSAGE_CHARS


async def test_a_secret_that_lies_across_the_cut_is_not_told_in_half(tmp_path: Path) -> None:
    # Addresses grow short, so what stands at the cut comes into what is shown.
    padding = "https://a.example/?" + "x" * 500
    words = ""
    while len(words) + len(padding) < log_service.MAX_CLEANED_CHARS - 4:
        words += padding + " "
    words += "y" * (log_service.MAX_CLEANED_CHARS - len(words) - 4)
    write(tmp_path / "app.log", (1, "INFO", f"{words[:-1]} hunter2 and more"))
    page = await service(tmp_path).page(LogFilter(), limit=1, cursor=None)
    assert len(page.data[0].message) < log_service.MAX_MESSAGE_CHARS
    assert "hunt" not in page.data[0].message


@pytest.mark.parametrize("cursor", ["x", "!!!!", "e30x", "WzFd", "eyJhcHAiOiAxfQ", "eyJldmlsIjogWzEsIDJdfQ"])
async def test_a_cursor_of_somebody_elses_making_is_refused(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(RequestError) as caught:
        await service(tmp_path).page(LogFilter(), limit=1, cursor=cursor)
    assert caught.value.fields[0].field == "cursor"


async def test_without_logs_the_page_is_empty(tmp_path: Path) -> None:
    page = await service(tmp_path).page(LogFilter(), limit=10, cursor=None)
    assert (page.data, page.next_cursor) == ([], None)
