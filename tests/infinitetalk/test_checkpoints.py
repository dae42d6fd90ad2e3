"""Windows that outlive an attempt."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from workers.handler import TaskCancelled, TaskError
from workers.infinitetalk import checkpoints
from workers.infinitetalk.checkpoints import KeptWindows, Resume, fingerprint
from workers.task_params import folder_of

FILM = "ab" * 32


def never() -> None:
    """Nobody cancels."""


def tensors(index: int) -> dict[str, torch.Tensor]:
    return {"motion": torch.full((3, 9, 4, 6), float(index)), "next_window": torch.tensor(index + 1)}


def keep(kept: KeptWindows, count: int, *, ended: bool = False) -> None:
    for index in range(count):
        kept.segment(index).write_bytes(b"pictures %d" % index)
        kept.keep(index, 81 if index == 0 else 72, None if ended and index == count - 1 else tensors(index))


def found(folder: Path, film: str = FILM) -> Resume:
    return KeptWindows(folder, film).resume(never)


def path(folder: Path, name: str) -> Path:
    return next(folder.rglob(name))


def next_window(resume: Resume) -> int:
    assert resume.tensors is not None
    assert torch.equal(resume.tensors["motion"], tensors(len(resume.windows) - 1)["motion"])
    return int(resume.tensors["next_window"])


def test_a_film_goes_on_after_its_last_window(tmp_path: Path) -> None:
    keep(KeptWindows(tmp_path, FILM), 3)
    resume = found(tmp_path)
    assert [window.index for window in resume.windows] == [0, 1, 2]
    assert [window.segment.read_bytes() for window in resume.windows] == [
        b"pictures %d" % index for index in range(3)
    ]
    assert resume.frames == 81 + 72 + 72
    assert next_window(resume) == 3


def test_nothing_kept_is_a_start_from_the_beginning(tmp_path: Path) -> None:
    assert found(tmp_path) == Resume((), None)


def test_another_film_is_not_taken(tmp_path: Path) -> None:
    keep(KeptWindows(tmp_path, FILM), 2)
    assert found(tmp_path, "cd" * 32).windows == ()
    assert len(found(tmp_path).windows) == 2


def test_a_finished_film_needs_no_tensors(tmp_path: Path) -> None:
    keep(KeptWindows(tmp_path, FILM), 2, ended=True)
    resume = found(tmp_path)
    assert len(resume.windows) == 2
    assert resume.tensors is None


def test_only_the_newest_windows_keep_their_tensors(tmp_path: Path) -> None:
    keep(KeptWindows(tmp_path, FILM), 7)
    assert sorted(one.name for one in tmp_path.rglob("*.safetensors")) == [
        "window-000005.safetensors",
        "window-000006.safetensors",
    ]


@pytest.mark.parametrize("damaged", ["window-000002.safetensors", "window-000002.h264", "window-000002.json"])
def test_a_damaged_window_is_made_again(tmp_path: Path, damaged: str) -> None:
    keep(KeptWindows(tmp_path, FILM), 3)
    path(tmp_path, damaged).write_bytes(b"broken")
    resume = found(tmp_path)
    assert len(resume.windows) == 2
    assert next_window(resume) == 2
    assert not list(tmp_path.rglob("window-000002.json"))


@pytest.mark.parametrize("lost", ["window-000002.safetensors", "window-000002.h264", "window-000002.json"])
def test_a_lost_file_is_made_again(tmp_path: Path, lost: str) -> None:
    keep(KeptWindows(tmp_path, FILM), 3)
    path(tmp_path, lost).unlink()
    assert next_window(found(tmp_path)) == 2


def test_what_follows_a_gap_does_not_count(tmp_path: Path) -> None:
    keep(KeptWindows(tmp_path, FILM), 4)
    path(tmp_path, "window-000001.h264").write_bytes(b"broken")
    # Window 0 has no tensors any more: the film begins again.
    assert found(tmp_path) == Resume((), None)
    assert not list(tmp_path.rglob("window-*"))


def test_a_killed_worker_leaves_no_half_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptWindows(tmp_path, FILM)
    keep(kept, 1)
    kept.segment(1).write_bytes(b"pictures 1")

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(checkpoints, "_settle", full)
    with pytest.raises(OSError, match="no space"):
        kept.keep(1, 72, tensors(1))
    monkeypatch.undo()
    assert list(tmp_path.rglob("*.part"))
    assert next_window(found(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_looking_for_windows_can_be_cancelled(tmp_path: Path) -> None:
    def cancelled() -> None:
        raise TaskCancelled

    with pytest.raises(TaskCancelled):
        KeptWindows(tmp_path, FILM).resume(cancelled)


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    for folder, content in (("a", b"speech"), ("b", b"speech"), ("c", b"spoken")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "audio.wav").write_bytes(content)

    def of(folder: str, **settings: object) -> str:
        return fingerprint({"steps": 4, **settings}, {"audio": tmp_path / folder / "audio.wav"})

    assert of("a") == of("b")
    assert of("a") != of("c")
    assert of("a") != of("a", steps=8)
    assert of("a") != of("a", seed=1)


def test_the_folder_must_be_absolute(tmp_path: Path) -> None:
    assert folder_of(None) is None
    assert folder_of(str(tmp_path)) == tmp_path
    for given in ("relative", "", 3):
        with pytest.raises(TaskError) as caught:
            folder_of(given)
        assert caught.value.code == "validation_failed"
