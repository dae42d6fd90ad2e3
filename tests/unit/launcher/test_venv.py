"""The virtual environment is made once, adopted when it works, and made again when it cannot be trusted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from launcher import state
from launcher import venv as launcher_venv
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import python_of
from launcher.venv import ensure_environment
from tests.unit.launcher.twins import (
    FakeRunner,
    MemoryConsole,
    creating_venv,
    make_venv,
    probe_answer,
    spec_in,
)


def working_runner() -> FakeRunner:
    return FakeRunner({"venv": creating_venv, "-c": probe_answer()})


def test_a_missing_environment_is_made_and_remembered(tmp_path: Path) -> None:
    spec, runner = spec_in(tmp_path), working_runner()

    assert ensure_environment(spec, runner, MemoryConsole()) == "3.11.7"

    assert runner.count("venv") == 1
    known = state.read_state(spec.folder)
    assert known is not None
    assert (known.phase, known.folder) == (state.CREATED, str(spec.folder))


def test_a_working_environment_is_not_made_again(tmp_path: Path) -> None:
    spec, runner = spec_in(tmp_path), working_runner()
    ensure_environment(spec, runner, MemoryConsole())

    ensure_environment(spec, runner, MemoryConsole())

    assert runner.count("venv") == 1


def test_an_environment_that_the_user_made_by_hand_is_adopted(tmp_path: Path) -> None:
    spec, runner = spec_in(tmp_path), working_runner()
    make_venv(spec.folder)

    ensure_environment(spec, runner, MemoryConsole())

    assert runner.count("venv") == 0


@pytest.mark.parametrize("phase", [state.CREATING, state.INSTALLING])
def test_an_environment_whose_making_was_cut_short_is_made_again(tmp_path: Path, phase: str) -> None:
    spec, runner, console = spec_in(tmp_path), working_runner(), MemoryConsole()
    make_venv(spec.folder)
    leftover = spec.folder / "half-a-package"
    leftover.write_text("", encoding="utf-8")
    state.write_state(spec.folder, phase)

    ensure_environment(spec, runner, console)

    assert runner.count("venv") == 1
    assert not leftover.exists()
    assert "interrupted" in console.text


def test_an_environment_of_a_moved_project_is_made_again(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "新 文件夹"
    old.mkdir()
    ensure_environment(spec_in(old), working_runner(), MemoryConsole())
    old.rename(new)
    runner, console = working_runner(), MemoryConsole()

    ensure_environment(spec_in(new), runner, console)

    assert runner.count("venv") == 1
    assert "moved" in console.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (probe_answer((3, 9, 1)), "its Python is 3.9.1"),
        (probe_answer((3, 13, 0)), "its Python is 3.13.0"),
        (probe_answer(pip=False), "pip is missing"),
        (probe_answer(isolated=False), "not a virtual environment"),
        (Outcome(-1, ("No such file or directory",)), "does not start"),
        (Outcome(0, ("not json",)), "does not start"),
    ],
)
def test_an_environment_that_does_not_answer_well_is_made_again(
    tmp_path: Path, answer: Outcome, words: str
) -> None:
    spec, console = spec_in(tmp_path), MemoryConsole()
    make_venv(spec.folder)
    answers = [answer, probe_answer()]
    runner = FakeRunner({"venv": creating_venv, "-c": lambda _: answers.pop(0)})

    ensure_environment(spec, runner, console)

    assert runner.count("venv") == 1
    assert words in console.text


def test_an_environment_whose_python_is_gone_is_made_again(tmp_path: Path) -> None:
    spec, runner, console = spec_in(tmp_path), working_runner(), MemoryConsole()
    make_venv(spec.folder)
    python_of(spec.folder).unlink()

    ensure_environment(spec, runner, console)

    assert runner.count("venv") == 1
    assert "Python is missing" in console.text


def test_repair_makes_a_working_environment_again(tmp_path: Path) -> None:
    spec, runner = spec_in(tmp_path), working_runner()
    ensure_environment(spec, runner, MemoryConsole())

    ensure_environment(spec, runner, MemoryConsole(), rebuild=True)

    assert runner.count("venv") == 2


def test_a_folder_that_is_not_an_environment_is_never_deleted(tmp_path: Path) -> None:
    spec = spec_in(tmp_path)
    spec.folder.mkdir()
    (spec.folder / "thesis.txt").write_text("years of work", encoding="utf-8")

    with pytest.raises(LauncherError) as raised:
        ensure_environment(spec, working_runner(), MemoryConsole())

    assert raised.value.status is Exit.ENVIRONMENT
    assert (spec.folder / "thesis.txt").exists()


def test_a_failed_making_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails(command: list[str]) -> Outcome:
        make_venv(Path(command[-1]))
        return Outcome(1, ("Error: something broke",))

    spec = spec_in(tmp_path)
    with pytest.raises(LauncherError) as raised:
        ensure_environment(spec, FakeRunner({"venv": fails}), MemoryConsole())

    assert not spec.folder.exists()
    assert "something broke" in "\n".join(raised.value.details)


def test_debians_python_without_ensurepip_gives_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        launcher_venv.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else real(name)
    )
    spec = spec_in(tmp_path)
    with pytest.raises(LauncherError) as raised:
        ensure_environment(spec, working_runner(), MemoryConsole())

    assert "sudo apt install python3." in raised.value.fix
    assert raised.value.fix.split("python3.")[1].partition("-venv")[0].isdigit()
    assert not spec.folder.exists()


def test_debians_own_words_about_ensurepip_give_the_package_too(tmp_path: Path) -> None:
    words = "The virtual environment was not created successfully because ensurepip is not available."
    runner = FakeRunner({"venv": Outcome(1, (words,))})
    with pytest.raises(LauncherError) as raised:
        ensure_environment(spec_in(tmp_path), runner, MemoryConsole())

    assert "-venv" in raised.value.fix


def test_an_environment_that_never_works_is_an_error_and_not_a_loop(tmp_path: Path) -> None:
    runner = FakeRunner({"venv": creating_venv, "-c": Outcome(1)})
    with pytest.raises(LauncherError) as raised:
        ensure_environment(spec_in(tmp_path), runner, MemoryConsole())

    assert raised.value.status is Exit.ENVIRONMENT
    assert runner.count("venv") == 1
