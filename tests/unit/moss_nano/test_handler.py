"""The moss_nano worker's task from script to files, on tiny graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.speech_task import MemoryContext, Studio
from tests.support.tiny_moss import write_tiny_moss
from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.moss_nano import layout as names
from workers.moss_nano.handler import MossNanoHandler, create_handler

ASSETS = Path(__file__).resolve().parents[3] / "assets"


def loaded(models: Path, folder: Path) -> MossNanoHandler:
    handler = create_handler()
    options = {"threads": 1, "assets_dir": str(ASSETS)}
    handler.load(WorkerSetup("moss_nano", None, folder, models, folder / "cache", None, options))
    return handler


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    write_tiny_moss(tmp_path / "models", frames=12)
    return tmp_path / "models"


def test_a_script_becomes_speech_in_the_voice_of_the_sample(models: Path, tmp_path: Path) -> None:
    studio = Studio(loaded(models, tmp_path), tmp_path)
    spoken = studio.speak("Hello there. 今天天气很好。")
    assert spoken.data["sentences"] == 2
    assert spoken.timings["engine"] == "moss-tts-nano-100m"
    assert 1.5 < spoken.data["duration_s"] < 6.0
    assert np.abs(spoken.samples).max() > 0.05
    again = studio.speak("Hello there. 今天天气很好。")
    assert again.data["cached_sentences"] == 2
    assert np.array_equal(spoken.samples, again.samples)


def test_what_is_not_installed_is_said_with_the_first_task_and_again_after_it_is(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    studio = Studio(loaded(models, tmp_path), tmp_path)
    with pytest.raises(TaskError) as caught:
        studio.speak("Hello.")
    assert caught.value.code == "model_missing"
    write_tiny_moss(models)
    assert studio.speak("Hello there.").data["sentences"] == 1


def test_a_damaged_graph_is_a_damaged_model(models: Path, tmp_path: Path) -> None:
    (models / names.FOLDER / names.DECODE).write_bytes(b"no graph")
    with pytest.raises(TaskError, match="damaged") as caught:
        Studio(loaded(models, tmp_path), tmp_path).speak("Hello.")
    assert caught.value.code == "model_missing"


def test_unloading_frees_the_model_and_the_next_task_loads_it(models: Path, tmp_path: Path) -> None:
    handler = loaded(models, tmp_path)
    studio = Studio(handler, tmp_path)
    handler.unload()
    assert studio.speak("Hello there.").data["sentences"] == 1


def test_a_cancel_is_seen(models: Path, tmp_path: Path) -> None:
    studio = Studio(loaded(models, tmp_path), tmp_path)
    with pytest.raises(TaskCancelled):
        studio.speak("One. Two. Three.", context=MemoryContext(cancel_after=2))


def test_another_task_is_refused(models: Path, tmp_path: Path) -> None:
    task = Task("job_x", 1, "sing", None, {}, {}, tmp_path, 0)
    with pytest.raises(TaskError, match="no task called 'sing'"):
        loaded(models, tmp_path).run(task, MemoryContext())
