"""A task's files and values are judged before anything is sent to upstream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.media_samples import make_speech
from workers.handler import Task, TaskError
from workers.wan2gp.framing import Face
from workers.wan2gp.inputs import facts_of
from workers.wan2gp.parts import Facts
from workers.wan2gp.table import load_table

TABLE = load_table(Path(__file__).resolve().parents[3] / "assets")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("媒体 media")
    Image.new("RGB", (64, 96)).save(folder / "portrait.png")
    found = {"portrait": folder / "portrait.png"}
    for name, seconds in (("audio", 2.0), ("track_1", 2.0), ("track_2", 2.0), ("short", 1.0)):
        found[name] = make_speech(folder / f"{name}.wav", seconds)
    (folder / "text.bin").write_text("not a medium")
    (folder / "empty.bin").touch()
    return {**found, "text": folder / "text.bin", "empty": folder / "empty.bin", "gone": folder / "gone"}


def facts(
    media: dict[str, Path], tmp_path: Path, files: dict[str, str] | None = None, **params: Any
) -> Facts:
    names = {"portrait": "portrait", "audio": "audio", **(files or {})}
    task = Task(
        job_id="job_1",
        attempt=1,
        task="talking_avatar",
        model=None,
        inputs={name: media[source] for name, source in names.items() if source},
        params={"model": "Wan Multitalk", **params},
        output_dir=tmp_path,
        seed=2**40 + 5,
    )
    return facts_of(task, TABLE, scratch=tmp_path, ffmpeg="ffmpeg")


def code_of(
    media: dict[str, Path], tmp_path: Path, files: dict[str, str] | None = None, **params: Any
) -> str:
    with pytest.raises(TaskError) as caught:
        facts(media, tmp_path, files, **params)
    assert caught.value.message
    assert str(tmp_path) not in caught.value.message
    return caught.value.code


def test_a_good_task_becomes_facts(media: dict[str, Path], tmp_path: Path) -> None:
    found = facts(media, tmp_path, resolution="720p", aspect="source", prompt="a\r\n{b}", steps=8, rung=2)
    assert (found.resolution, found.aspect, found.steps, found.rung) == ("720p", "source", 8, 2)
    assert found.prompt == "a\n(b)"
    assert found.portrait_size == (64, 96)
    assert found.audio_s == pytest.approx(2.0, abs=0.01)
    assert found.seed == 5
    assert (found.tracks, found.faces) == ((), ())


def test_what_is_not_given_has_a_default(media: dict[str, Path], tmp_path: Path) -> None:
    found = facts(media, tmp_path)
    assert (found.resolution, found.aspect, found.prompt, found.script) == ("512p", "1:1", "", "")
    assert (found.rung, found.steps, found.timings) == (0, None, None)


def test_two_speakers_need_two_tracks(media: dict[str, Path], tmp_path: Path) -> None:
    box = {"x": 0, "y": 0.1, "w": 0.5, "h": 0.9}
    files = {"track_1": "track_1", "track_2": "track_2"}
    found = facts(media, tmp_path, files, speakers=[{"face": box}, {"face": None}])
    assert found.faces == (Face(0.0, 0.1, 0.5, 0.9), None)
    assert [path.name for path in found.tracks] == ["track_1.wav", "track_2.wav"]
    assert code_of(media, tmp_path, {"track_1": "track_1"}, speakers=[{}, {}]) == "validation_failed"
    assert code_of(media, tmp_path, {**files, "track_2": "short"}, speakers=[{}, {}]) == "validation_failed"
    assert code_of(media, tmp_path, {**files, "track_2": "text"}, speakers=[{}, {}]) == "audio_unreadable"


def test_a_text_model_needs_no_portrait(media: dict[str, Path], tmp_path: Path) -> None:
    assert facts(media, tmp_path, {"portrait": ""}, model="Wan t2v 1.3B").portrait is None
    assert facts(media, tmp_path, {"portrait": "text"}, model="Wan t2v 1.3B").portrait is None


@pytest.mark.parametrize(
    ("name", "source", "code"),
    [
        ("portrait", "", "validation_failed"),
        ("portrait", "gone", "image_unreadable"),
        ("portrait", "empty", "image_unreadable"),
        ("portrait", "text", "image_unreadable"),
        ("portrait", "audio", "image_unreadable"),
        ("audio", "", "validation_failed"),
        ("audio", "gone", "audio_unreadable"),
        ("audio", "empty", "audio_unreadable"),
        ("audio", "text", "audio_unreadable"),
        ("audio", "portrait", "audio_unreadable"),
        ("timings", "text", "validation_failed"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    media: dict[str, Path], tmp_path: Path, name: str, source: str, code: str
) -> None:
    assert code_of(media, tmp_path, {name: source}) == code


@pytest.mark.parametrize(
    "params",
    [
        {"model": "Wan 99"},
        {"model": None},
        {"model": 5},
        {"resolution": "4k"},
        {"resolution": None},
        {"aspect": "4:3"},
        {"aspect": ["1:1"]},
        {"prompt": 5},
        {"prompt": "a\0b"},
        {"script": {"text": "x"}},
        {"rung": -1},
        {"rung": True},
        {"rung": 1.5},
        {"steps": 0},
        {"steps": "30"},
        {"steps": 101},
        {"speakers": [{}]},
        {"speakers": "AB"},
        {"speakers": [{}, 5]},
        {"speakers": [{"face": [0, 0, 1, 1]}, {}]},
        {"speakers": [{"face": {"x": 0, "y": 0, "w": 0, "h": 1}}, {}]},
        {"speakers": [{"face": {"x": 0.8, "y": 0, "w": 0.5, "h": 1}}, {}]},
        {"speakers": [{"face": {"x": float("nan"), "y": 0, "w": 1, "h": 1}}, {}]},
        {"speakers": [{"face": {"x": True, "y": 0, "w": 1, "h": 1}}, {}]},
    ],
)
def test_values_of_the_wrong_kind_are_refused(
    media: dict[str, Path], tmp_path: Path, params: dict[str, Any]
) -> None:
    assert code_of(media, tmp_path, **params) == "validation_failed"
