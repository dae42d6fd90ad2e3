"""The task from files to a film, with an upstream of a few lines: parts, kept parts, rungs, progress, cancel."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.media_samples import FFMPEG, make_speech, make_video
from tests.support.wan2gp_session import (
    Listener,
    Script,
    ScriptedSession,
    failed,
    progress,
    scripted_engine,
)
from workers.handler import Task, TaskCancelled, TaskError
from workers.wan2gp.table import Table, load_table
from workers.wan2gp.talking_avatar import Setting, make_talking_avatar

MODEL = "Wan t2v 1.3B"
# Long enough for two parts of the model below.
SECONDS = 5.0


def small_table() -> Table:
    """The real table with one model that draws thumbnails: what is tested here does not depend on pixels."""
    table = load_table(Path(__file__).resolve().parents[3] / "assets")
    model = table.video(MODEL)
    sizes = {
        name: replace(size, pixels=64 * 64, sizes=dict.fromkeys(size.sizes, (64, 64)))
        for name, size in model.sizes.items()
    }
    return replace(table, models=(replace(model, sizes=sizes, frames_max_part=49),))


TABLE = small_table()
STEPS = [progress("Encoding Prompt"), *(progress("Denoising", step, 4) for step in range(5))]


class Bench:
    """One job whose attempts can follow each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.attempts = 0
        Image.new("RGB", (64, 64)).save(folder / "portrait.png")
        make_speech(folder / "speech.wav", SECONDS)
        self._clips: dict[int, Path] = {}
        self.session: ScriptedSession | None = None
        self.output = folder

    def film(self, folder: Path, settings: Mapping[str, Any]) -> list[Path]:
        """A film of as many frames as were asked for, at the model's rate."""
        frames = int(settings["video_length"])
        if frames not in self._clips:
            rate = TABLE.video(MODEL).fps
            self._clips[frames] = make_video(
                self.folder / f"clip-{frames}.mp4",
                frames / rate,
                "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-r", str(rate),
            )  # fmt: skip
        path = folder / f"{settings['output_filename']}.mp4"
        shutil.copyfile(self._clips[frames], path)
        return [path]

    def good(self) -> Script:
        return Script(events=STEPS, write=self.film)

    def attempt(self, *scripts: Script, context: Listener | None = None, **params: Any) -> dict[str, Any]:
        self.attempts += 1
        self.output = self.folder / f"attempt-{self.attempts}"
        self.output.mkdir(exist_ok=True)
        engine, self.session = scripted_engine(self.folder, *scripts)
        task = Task(
            job_id="job_1",
            attempt=self.attempts,
            task="talking_avatar",
            model=None,
            inputs={"portrait": self.folder / "portrait.png", "audio": self.folder / "speech.wav"},
            params={
                "model": MODEL,
                "steps": 4,
                "script": "A hill. A lake.",
                "checkpoint_dir": str(self.kept),
                **params,
            },
            output_dir=self.output,
            seed=7,
        )
        setting = Setting(engine, TABLE, str(FFMPEG.binary), "12.60")
        return make_talking_avatar(task, context or Listener(), setting)

    def sent(self) -> list[dict[str, Any]]:
        assert self.session is not None
        return self.session.submitted


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_parts_become_one_film_as_long_as_the_speech(bench: Bench) -> None:
    context = Listener()
    data = bench.attempt(bench.good(), context=context)
    assert data["parts"] == len(bench.sent()) > 1
    assert (data["parts_reused"], data["rung"], data["changes"], data["seed"]) == (0, 0, [], 7)
    assert (data["model"], data["model_type"], data["upstream"]) == (MODEL, "t2v_1.3B", "12.60")
    ((role, path, facts),) = context.artifacts
    assert (role, facts["width"], facts["height"]) == ("video", data["width"], data["height"])
    assert facts["duration_s"] >= SECONDS
    assert sorted(entry.name for entry in bench.output.iterdir()) == ["upstream", path.name]
    fractions = [fraction for fraction, _ in context.reports if fraction is not None]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, pytest.approx(0.97))
    assert any(message.startswith("Part 2 of") for _, message in context.reports)


def test_every_part_has_a_name_and_a_seed_of_its_own_kind(bench: Bench) -> None:
    bench.attempt(bench.good())
    names = [settings["output_filename"] for settings in bench.sent()]
    assert names == [f"part-{index:04d}" for index in range(len(names))]
    assert all(settings["multi_prompts_gen_type"] == "FG" for settings in bench.sent())
    assert all(0 <= settings["seed"] < 2**31 for settings in bench.sent())


def test_a_failure_in_the_second_part_leaves_the_first_for_the_next_attempt(bench: Bench) -> None:
    with pytest.raises(TaskError) as caught:
        bench.attempt(bench.good(), Script(errors=[failed("CUDA out of memory. Tried to allocate")]))
    assert caught.value.code == "gpu_oom"
    data = bench.attempt(bench.good())
    assert data["parts_reused"] == 1
    assert len(bench.sent()) == data["parts"] - 1


def test_a_part_that_was_made_with_less_given_up_is_taken_on_a_lower_rung(bench: Bench) -> None:
    with pytest.raises(TaskError):
        bench.attempt(bench.good(), Script(errors=[failed("CUDA out of memory. Tried to allocate")]))
    data = bench.attempt(bench.good(), rung=1)
    assert data["rung"] == 1
    assert data["changes"]
    assert data["parts_reused"] == 1


def test_a_part_that_was_made_with_more_given_up_is_not_taken_higher_up(bench: Bench) -> None:
    bench.attempt(bench.good(), rung=len(TABLE.video(MODEL).rungs))
    assert bench.attempt(bench.good())["parts_reused"] == 0


def test_another_prompt_or_speech_takes_nothing_that_was_kept(bench: Bench) -> None:
    bench.attempt(bench.good(), prompt="a forest")
    assert bench.attempt(bench.good(), prompt="a forest")["parts_reused"] > 1
    assert bench.attempt(bench.good(), prompt="a desert")["parts_reused"] == 0


def test_a_cancel_between_parts_is_heard_before_the_next_one_begins(bench: Bench) -> None:
    context = Listener()
    first = bench.good()

    def write(folder: Path, settings: Mapping[str, Any]) -> list[Path]:
        return bench.film(folder, settings)

    class Ending(Listener):
        def progress(self, fraction: float | None, message: str = "", **more: Any) -> None:
            super().progress(fraction, message, **more)
            self.cancelled = "is done" in message

    context = Ending()
    with pytest.raises(TaskCancelled):
        bench.attempt(Script(events=first.events, write=write), context=context)
    assert len(bench.sent()) == 1
    assert bench.attempt(bench.good())["parts_reused"] == 1


def test_a_file_that_is_no_film_is_not_kept(bench: Bench) -> None:
    def write(folder: Path, settings: Mapping[str, Any]) -> list[Path]:
        path = folder / f"{settings['output_filename']}.mp4"
        path.write_bytes(b"not a film")
        return [path]

    with pytest.raises(TaskError) as caught:
        bench.attempt(Script(write=write))
    assert caught.value.code == "no_output"
    assert list(bench.kept.glob("*.mp4")) == []


def test_without_a_folder_for_parts_they_stay_in_the_attempt(bench: Bench) -> None:
    data = bench.attempt(bench.good(), checkpoint_dir=None)
    assert len(list((bench.output / "parts").glob("*.mp4"))) == data["parts"]


def test_what_a_killed_attempt_left_in_the_same_folder_does_no_harm(bench: Bench) -> None:
    bench.attempts = 7
    left = bench.folder / "attempt-8"
    for name in ("scratch/rung-0/portrait.png", "upstream/part-0000.mp4", "video.mp4"):
        (left / name).parent.mkdir(parents=True, exist_ok=True)
        (left / name).write_bytes(b"half")
    data = bench.attempt(bench.good())
    assert data["parts_reused"] == 0
    assert not (left / "scratch").exists()
    assert len((left / "video.mp4").read_bytes()) > 1000
