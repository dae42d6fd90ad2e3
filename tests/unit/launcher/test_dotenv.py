"""The launcher reads one value of `.env` before pydantic is there; it must read it as the settings would."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from launcher.dotenv import index_environment, read_value

NAME = "PIP_INDEX_URL"


@pytest.mark.parametrize(
    "line",
    [
        "PIP_INDEX_URL=https://mirror.example/simple",
        "PIP_INDEX_URL = https://mirror.example/simple",
        "  PIP_INDEX_URL=https://mirror.example/simple  ",
        'PIP_INDEX_URL="https://mirror.example/simple"',
        "PIP_INDEX_URL='https://mirror.example/simple'",
        "export PIP_INDEX_URL=https://mirror.example/simple",
        "PIP_INDEX_URL=https://mirror.example/simple # near me",
        "# PIP_INDEX_URL=https://commented.example\nPIP_INDEX_URL=https://mirror.example/simple",
        "PIP_INDEX_URL=https://first.example\nPIP_INDEX_URL=https://mirror.example/simple",
        "# 注释\r\nPIP_INDEX_URL=https://mirror.example/simple\r\nPORT=8001\r\n",
    ],
)
def test_a_value_is_read_as_python_dotenv_reads_it(tmp_path: Path, line: str) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(line.encode())
    assert read_value(env_file, NAME) == dotenv_values(env_file)[NAME] == "https://mirror.example/simple"


@pytest.mark.parametrize(
    "line", ["PIP_INDEX_URL=", "PIP_INDEX_URL=''", "# PIP_INDEX_URL=x", "OTHER_PIP_INDEX_URL=x", ""]
)
def test_a_blank_or_absent_value_is_unset(tmp_path: Path, line: str) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(line, encoding="utf-8")
    assert read_value(env_file, NAME) is None


def test_a_missing_file_is_unset(tmp_path: Path) -> None:
    assert read_value(tmp_path / ".env", NAME) is None


def test_notepads_byte_order_mark_does_not_hide_the_first_line(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"\xef\xbb\xbfPIP_INDEX_URL=https://mirror.example/simple\n")
    assert read_value(env_file, NAME) == "https://mirror.example/simple"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PIP_INDEX_URL=https://file.example\n", encoding="utf-8")
    assert index_environment(env_file, {NAME: "https://shell.example"}) == {}
    assert index_environment(env_file, {}) == {NAME: "https://file.example"}
