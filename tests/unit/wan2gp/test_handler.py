"""The worker's handler: what it says when it is ready, which tasks it knows, and what it forgets between them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.wan2gp_session import Listener, Script, scripted_engine
from workers.handler import Task, TaskError, WorkerSetup
from workers.wan2gp import handler as module
from workers.wan2gp.handler import Wan2GpHandler, create_handler

ASSETS = Path(__file__).resolve().parents[3] / "assets"


def setup_of(tmp_path: Path, **options: Any) -> WorkerSetup:
    return WorkerSetup("wan2gp", tmp_path, tmp_path, tmp_path, tmp_path, {"name": "RTX"}, options)


def task_of(tmp_path: Path, name: str, **params: Any) -> Task:
    return Task("job_1", 1, name, None, {}, params, tmp_path, 1)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Wan2GpHandler, Any, dict[str, Any]]:
    engine, session = scripted_engine(tmp_path, Script())
    monkeypatch.setattr(module, "start_engine", lambda setup: engine)
    monkeypatch.setitem(sys.modules, "wgp", SimpleNamespace(WanGP_version="12.60"))
    handler = create_handler()
    return handler, session, handler.load(setup_of(tmp_path, assets_dir=str(ASSETS), ffmpeg="ffmpeg"))


def test_it_says_which_upstream_runs_and_what_the_table_was_made_for(
    loaded: tuple[Wan2GpHandler, Any, dict[str, Any]],
) -> None:
    ready = loaded[2]
    assert ready["engine_version"] == "wan2gp 12.60"
    assert (ready["upstream"], ready["table_made_for"]) == ("12.60", "12.60")
    assert "Wan Multitalk" in ready["models"]
    assert ready["devices"] == ["RTX"]


def test_an_unknown_task_is_refused(
    loaded: tuple[Wan2GpHandler, Any, dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(TaskError) as caught:
        loaded[0].run(task_of(tmp_path, "dance"), Listener())
    assert caught.value.code == "validation_failed"


def test_a_task_before_loading_is_a_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        create_handler().run(task_of(tmp_path, "talking_avatar"), Listener())
    assert caught.value.code == "internal_error"


def test_a_table_that_is_not_there_is_told_before_upstream_is_imported(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        create_handler().load(setup_of(tmp_path, assets_dir=str(tmp_path)))
    assert caught.value.code == "internal_error"


def test_unloading_releases_the_model_and_is_harmless_before_loading(
    loaded: tuple[Wan2GpHandler, Any, dict[str, Any]],
) -> None:
    create_handler().unload()
    loaded[0].unload()
    assert loaded[1].closed == 1


@pytest.mark.parametrize("in_use", [True, False])
def test_the_peak_of_the_gpus_memory_is_that_of_one_task(
    loaded: tuple[Wan2GpHandler, Any, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_use: bool,
) -> None:
    resets: list[str] = []
    cuda = SimpleNamespace(
        is_initialized=lambda: in_use, reset_peak_memory_stats=lambda: resets.append("reset")
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with pytest.raises(TaskError):
        loaded[0].run(task_of(tmp_path, "talking_avatar", model="Wan 99"), Listener())
    assert resets == (["reset"] if in_use else [])
