"""Windows into segments, segments into one film, with the real ffmpeg."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import imageio_ffmpeg
import pytest
import torch

from workers import ffmpeg as ff
from workers.handler import TaskCancelled, TaskError
from workers.infinitetalk.video_file import FrameSize, join_segments, probe, write_segment

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FPS = 25


def never() -> None:
    """Nobody cancels."""


def frames(count: int, *, first: int = 0, height: int = 32, width: int = 48) -> torch.Tensor:
    """A bar that moves by a pixel a frame over a plain colour, so that every frame is known by sight."""
    pictures = torch.full((count, height, width, 3), 90, dtype=torch.uint8)
    for index in range(count):
        pictures[index, :, (first + index) % width] = torch.tensor([250, 40, 10], dtype=torch.uint8)
    return pictures


def decoded(path: Path, *, height: int = 32, width: int = 48) -> torch.Tensor:
    argv = ff.command(FFMPEG, *ff.media_input(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1")
    data = bytearray()
    with ff.FfmpegChild(argv, deadline_s=60, stdout=True) as child:
        while block := child.read(1 << 20):
            data += block
        child.finish()
    return torch.frombuffer(data, dtype=torch.uint8).reshape(-1, height, width, 3)


def segment(folder: Path, name: str, pictures: torch.Tensor, *, hold: int = 0) -> Path:
    path = folder / name
    write_segment(pictures, path, fps=FPS, ffmpeg=FFMPEG, check=never, hold=hold)
    return path


def test_segments_become_a_film_with_every_frame_in_its_place(tmp_path: Path) -> None:
    whole = frames(40)
    parts = [
        segment(tmp_path, "0", whole[:17]),
        segment(tmp_path, "1", whole[17:33]),
        segment(tmp_path, "2", whole[33:]),
    ]
    join_segments(parts, tmp_path / "film.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    film = probe(tmp_path / "film.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    assert (film.width, film.height, film.frames) == (48, 32, 40)
    seen = decoded(tmp_path / "film.mp4").float()
    # The bar's column is the darkest in green, frame by frame.
    assert seen[:, :, :, 1].mean(1).argmin(1).tolist() == [index % 48 for index in range(40)]


def test_joining_encodes_nothing_again(tmp_path: Path) -> None:
    part = segment(tmp_path, "0", frames(9))
    join_segments([part, part], tmp_path / "film.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    twice = decoded(tmp_path / "film.mp4")
    assert torch.equal(twice[:9], twice[9:])


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (segment(tmp_path, name, frames(20)) for name in ("one", "two"))
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest()


def test_colours_survive(tmp_path: Path) -> None:
    plain = torch.zeros(5, 32, 48, 3, dtype=torch.uint8)
    plain[:, :16] = torch.tensor([200, 60, 40], dtype=torch.uint8)
    plain[:, 16:] = torch.tensor([20, 130, 220], dtype=torch.uint8)
    join_segments([segment(tmp_path, "0", plain)], tmp_path / "f.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    off = (decoded(tmp_path / "f.mp4").int() - plain.int()).abs()
    assert off[:, :14].max() <= 4
    assert off[:, 18:].max() <= 4


def test_the_last_frame_is_held(tmp_path: Path) -> None:
    held = segment(tmp_path, "0", frames(3), hold=2)
    join_segments([held], tmp_path / "f.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    seen = decoded(tmp_path / "f.mp4").float()
    assert seen[:, :, :, 1].mean(1).argmin(1).tolist() == [0, 1, 2, 2, 2]


def test_a_long_film_needs_the_memory_of_a_window(tmp_path: Path) -> None:
    part = segment(tmp_path, "0", torch.randint(0, 255, (25, 64, 64, 3), dtype=torch.uint8))
    tracemalloc.start()
    join_segments([part] * 110, tmp_path / "f.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert part.stat().st_size * 110 > 8 << 20
    assert peak < 4 << 20
    assert probe(tmp_path / "f.mp4", fps=FPS, ffmpeg=FFMPEG, check=never).frames == 2750


def test_a_cancel_leaves_no_segment(tmp_path: Path) -> None:
    left = [3]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise TaskCancelled

    with pytest.raises(TaskCancelled):
        write_segment(frames(9), tmp_path / "0", fps=FPS, ffmpeg=FFMPEG, check=check)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Start the job again") as caught:
        write_segment(frames(2), tmp_path / "no" / "folder", fps=FPS, ffmpeg=FFMPEG, check=never)
    assert caught.value.code == "internal_error"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").symlink_to("/dev/full")
    part = segment(tmp_path, "0", torch.randint(0, 255, (9, 64, 64, 3), dtype=torch.uint8))
    with pytest.raises(TaskError) as caught:
        join_segments([part], tmp_path / "film.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    assert caught.value.code == "disk_full"


def test_a_film_of_another_pace_or_none_is_no_film(tmp_path: Path) -> None:
    join_segments([segment(tmp_path, "0", frames(9))], tmp_path / "f.mp4", fps=20, ffmpeg=FFMPEG, check=never)
    with pytest.raises(TaskError) as caught:
        probe(tmp_path / "f.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)
    assert caught.value.code == "no_output"
    (tmp_path / "f.mp4").write_bytes(b"nothing")
    with pytest.raises(TaskError):
        probe(tmp_path / "f.mp4", fps=FPS, ffmpeg=FFMPEG, check=never)


def test_odd_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        FrameSize(31, 48)
    assert FrameSize(32, 48).nbytes == 32 * 48 * 3
