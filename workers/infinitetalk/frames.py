"""The reference picture at any moment of the film: from an image, or from a video at 25 fps.

Runs in the InfiniteTalk worker. Flow: file -> `frame(k)`, the RGB picture (height, width, 3), uint8, that is
shown k / 25 seconds after the beginning.

A video is asked for one frame a window (every 2.88 s), so each is sought and decoded on its own: nothing is
unpacked to disk, and a long video costs no more than a short one. Frames are found by TIME. The published code
counts frames, which lets a video of 30 fps run ahead of the speech by a fifth.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from workers.ffmpeg import FfmpegChild, FfmpegError, command
from workers.handler import TaskError
from workers.infinitetalk.config import FPS
from workers.wan2gp.framing import Face, cut_around

Frame = npt.NDArray[np.uint8]

# Containers that people record or download; the same idea as the fence around sound.
_VIDEO_DEMUXERS = "mov,matroska,avi,asf,mpeg,mpegts,flv,ogg,gif"
# Seeking and decoding from one key frame to the moment: seconds, minutes for a huge picture on a slow disk.
_DECODE_S = 300.0
_READ_BYTES = 1 << 20
# Width of a size that stands for a shape.
_SHAPE_PX = 1000


class FrameSource(Protocol):
    """What can be asked for the picture of any moment."""

    def frame(self, index: int) -> Frame:
        """(height, width, 3) uint8 RGB, shown `index` / 25 seconds after the beginning."""


class ImageSource:
    """One picture for the whole film: a file, a PIL image, or an array (height, width, 3) of uint8."""

    def __init__(self, picture: Path | Image.Image | Frame) -> None:
        self._frame = picture if isinstance(picture, np.ndarray) else _rgb(picture)
        if self._frame.ndim != 3 or self._frame.shape[2] != 3 or self._frame.dtype != np.uint8:
            raise ValueError(f"a picture is (height, width, 3) of uint8, not {self._frame.shape}")

    def frame(self, index: int) -> Frame:
        return self._frame


def _rgb(picture: Path | Image.Image) -> Frame:
    """Upright, as cameras mean it; transparency over black is dropped like any other channel."""
    try:
        image: Any = picture if isinstance(picture, Image.Image) else Image.open(picture)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise TaskError(
            "image_unreadable", "The portrait cannot be read as a picture.", detail=str(error)
        ) from error


class CutSource:
    """A part of another source, around the face that speaks: the middle of a picture may show somebody else."""

    def __init__(self, whole: FrameSource, face: Mapping[str, float], ratio: float) -> None:
        """`face` in fractions of the first picture; `ratio`: height / width of the part."""
        self._whole = whole
        height, width = whole.frame(0).shape[:2]
        shape = (_SHAPE_PX, max(1, round(_SHAPE_PX * ratio)))
        box = cut_around((width, height), shape, Face(face["x"], face["y"], face["w"], face["h"]))
        self._rows = slice(round(box.top), max(round(box.top) + 1, round(box.bottom)))
        self._columns = slice(round(box.left), max(round(box.left) + 1, round(box.right)))

    def frame(self, index: int) -> Frame:
        return self._whole.frame(index)[self._rows, self._columns]


class VideoSource:
    """A video file, decoded by ffmpeg. After its end its last picture stays, as published."""

    def __init__(self, file: Path, ffmpeg: str) -> None:
        self._file = file
        self._ffmpeg = ffmpeg
        self._latest: tuple[int, Frame] | None = None

    def frame(self, index: int) -> Frame:
        if index < 0:
            raise ValueError("a video has no picture before its beginning")
        if self._latest is None or self._latest[0] != index:
            self._latest = (index, self._decoded(index))
        return self._latest[1]

    def _decoded(self, index: int) -> Frame:
        """The picture that is on screen at that moment.

        ffmpeg seeks to the key frame before it and gives time 0 to the moment itself. `round=up` makes a
        picture count from the first tick of 1/25 s at which it is on screen; `tpad` repeats the last one
        for ever; `select` drops what lies before the moment. The picture comes as PPM: its size stands in
        front of the plain pixels.
        """
        arguments = command(
            self._ffmpeg,
            *("-noaccurate_seek", "-ss", f"{index // FPS}.{index % FPS * (1000 // FPS):03d}"),
            *(
                "-protocol_whitelist",
                "file,pipe",
                "-format_whitelist",
                _VIDEO_DEMUXERS,
                "-i",
                f"file:{self._file}",
            ),
            *(
                "-map",
                "0:v:0",
                "-vf",
                f"fps={FPS}:round=up,tpad=stop=-1:stop_mode=clone,select='gte(t,-0.01)'",
            ),
            *("-frames:v", "1", "-sws_flags", "bicubic+accurate_rnd+full_chroma_int"),
            *("-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"),
        )
        try:
            with FfmpegChild(arguments, deadline_s=_DECODE_S, stdout=True) as child:
                data = bytearray()
                while block := child.read(_READ_BYTES):
                    data += block
                child.finish()
            return np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        except (FfmpegError, UnidentifiedImageError) as error:
            detail = error.tail if isinstance(error, FfmpegError) else str(error)
            raise TaskError(
                "image_unreadable", "The reference video cannot be decoded.", detail=detail
            ) from error
