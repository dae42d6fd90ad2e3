"""A log that cannot be written is told once, in a sentence, and never as tracebacks on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.utils.logger import app_logger, configure_logging


def test_a_log_that_cannot_be_written_is_told_once_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.log").mkdir()
    close = configure_logging(tmp_path)
    try:
        app_logger.warning("first")
        app_logger.warning("second")
    finally:
        close()
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1
    assert "LOGS_DIR" in said
    assert "Traceback" not in said


def test_a_line_that_cannot_be_made_is_still_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest's own handler, further up, raises.
    monkeypatch.setattr(app_logger, "propagate", False)
    close = configure_logging(tmp_path)
    try:
        app_logger.warning("%d", "no number")
    finally:
        close()
    assert "Traceback" in capsys.readouterr().err
