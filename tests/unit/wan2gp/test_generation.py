"""One generation of upstream: what is sent, what is heard, what comes back, and that nothing is left running."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.support.wan2gp_session import (
    Listener,
    Said,
    Script,
    failed,
    printed,
    progress,
    scripted_engine,
    writes_one_file,
)
from workers.handler import TaskCancelled, TaskError
from workers.wan2gp import generation
from workers.wan2gp.generation import generate
from workers.wan2gp.progress import Step

SETTINGS = {"model_type": "multitalk", "prompt": "x", "seed": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "upstream"


def run(engine: Any, folder: Path, context: Listener | None = None, **more: Any) -> Path:
    return generate(engine, SETTINGS, folder=folder, name="part-0000", context=context or Listener(), **more)


def error_of(engine: Any, folder: Path) -> TaskError:
    with pytest.raises(TaskError) as caught:
        run(engine, folder)
    return caught.value


def test_the_settings_are_sent_with_a_name_for_the_file(tmp_path: Path, folder: Path) -> None:
    engine, session = scripted_engine(tmp_path, Script(write=writes_one_file))
    path = run(engine, folder)
    assert session.submitted == [{**SETTINGS, "output_filename": "part-0000"}]
    assert path == (folder / "part-0000.mp4").resolve()
    assert path.read_bytes() == b"film"


def test_of_several_files_the_last_one_that_exists_is_the_result_and_the_only_one_left(
    tmp_path: Path, folder: Path
) -> None:
    def write(folder: Path, settings: Mapping[str, Any]) -> list[Path]:
        names = ("first.mp4", "whole.mp4", "empty.mp4", "gone.mp4")
        for name in names[:3]:
            (folder / name).write_bytes(b"" if name == "empty.mp4" else b"film")
        (folder / "x_tmp.mp4").write_bytes(b"rest")
        return [folder / name for name in names]

    engine, _ = scripted_engine(tmp_path, Script(write=write))
    path = run(engine, folder)
    assert path.name == "whole.mp4"
    assert [entry.name for entry in folder.iterdir()] == ["whole.mp4"]


def test_what_lay_in_the_folder_is_gone_before_upstream_chooses_a_name(tmp_path: Path, folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "part-0000.mp4").write_bytes(b"old")
    engine, _ = scripted_engine(tmp_path, Script(write=writes_one_file))
    assert run(engine, folder).read_bytes() == b"film"
    assert not (folder / "sub").exists()


def test_a_success_without_a_file_is_a_failure_with_what_upstream_said(tmp_path: Path, folder: Path) -> None:
    engine, _ = scripted_engine(tmp_path, Script(events=[Said("info", "attention 'x' is not installed")]))
    error = error_of(engine, folder)
    assert error.code == "no_output"
    assert "attention 'x' is not installed" in error.detail


def test_a_full_disk_behind_a_success_without_a_file_is_named(tmp_path: Path, folder: Path) -> None:
    engine, _ = scripted_engine(tmp_path, Script(events=[printed("[Errno 28] No space left on device")]))
    assert error_of(engine, folder).code == "disk_full"


def test_the_first_error_counts_and_half_a_file_is_removed(tmp_path: Path, folder: Path) -> None:
    script = Script(
        events=[
            printed("Traceback (most recent call last):"),
            printed("torch.OutOfMemoryError: CUDA out of memory."),
        ],
        errors=[failed("... unsufficient VRAM ..."), failed("Generation was cancelled", "cancelled")],
        write=writes_one_file,
    )
    engine, _ = scripted_engine(tmp_path, script)
    error = error_of(engine, folder)
    assert error.code == "gpu_oom"
    assert "torch.OutOfMemoryError: CUDA out of memory." in error.detail
    assert list(folder.iterdir()) == []


def test_a_cancel_is_passed_on_and_everything_is_drained(tmp_path: Path, folder: Path) -> None:
    script = Script(events=[progress("Denoising", 1, 9)] * 50, waits=True, write=writes_one_file)
    engine, session = scripted_engine(tmp_path, script)
    context = Listener()

    def on_step(step: Step) -> None:
        context.cancelled = True

    with pytest.raises(TaskCancelled):
        run(engine, folder, context, on_step=on_step)
    assert session.jobs[0].done
    assert session.jobs[0].events.taken == 50
    assert list(folder.iterdir()) == []


def test_a_cancelled_task_is_not_even_submitted(tmp_path: Path, folder: Path) -> None:
    engine, session = scripted_engine(tmp_path, Script())
    context = Listener()
    context.cancelled = True
    with pytest.raises(TaskCancelled):
        run(engine, folder, context)
    assert session.submitted == []


def test_a_failure_of_ours_ends_upstreams_job_before_it_is_raised(tmp_path: Path, folder: Path) -> None:
    engine, session = scripted_engine(tmp_path, Script(events=[progress("Denoising", 1, 9)] * 3, waits=True))

    def on_step(step: Step) -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        run(engine, folder, on_step=on_step)
    assert session.jobs[0].cancelled.is_set()
    assert session.jobs[0].done


def test_a_preview_that_cannot_be_written_ends_the_job_and_says_so(tmp_path: Path, folder: Path) -> None:
    picture = SimpleNamespace(image=Image.new("RGB", (20, 20)))
    engine, session = scripted_engine(tmp_path, Script(events=[Said("preview", picture)], waits=True))
    with pytest.raises(FileNotFoundError):
        run(engine, folder, preview=tmp_path / "nowhere" / "preview.jpg")
    assert session.jobs[0].done


def test_previews_become_a_file(tmp_path: Path, folder: Path) -> None:
    events = [
        Said("preview", SimpleNamespace(image=None)),
        Said("preview", SimpleNamespace(image=Image.new("RGB", (20, 20)))),
    ]
    engine, _ = scripted_engine(tmp_path, Script(events=events, write=writes_one_file))
    run(engine, folder, preview=tmp_path / "preview.jpg")
    with Image.open(tmp_path / "preview.jpg") as picture:
        assert picture.size == (20, 20)


def test_a_job_without_a_result_poisons_the_worker(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "_RESULT_S", 0.01)
    engine, _ = scripted_engine(tmp_path, Script(never_ends=True))
    error = error_of(engine, folder)
    assert (error.code, error.poisons_worker) == ("internal_error", True)
    again = error_of(engine, folder)
    assert again.poisons_worker
    assert "not done" in again.detail


def test_an_error_that_leaves_upstreams_thread_running_poisons_the_worker(
    tmp_path: Path, folder: Path
) -> None:
    engine, _ = scripted_engine(tmp_path, Script(errors=[failed("'NoneType' object …", "runtime")]))
    error = error_of(engine, folder)
    assert (error.code, error.poisons_worker) == ("internal_error", True)


def test_a_model_that_upstream_does_not_know_is_never_submitted(tmp_path: Path, folder: Path) -> None:
    engine, session = scripted_engine(tmp_path, Script(), known=frozenset({"t2v"}))
    error = error_of(engine, folder)
    assert error.code == "engine_not_installed"
    assert session.submitted == []


def test_the_time_of_loading_a_model_is_measured(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([10.0, 13.5])
    monkeypatch.setattr(generation, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    events = [Said("status", "Loading model Multitalk 480p 14B..."), Said("status", "Model loaded")]
    engine, _ = scripted_engine(tmp_path, Script(events=events, write=writes_one_file))
    steps: list[Step] = []
    run(engine, folder, on_step=steps.append)
    assert engine.load_s == 3.5
    assert [step.phase for step in steps] == ["loading"]


def test_what_upstream_prints_goes_to_the_log_pipe(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine, _ = scripted_engine(tmp_path, Script(events=[printed("保存 saved")], write=writes_one_file))
    run(engine, folder)
    assert "保存 saved" in capfd.readouterr().err


def test_a_file_that_cannot_be_removed_does_not_hide_the_outcome(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(entry: Path) -> None:
        raise PermissionError("in use")

    engine, _ = scripted_engine(
        tmp_path, Script(errors=[failed("CUDA out of memory.")], write=writes_one_file)
    )
    monkeypatch.setattr(generation, "_remove", refuse)
    assert error_of(engine, folder).code == "gpu_oom"
