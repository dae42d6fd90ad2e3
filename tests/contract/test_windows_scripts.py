"""The Windows scripts cannot run here; what makes such scripts break is checked in their text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from installer.engines import ENGINES

ROOT = Path(__file__).resolve().parents[2]
INSTALLERS = ("voxcpm", "wan2gp", "infinitetalk")
ENTRY_SCRIPTS = ("start.bat", "test.bat", *(f"install_{engine}.bat" for engine in INSTALLERS))
SCRIPTS = (*ENTRY_SCRIPTS, "launcher/run.bat")
# Thin: everything that can live in Python lives in Python.
MOST_LINES = {**dict.fromkeys(ENTRY_SCRIPTS, 12), "launcher/run.bat": 30}


def _lines(name: str) -> list[str]:
    return (ROOT / name).read_bytes().decode("ascii").splitlines()


def _commands(name: str) -> list[str]:
    return [line.strip() for line in _lines(name) if line.strip() and not line.lower().startswith("rem ")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_batch_file_is_ascii_so_that_no_code_page_can_garble_it(name: str) -> None:
    (ROOT / name).read_bytes().decode("ascii")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_batch_file_is_short(name: str) -> None:
    assert len(_lines(name)) <= MOST_LINES[name]


@pytest.mark.parametrize("name", SCRIPTS)
def test_git_gives_batch_files_windows_line_ends(name: str) -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(
        [git, "check-attr", "text", "eol", "--", name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"{name}: text: set" in done.stdout
    assert f"{name}: eol: crlf" in done.stdout


@pytest.mark.parametrize(
    "name",
    ["start.sh", "test.sh", *(f"install_{engine}.sh" for engine in INSTALLERS), "launcher/run.sh", ".ci/run"],
)
def test_shell_scripts_keep_unix_line_ends(name: str) -> None:
    assert b"\r" not in (ROOT / name).read_bytes()


@pytest.mark.parametrize("name", ENTRY_SCRIPTS)
def test_the_window_stays_open_on_an_error_and_the_status_is_kept(name: str) -> None:
    commands = _commands(name)
    delegate = next(i for i, line in enumerate(commands) if line.startswith("call launcher\\run.bat"))
    assert commands[delegate + 1] == 'set "AIO_STATUS=%ERRORLEVEL%"'
    assert 'if not "%AIO_STATUS%"=="0" pause' in commands[delegate + 2 :]
    assert commands[-1] == "exit /b %AIO_STATUS%"


@pytest.mark.parametrize("name", ENTRY_SCRIPTS)
def test_the_script_works_from_any_folder_and_with_any_path(name: str) -> None:
    commands = _commands(name)
    # pushd, not cd: it also maps a network share to a drive letter. The quotes keep spaces and brackets.
    assert 'pushd "%~dp0"' in commands
    assert "chcp 65001 >nul" in commands


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_delayed_expansion_eats_exclamation_marks_of_paths(name: str) -> None:
    assert "enabledelayedexpansion" not in "\n".join(_lines(name)).lower()


def test_start_and_test_hand_all_arguments_to_the_same_commands_as_on_linux() -> None:
    assert "call launcher\\run.bat start --open %*" in _commands("start.bat")
    assert "call launcher\\run.bat test %*" in _commands("test.bat")
    for name, command in (("start.sh", "start"), ("test.sh", "test")):
        assert f'launcher/run.sh" {command} "$@"' in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", INSTALLERS)
def test_an_installer_is_the_same_command_on_every_system(engine: str) -> None:
    assert f"call launcher\\run.bat install {engine} %*" in _commands(f"install_{engine}.bat")
    text = (ROOT / f"install_{engine}.sh").read_text(encoding="utf-8")
    assert f'launcher/run.sh" install {engine} "$@"' in text


def test_every_engine_that_can_be_installed_has_its_scripts() -> None:
    assert sorted(ENGINES) == sorted(INSTALLERS)
    assert all((ROOT / f"install_{engine}{end}").is_file() for engine in ENGINES for end in (".bat", ".sh"))


def test_every_jump_of_the_finder_has_its_label() -> None:
    text = "\n".join(_lines("launcher/run.bat"))
    labels = set(re.findall(r"^:(\w+)", text, re.MULTILINE))
    assert set(re.findall(r"goto (\w+)", text)) == labels


def test_both_finders_accept_the_same_pythons() -> None:
    check = "import sys; sys.exit(sys.version_info[:2] not in [(3, 10), (3, 11), (3, 12)])"
    assert f'set "AIO_CHECK={check}"' in (ROOT / "launcher/run.bat").read_text(encoding="ascii")
    assert f"check='{check}'" in (ROOT / "launcher/run.sh").read_text(encoding="utf-8")
    from launcher import SUPPORTED

    assert SUPPORTED == ((3, 10), (3, 11), (3, 12))


def test_a_missing_python_is_explained_with_where_to_get_it() -> None:
    text = "\n".join(_lines("launcher/run.bat"))
    assert "[Error] Python 3.10, 3.11 or 3.12 was not found." in text
    assert "https://www.python.org/downloads/" in text
    assert "exit /b 3" in text
