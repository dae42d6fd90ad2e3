"""The reference picture at any moment, its crop, the mask channels and what is encoded how often."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from workers.handler import TaskError
from workers.infinitetalk.conditioning import Conditioner, crop, mask_channels
from workers.infinitetalk.config import bucket
from workers.infinitetalk.frames import CutSource, ImageSource, VideoSource
from workers.infinitetalk.masks import cover_size, crop_offset

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_LEVEL = 3  # grey levels between one frame of a test video and the next


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_video(path: Path, frames: int, rate: str, *extra: str) -> Path:
    """A small video whose frame n is grey of level 3 n, a key frame every 12 frames, with B frames between."""
    raw = np.repeat((np.arange(frames) * _LEVEL).astype(np.uint8), 64 * 48 * 3).tobytes()
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", rate, "-i", "pipe:0"]
    codec = ["-c:v", "libx264", "-qp", "0", "-g", "12", "-bf", "2", "-pix_fmt", "yuv444p", "-y", str(path)]
    subprocess.run([FFMPEG, "-loglevel", "error", *source, *extra, *codec], input=raw, check=True, timeout=60)
    return path


def shown(source: VideoSource, index: int) -> float:
    """Number of the video's own frame that is given for a frame of the film."""
    return float(source.frame(index).astype(float).mean()) / _LEVEL


# --- sources ----------------------------------------------------------------------------------------------


def test_an_image_is_upright_rgb_at_every_moment(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    frame = picture(4, 6)
    Image.fromarray(frame).save(tmp_path / "p.png", exif=exif)
    source = ImageSource(tmp_path / "p.png")
    assert np.array_equal(source.frame(0), np.rot90(frame, -1))
    assert source.frame(4321) is source.frame(0)
    grey = ImageSource(Image.fromarray(frame[..., 0])).frame(0)
    assert np.array_equal(grey, np.repeat(frame[..., :1], 3, axis=2))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(TaskError) as refused:
        ImageSource(tmp_path / "bad.png")
    assert refused.value.code == "image_unreadable"


@pytest.mark.parametrize(
    ("rate", "name"), [("25", "a.mp4"), ("30", "b.mp4"), ("24000/1001", "c.mkv"), ("60", "d.mov")]
)
def test_a_video_shows_the_frame_of_the_moment(tmp_path: Path, rate: str, name: str) -> None:
    source = VideoSource(write_video(tmp_path / name, 80, rate), FFMPEG)
    top, _, bottom = rate.partition("/")
    fps = int(top) / int(bottom or 1)
    for index in (0, 1, 24, 27):
        # The way there and back through YUV may cost a grey level, a third of a frame's number.
        assert shown(source, index) == pytest.approx(math.floor(index / 25 * fps + 0.02), abs=0.4)


@pytest.mark.parametrize(("x", "shown_half"), [(0.1, 10), (0.7, 200)])
def test_a_cut_source_shows_the_one_who_speaks(x: float, shown_half: int) -> None:
    picture = np.full((90, 160, 3), 10, np.uint8)
    picture[:, 80:] = 200
    source = CutSource(ImageSource(picture), {"x": x, "y": 0.2, "w": 0.2, "h": 0.4}, 16 / 9)
    frame = source.frame(7)
    assert frame.shape[0] == 90
    assert frame.shape[1] in {50, 51}
    assert (frame == shown_half).all()


def test_frames_are_counted_by_time_not_by_number(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "fast.mp4", 80, "30"), FFMPEG)
    assert shown(source, 50) == pytest.approx(60, abs=0.4)


def test_a_video_without_steady_frames_keeps_the_one_on_screen(tmp_path: Path) -> None:
    # Frames 0 .. 9 at 10/s, then nothing for two seconds, then the others.
    late = "setpts='if(lt(N,10),N,N+20)/10/TB'"
    file = write_video(tmp_path / "uneven.mkv", 20, "10", "-vf", late, "-fps_mode", "vfr")
    source = VideoSource(file, FFMPEG)
    assert [round(shown(source, index)) for index in (0, 10, 24, 25, 60, 74, 75, 90)] == [
        0,
        4,
        9,
        9,
        9,
        9,
        10,
        16,
    ]


def test_after_its_end_a_video_keeps_its_last_picture(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "short.mp4", 30, "25"), FFMPEG)
    assert [round(shown(source, index)) for index in (29, 30, 72, 7_200)] == [29] * 4


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(TaskError) as refused:
        VideoSource(tmp_path / "x.mp4", FFMPEG).frame(0)
    assert refused.value.code == "image_unreadable"
    # A playlist would open other files: it is not among the containers.
    write_video(tmp_path / "secret.mp4", 3, "25")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n", "utf-8")
    with pytest.raises(TaskError):
        VideoSource(tmp_path / "list.mp4", FFMPEG).frame(0)


# --- size and crop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((101, 150), 480, (512, 768)),
        ((1080, 1920), 480, (448, 896)),
        ((1920, 1080), 480, (832, 448)),
        ((1000, 1000), 480, (640, 640)),
        ((1080, 1920), 720, (704, 1280)),
        ((1280, 720), 720, (1280, 704)),
        ((100, 9_000), 720, (448, 2048)),
    ],
)
def test_the_bucket_is_the_nearest_ratio(
    shape: tuple[int, int], size: int, expected: tuple[int, int]
) -> None:
    assert bucket(*shape, size) == expected


@pytest.mark.parametrize(
    ("shape", "target", "covering", "offset"),
    [
        ((101, 150), (64, 96), (65, 96), (0, 0)),
        ((100, 100), (64, 96), (96, 96), (16, 0)),
        ((50, 200), (64, 96), (64, 256), (0, 80)),
        ((64, 96), (64, 96), (64, 96), (0, 0)),
        ((30, 40), (48, 61), (48, 64), (0, 2)),
    ],
)
def test_cover_and_crop_as_a_table(
    shape: tuple[int, int], target: tuple[int, int], covering: tuple[int, int], offset: tuple[int, int]
) -> None:
    assert cover_size(shape, target) == covering
    assert crop_offset(covering, target) == offset
    pixels = crop(picture(*shape), target)
    assert pixels.shape == (1, 3, 1, *target)
    assert pixels.dtype == torch.float32


def test_the_crop_is_pillows_bilinear_picture_in_minus_one_to_one() -> None:
    frame = picture(101, 150)
    scaled = np.array(Image.fromarray(frame).resize((96, 65), Image.Resampling.BILINEAR)).astype(np.float32)
    expected = torch.from_numpy((scaled[:64] / 255 - 0.5) * 2).permute(2, 0, 1)
    assert torch.equal(crop(frame, (64, 96))[0, :, 0], expected)
    black_white = np.zeros((64, 96, 3), np.uint8)
    black_white[:, 48:] = 255
    assert crop(black_white, (64, 96)).unique().tolist() == [-1.0, 1.0]


# --- what the transformer gets ----------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 5, 81])
def test_mask_channels_are_the_published_reshape_of_a_mask_of_pixel_frames(frames: int) -> None:
    mask = torch.ones(1, frames, 3, 2)
    mask[:, 1:] = 0
    # The first frame is counted four times, then every four frames are the channels of one latent frame.
    mask = torch.cat([mask[:, :1].repeat_interleave(4, dim=1), mask[:, 1:]], dim=1)
    expected = mask.view(1, mask.shape[1] // 4, 4, 3, 2).transpose(1, 2)
    assert torch.equal(mask_channels(frames, 3, 2), expected)


class Codec:
    """Stands for the VAE: latents that tell what it was given."""

    def __init__(self) -> None:
        self.calls: list[torch.Tensor] = []

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls.append(pixels)
        small = functional.avg_pool3d(pixels[:, :1], (1, 8, 8))[:, :, ::4]
        return small.expand(1, 16, *small.shape[2:])


class Clip:
    def __init__(self) -> None:
        self.calls: list[torch.Tensor] = []

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls.append(pixels)
        return pixels.mean().expand(1, 257, 1280)


class Scenes:
    """A source with another picture from frame 100 on."""

    def frame(self, index: int) -> np.ndarray:
        return picture(40, 60, seed=index // 100)


def conditioner(source: Any) -> tuple[Conditioner, Codec, Clip]:
    codec, clip = Codec(), Clip()
    return Conditioner(source, (32, 48), codec, clip, frames=13), codec, clip  # type: ignore[arg-type]


def test_y_is_mask_then_latents_of_the_reference_before_grey() -> None:
    maker, codec, clip = conditioner(Scenes())
    made = maker.at(0)
    (video,) = codec.calls
    assert video.shape == (1, 3, 13, 32, 48)
    assert torch.equal(video[:, :, :1], made.pixels)
    assert not video[:, :, 1:].any()
    assert torch.equal(made.pixels, crop(picture(40, 60), (32, 48)))
    assert made.y.shape == (1, 20, 4, 4, 6)
    assert made.y[:, :4, 0].eq(1).all()
    assert not made.y[:, :4, 1:].any()
    assert torch.equal(made.y[:, 4:5, :1], functional.avg_pool3d(made.pixels[:, :1], (1, 8, 8)))
    assert torch.equal(clip.calls[0], made.pixels[:, :, 0])
    assert made.clip.shape == (1, 257, 1280)


def test_a_reference_is_encoded_once_however_often_it_is_needed() -> None:
    maker, codec, clip = conditioner(Scenes())
    first = maker.at(0)
    assert maker.at(72) is first
    other = maker.at(144)
    assert not torch.equal(other.y, first.y)
    assert maker.at(80) is first
    assert len(codec.calls) == len(clip.calls) == 2
    # Of a video that changes all the time, only the latest are kept.
    for index in (200, 300):
        maker.at(index)
    maker.at(0)
    assert len(codec.calls) == 5
