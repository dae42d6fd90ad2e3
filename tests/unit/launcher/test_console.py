"""The terminal shows one clear line per step, whatever it is connected to."""

from __future__ import annotations

import io

import pytest

from launcher.console import Console, ProgressBar, cell_width, fit
from launcher.errors import Exit, LauncherError
from tests.unit.launcher.twins import MemoryConsole


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_error_shows_what_happened_and_how_to_go_on_in_both_languages() -> None:
    console = MemoryConsole()
    console.fail(
        LauncherError(
            Exit.PORT, "Port 8000 is already in use.", fix="close it", fix_zh="关闭它", details=("by x",)
        )
    )
    assert console.err.getvalue().splitlines() == [
        "[Error] Port 8000 is already in use.",
        "    by x",
        "  Fix: close it",
        "  解决：关闭它",
    ]


def test_a_terminal_that_cannot_show_chinese_does_not_end_the_start() -> None:
    raw = io.BytesIO()
    console = Console(io.TextIOWrapper(raw, encoding="ascii"), io.StringIO())
    console.ok("路径 C:\\用户")
    assert raw.getvalue() == b"[ok] ?? C:\\??\n"


def test_without_a_terminal_progress_is_a_few_plain_lines() -> None:
    out = io.StringIO()
    bar = ProgressBar(out)
    for percent in range(101):
        bar.update(percent, "video", f"frame {percent}")
    bar.close()
    lines = out.getvalue().splitlines()
    assert 5 <= len(lines) <= 12
    assert "\r" not in out.getvalue()
    assert lines[-1].split() == ["100%", "video", "frame", "100"]


def test_a_new_stage_shows_at_once_without_a_terminal() -> None:
    out = io.StringIO()
    bar = ProgressBar(out)
    bar.update(5, "speech", "")
    bar.update(6, "video", "")
    assert [line.split()[1] for line in out.getvalue().splitlines()] == ["speech", "video"]


def test_on_a_terminal_one_line_is_rewritten_and_old_text_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal()
    bar = ProgressBar(out)
    bar.update(10, "video", "a long message about frames")
    bar.update(20, "video", "short")
    bar.close()
    first, second = out.getvalue().removesuffix("\n").split("\r")[1:]
    assert "\n" not in first
    assert cell_width(second) >= cell_width(first)
    assert " 20%  video  short" in second


def test_a_line_with_wide_characters_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    out = Terminal()
    ProgressBar(out).update(50, "video", "正在生成画面" * 20)
    assert cell_width(out.getvalue().removeprefix("\r")) <= 49


def test_text_is_cut_by_cells_and_not_by_characters() -> None:
    assert fit("数字人ab", 5) == "数字"
    assert fit("abc", 3) == "abc"
