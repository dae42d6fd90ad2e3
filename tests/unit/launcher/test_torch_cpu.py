"""PyTorch for the engine's tests: from where pip looks already, then from PyTorch's own index, and once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.dependencies import ensure_dependencies
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome
from launcher.project import engine_test_environment
from launcher.torch_cpu import BUILD, INDEX, ensure_torch
from tests.unit.launcher.twins import FakeRunner, MemoryConsole


def test_it_is_installed_once(tmp_path: Path) -> None:
    runner = FakeRunner({"-c": Outcome(0, (BUILD,))})
    assert not ensure_torch(engine_test_environment(tmp_path), runner, MemoryConsole())
    assert runner.count("install") == 0


@pytest.mark.parametrize("there", ["", "2.12.0", "2.13.0+cu130"])
def test_another_build_is_replaced_without_its_requirements(tmp_path: Path, there: str) -> None:
    runner = FakeRunner({"-c": Outcome(0, (there,))})
    assert ensure_torch(engine_test_environment(tmp_path), runner, MemoryConsole())
    (command,) = [call for call in runner.calls if "install" in call]
    assert command[-1] == f"torch=={BUILD}"
    assert "--no-deps" in command


def test_where_pip_does_not_find_it_pytorchs_own_index_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
    missing = Outcome(1, ("ERROR: No matching distribution found for torch",))
    runner = FakeRunner(
        {"-c": Outcome(1), "install": lambda call: Outcome(0) if f"{INDEX}/cpu" in call else missing}
    )
    assert ensure_torch(engine_test_environment(tmp_path), runner, MemoryConsole())
    assert runner.count("install") == 2

    (tmp_path / ".env").write_text("TORCH_INDEX_URL=https://mirror.example/whl/\n", encoding="utf-8")
    with pytest.raises(LauncherError) as caught:
        ensure_torch(engine_test_environment(tmp_path), runner, MemoryConsole())
    assert runner.calls[-1][-1] == "https://mirror.example/whl/cpu"
    assert caught.value.status == Exit.DEPENDENCIES
    assert "TORCH_INDEX_URL" in str(caught.value.fix)


def test_the_lock_is_installed_without_looking_for_what_comes_by_itself(tmp_path: Path) -> None:
    spec = engine_test_environment(tmp_path)
    spec.folder.mkdir()
    spec.lock.parent.mkdir(parents=True)
    spec.lock.write_text("x==1\n", encoding="utf-8")
    runner = FakeRunner()
    ensure_dependencies(spec, "3.11.7", runner, MemoryConsole())
    assert "--no-deps" in runner.calls[-1]
    plain = replace(spec, comes_by_itself=None, folder=tmp_path / "other")
    plain.folder.mkdir()
    ensure_dependencies(plain, "3.11.7", runner, MemoryConsole())
    assert "--no-deps" not in runner.calls[-1]
