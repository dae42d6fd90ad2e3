"""The configuration that upstream is given: complete, ours, one file for each GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.handler import TaskError
from workers.wan2gp.config import CONFIG_NAME, write_config


def written(tmp_path: Path, **options: Any) -> tuple[Path, dict[str, Any]]:
    path = write_config(options, tmp_path / "config", root=tmp_path / "core", models_dir=tmp_path / "models")
    return path, json.loads(path.read_text(encoding="utf-8"))


def test_what_matters_is_said_and_nothing_is_left_to_a_default(tmp_path: Path) -> None:
    path, config = written(tmp_path)
    assert path.name == CONFIG_NAME
    assert path.is_absolute()
    assert config["checkpoints_paths"] == [str(tmp_path / "models" / "wan2gp")]
    assert config["keep_intermediate_sliding_windows"] == 0
    assert config["enhancer_enabled"] == 0
    assert config["enabled_plugins"] == []
    assert config["preload_model_policy"] == []
    assert config["metadata_type"] == "none"
    assert config["audio_stand_alone_output_codec"] == "wav"
    assert (config["profile"], config["video_profile"], config["attention_mode"]) == (4, 4, "auto")
    for name in ("save_path", "image_save_path", "audio_save_path", "loras_root"):
        assert Path(config[name]).is_absolute()


def test_the_options_of_the_worker_are_taken(tmp_path: Path) -> None:
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    _, config = written(tmp_path, checkpoints=folders, profile=3.5, attention="sdpa")
    assert config["checkpoints_paths"] == folders
    assert (config["video_profile"], config["attention_mode"]) == (3.5, "sdpa")


def test_workers_of_two_gpus_do_not_write_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    paths = {written(tmp_path)[0]}
    for gpus in ("0", "1", "GPU-8f6a/…"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        paths.add(written(tmp_path)[0])
    assert len(paths) == 4


def test_what_upstream_wrote_into_it_does_not_live_on(tmp_path: Path) -> None:
    path, config = written(tmp_path)
    path.write_text(json.dumps({**config, "enabled_plugins": ["x"]}), encoding="utf-8")
    assert written(tmp_path)[1]["enabled_plugins"] == []
    assert [entry.name for entry in path.parent.iterdir()] == [CONFIG_NAME]


@pytest.mark.parametrize(
    "options",
    [
        {"profile": 7},
        {"profile": True},
        {"profile": "4"},
        {"attention": "sage9"},
        {"checkpoints": ["ckpts"]},
        {"checkpoints": [5]},
    ],
)
def test_options_that_do_not_exist_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TaskError) as caught:
        written(tmp_path, **options)
    assert caught.value.code == "validation_failed"
