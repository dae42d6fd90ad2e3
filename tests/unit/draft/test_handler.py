"""The handler: light to import, clear about what it cannot do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.draft.conftest import ASSETS, FakeContext
from workers.draft.handler import create_handler
from workers.handler import Task, TaskError, WorkerSetup

ROOT = Path(__file__).resolve().parents[3]


def setup(tmp_path: Path, assets: Path = ASSETS) -> WorkerSetup:
    options = {"ffmpeg": "ffmpeg", "threads": 1, "assets_dir": str(assets)}
    return WorkerSetup("draft", None, tmp_path, tmp_path, tmp_path, None, options)


def task(tmp_path: Path, name: str, **params: object) -> Task:
    inputs = {
        "portrait": tmp_path / "none.png",
        "audio": tmp_path / "none.wav",
        "image": tmp_path / "none.png",
    }
    return Task("job_00000001", 1, name, None, inputs, params, tmp_path, 1)


def test_importing_the_handler_imports_nothing_heavy() -> None:
    script = (
        "import sys, workers.draft.handler\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'PIL', 'pi_heif', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_loading_tells_what_was_loaded_and_unloading_forgets_it(tmp_path: Path) -> None:
    handler = create_handler()
    facts = handler.load(setup(tmp_path))
    assert facts["devices"] == ["cpu"]
    assert "viseme-net" in facts["models"]
    handler.unload()
    handler.unload()
    with pytest.raises(TaskError) as caught:
        handler.run(task(tmp_path, "portrait_probe"), FakeContext())
    assert caught.value.code == "internal_error"


def test_a_missing_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        create_handler().load(setup(tmp_path, assets=tmp_path / "nowhere"))
    assert caught.value.code == "model_missing"
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("make_coffee", {}),
        ("talking_avatar", {"fps": 1000}),
        ("talking_avatar", {"fps": "many"}),
        ("talking_avatar", {"head_motion": -1}),
        ("talking_avatar", {"size": None}),
    ],
)
def test_wrong_tasks_and_parameters_are_refused(tmp_path: Path, name: str, params: dict[str, object]) -> None:
    handler = create_handler()
    handler.load(setup(tmp_path))
    with pytest.raises(TaskError) as caught:
        handler.run(task(tmp_path, name, **params), FakeContext())
    assert caught.value.code == "validation_failed"
