"""Pictures and videos in another shape: which part is shown, and the cutting by ffmpeg. Runs in the service process.

Flow: size of the picture, shape of the video, faces -> `Cut` -> a PNG of that part. Afterwards a video whose engine
knows certain sizes only -> the middle of it in the shape that was asked for. Nothing is stretched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.utils.media.ffmpeg import Cancelled, Ffmpeg, file_url, input_arguments, never_cancelled
from backend.utils.media.mux import ENCODE_BASE_DEADLINE_S, ENCODE_DEADLINE_PER_SECOND
from backend.utils.media.probe import VideoInfo
from backend.utils.sniff import Sniffed, sniff_file

# Width / height of the named shapes.
RATIOS = {"1:1": 1.0, "16:9": 16 / 9, "9:16": 9 / 16}
# Where a face is guessed to be, from the top: portraits show shoulders, not ceilings.
GUESSED_CENTRE = 0.38
# What is shown around a face at least, in face sizes to each side.
_AROUND = 0.25
# Hair above a face, in face heights; where there is too little room for it, it gets this part of that.
_HAIR, _HAIR_SHARE = 0.45, 0.7
# Visually without loss: the result is copied from here, not compressed again.
_CRF = 16
_PRESET = "veryfast"
_PICTURE_S = 60.0


@dataclass(frozen=True)
class Cut:
    """A rectangle in pixels of a picture; it may reach beyond it, where two faces do not fit otherwise."""

    left: int
    top: int
    width: int
    height: int

    def face(self, face: Mapping[str, float], picture: tuple[int, int]) -> dict[str, float]:
        """A face given in fractions of the whole picture, in fractions of this part."""
        across, down = picture
        left = _within((face["x"] * across - self.left) / self.width)
        top = _within((face["y"] * down - self.top) / self.height)
        right = _within(((face["x"] + face["w"]) * across - self.left) / self.width)
        bottom = _within(((face["y"] + face["h"]) * down - self.top) / self.height)
        return {"x": left, "y": top, "w": right - left, "h": bottom - top}


def _within(fraction: float) -> float:
    return min(1.0, max(0.0, fraction))


def cut_of(picture: tuple[int, int], ratio: float, faces: Sequence[Mapping[str, float]] = ()) -> Cut:
    """As much of a picture (width, height) as the shape width / height allows, around the faces (x, y, w, h as
    fractions). All faces are inside: for that alone the cut is larger than the picture allows."""
    across, down = picture
    width = min(float(across), down * ratio)
    height = width / ratio
    if not faces:
        return _placed(across / 2, down * GUESSED_CENTRE, width, height, picture)
    left = min(face["x"] - face["w"] * _AROUND for face in faces) * across
    right = max(face["x"] + face["w"] * (1 + _AROUND) for face in faces) * across
    top = min(face["y"] - face["h"] * _AROUND for face in faces) * down
    bottom = max(face["y"] + face["h"] * (1 + _AROUND) for face in faces) * down
    larger = max(1.0, (right - left) / width, (bottom - top) / height)
    return _placed((left + right) / 2, (top + bottom) / 2, width * larger, height * larger, picture)


def cut_around(picture: tuple[int, int], ratio: float, face: Mapping[str, float]) -> Cut:
    """As much of a picture as the shape allows, around the one face that speaks; never larger than the picture."""
    across, down = picture
    width = min(float(across), down * ratio)
    height = width / ratio
    side, top = face["h"] * down, face["y"] * down
    # Above the middle, but not so high that its hair is cut while there is room below.
    middle = top + side / 2 + (0.5 - GUESSED_CENTRE) * height
    above = min(_HAIR * side, max(0.0, height - side) * _HAIR_SHARE)
    return _placed(
        (face["x"] + face["w"] / 2) * across, min(middle, top - above + height / 2), width, height, picture
    )


def _placed(x: float, y: float, width: float, height: float, picture: tuple[int, int]) -> Cut:
    """Around a point, inside the picture where it fits and around its middle where it does not."""
    left, top = (
        min(max(0.0, centre - length / 2), whole - length) if length <= whole else (whole - length) / 2
        for centre, length, whole in ((x, width, picture[0]), (y, height, picture[1]))
    )
    return Cut(round(left), round(top), max(2, round(width)), max(2, round(height)))


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its first chunk. Raises InputError(image_unreadable)."""
    with path.open("rb") as stream:
        head = stream.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        raise InputError(
            ErrorCode.IMAGE_UNREADABLE, "The portrait is not a PNG.", hint="Upload the picture again."
        )
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def cut_picture(
    ffmpeg: Ffmpeg, source: Path, output: Path, cut: Cut, *, cancelled: Cancelled = never_cancelled
) -> None:
    """Write the part of a PNG as a PNG; blocks. Beyond the picture its outermost pixels go on."""
    width, height = png_size(source)
    left, top = max(0, cut.left), max(0, cut.top)
    right, bottom = min(width, cut.left + cut.width), min(height, cut.top + cut.height)
    before_x, before_y = left - cut.left, top - cut.top
    after_x, after_y = cut.left + cut.width - right, cut.top + cut.height - bottom
    filters = [f"crop={right - left}:{bottom - top}:{left}:{top}:exact=1"]
    if before_x or before_y or after_x or after_y:
        filters.append(f"pad={cut.width}:{cut.height}:{before_x}:{before_y}")
        filters.append(f"fillborders={before_x}:{after_x}:{before_y}:{after_y}:smear")
    ffmpeg.run_checked(
        [
            *("-loglevel", "error"),
            *input_arguments(source, _sniffed(source)),
            *("-vf", ",".join(("format=gbrp", *filters, "format=rgb24"))),
            *("-frames:v", "1", "-c:v", "png", "-f", "image2", "-update", "1", file_url(output)),
        ],
        purpose="cut the portrait",
        deadline_s=_PICTURE_S,
        cancelled=cancelled,
    )


def shown_size(width: int, height: int, ratio: float) -> tuple[int, int]:
    """Width and height, both even, of the largest part of a video that has this shape."""
    across = min(width, round(height * ratio / 2) * 2)
    down = min(height, round(width / ratio / 2) * 2)
    return across, down


def cut_video(
    ffmpeg: Ffmpeg,
    source: Path,
    info: VideoInfo,
    output: Path,
    size: tuple[int, int],
    *,
    cancelled: Cancelled = never_cancelled,
) -> None:
    """Write the middle of a video, `size` large, as H.264 with every frame where it was; blocks."""
    width, height = size
    ffmpeg.run_checked(
        [
            *("-loglevel", "error"),
            *input_arguments(source, _sniffed(source)),
            *("-map", "0:V:0", "-an", "-vf", f"crop={width}:{height}", "-fps_mode", "passthrough"),
            *("-c:v", "libx264", "-preset", _PRESET, "-crf", str(_CRF), "-pix_fmt", "yuv420p"),
            *("-threads", str(ffmpeg.threads), "-f", "mp4", file_url(output)),
        ],
        purpose="cut the video to its shape",
        deadline_s=ENCODE_BASE_DEADLINE_S + ENCODE_DEADLINE_PER_SECOND * info.duration_s,
        cancelled=cancelled,
    )


def _sniffed(path: Path) -> Sniffed:
    found = sniff_file(path)
    if found is None or found.kind == "audio":
        raise InputError(
            ErrorCode.IMAGE_UNREADABLE,
            "That file is neither a picture nor a video.",
            hint="Use a JPEG or PNG picture, or an MP4 video.",
        )
    return found
