"""The portrait in the shape of the video. Runs in the wan2gp worker, inside upstream's Python.

Flow: portrait + aspect + faces -> a PNG of exactly the video's size, and where the speakers sit in it.

Why we cut the picture and not upstream: what upstream does with a picture of another shape depends on a setting of
its own (keep the aspect and ignore the size, or cut around the middle), and the boxes of the speakers must be told
in the picture as it will be. A picture of exactly the video's size passes through every one of its ways unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workers.handler import TaskError
from workers.wan2gp.table import SizeClass

# The models compress blocks of 16x16 pixels.
BLOCK = 16
# Beyond this shape a free aspect is cut: the models were never shown narrower or flatter frames.
WIDEST = 21 / 9
# Where the face of a single, unmarked speaker is guessed to be, from the top: portraits show shoulders, not ceilings.
_GUESSED_CENTRE = 0.38
# How far around a face its speaker's part of the frame reaches, in face sizes: hair, neck and some movement.
_BESIDE, _ABOVE, _BELOW = 0.6, 0.5, 1.0
# Upstream ignores the outer 5 % of the frame when it assigns a voice to a place.
_MARGIN = 5.0
# A box has at least this size in percent, so that it covers a few of the model's cells.
_LEAST_BOX = 8.0
# What must be shown of a speaker at least, in face sizes around the face: else the picture is extended.
_TIGHT = 0.15
# Hair above a face, in face heights; where there is too little room for it, it gets this part of that.
_HAIR, _HAIR_SHARE = 0.45, 0.7
# The backdrop of an extended picture is made of this many colours a side: no ghosts of heads that could come alive.
_BACKDROP_CELLS = 4


@dataclass(frozen=True)
class Face:
    """A face in fractions (0..1) of the upright picture: its corner and its size."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Box:
    """A rectangle: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def frame_size(
    sizes: SizeClass, aspect: str, picture: tuple[int, int] | None, scale: float
) -> tuple[int, int]:
    """Width and height of the video. `scale` shrinks both sides (a rung of the ladder)."""
    if aspect in sizes.sizes:
        width, height = sizes.sizes[aspect]
        return _blocks(width * scale), _blocks(height * scale)
    if aspect != "source":
        known = ", ".join((*sizes.sizes, "source"))
        raise TaskError("validation_failed", f"Unknown aspect {aspect!r}. Use one of: {known}.")
    across, down = picture or sizes.sizes["16:9"]
    ratio = min(WIDEST, max(1 / WIDEST, across / down))
    height_f = (sizes.pixels / ratio) ** 0.5 * scale
    return _blocks(height_f * ratio), _blocks(height_f)


def _blocks(length: float) -> int:
    return max(BLOCK, int(length + 1e-6) // BLOCK * BLOCK)


def cut_of(picture: tuple[int, int], size: tuple[int, int], faces: Sequence[Face | None]) -> Box:
    """Which part of the picture is shown, in its pixels, in the shape of `size`.

    As much of the picture as the shape allows, around the faces. It reaches beyond the picture only when the faces
    of two speakers do not fit otherwise: nobody who speaks may be cut off.
    """
    width, height = picture
    ratio = size[0] / size[1]
    crop_w = min(float(width), height * ratio)
    crop_h = crop_w / ratio
    marked = [face for face in faces if face is not None]
    if not marked:
        return _placed(width / 2, height * _GUESSED_CENTRE, crop_w, crop_h, width, height)
    needed = _hull([_around(face, width, height, _TIGHT, _TIGHT, _TIGHT) for face in marked])
    wanted = max(1.0, needed.width / crop_w, needed.height / crop_h)
    shown = _hull([_surroundings(face, width, height) for face in marked])
    place = _placed(
        (shown.left + shown.right) / 2,
        (shown.top + shown.bottom) / 2,
        crop_w * wanted,
        crop_h * wanted,
        width,
        height,
    )
    return _moved_to_hold(place, needed)


def _hull(boxes: Sequence[Box]) -> Box:
    """The smallest rectangle around all."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def _moved_to_hold(cut: Box, needed: Box) -> Box:
    """The cut, shifted by as little as it takes to hold what is needed (it is large enough to)."""
    right = max(0.0, needed.right - cut.right) - max(0.0, cut.left - needed.left)
    down = max(0.0, needed.bottom - cut.bottom) - max(0.0, cut.top - needed.top)
    return Box(cut.left + right, cut.top + down, cut.right + right, cut.bottom + down)


def cut_around(picture: tuple[int, int], size: tuple[int, int], face: Face) -> Box:
    """The same around the one face that speaks; never larger than the picture."""
    width, height = picture
    ratio = size[0] / size[1]
    crop_w = min(float(width), height * ratio)
    crop_h = crop_w / ratio
    side, top = face.h * height, face.y * height
    # Above the middle, but not so high that its hair is cut while there is room below.
    middle = top + side / 2 + (0.5 - _GUESSED_CENTRE) * crop_h
    above = min(_HAIR * side, max(0.0, crop_h - side) * _HAIR_SHARE)
    return _placed(
        (face.x + face.w / 2) * width, min(middle, top - above + crop_h / 2), crop_w, crop_h, width, height
    )


def _surroundings(face: Face, width: int, height: int) -> Box:
    """The face with the hair, neck and movement around it, inside the picture, in its pixels."""
    return _around(face, width, height, _BESIDE, _ABOVE, _BELOW)


def _around(face: Face, width: int, height: int, beside: float, above: float, below: float) -> Box:
    return Box(
        max(0.0, face.x - face.w * beside) * width,
        max(0.0, face.y - face.h * above) * height,
        min(1.0, face.x + face.w * (1 + beside)) * width,
        min(1.0, face.y + face.h * (1 + below)) * height,
    )


def _placed(x: float, y: float, crop_w: float, crop_h: float, width: int, height: int) -> Box:
    """A cut of that size, as near to the point as the picture allows; centred where the cut is the larger."""
    left = (width - crop_w) / 2 if crop_w >= width else min(max(0.0, x - crop_w / 2), width - crop_w)
    top = (height - crop_h) / 2 if crop_h >= height else min(max(0.0, y - crop_h / 2), height - crop_h)
    return Box(left, top, left + crop_w, top + crop_h)


def write_framed(source: Path, target: Path, cut: Box, size: tuple[int, int]) -> None:
    """Write the cut as a PNG of exactly `size`. What lies outside the picture gets its colours."""
    from PIL import Image

    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    outside = cut.left < 0 or cut.top < 0 or cut.right > picture.width or cut.bottom > picture.height
    inside = (
        max(0.0, cut.left),
        max(0.0, cut.top),
        min(float(picture.width), cut.right),
        min(float(picture.height), cut.bottom),
    )
    if not outside:
        picture.resize(size, Image.Resampling.LANCZOS, box=inside).save(target, "PNG")
        return
    scale = size[0] / cut.width
    left, top = round((inside[0] - cut.left) * scale), round((inside[1] - cut.top) * scale)
    shown = (
        max(1, min(size[0] - left, round((inside[2] - inside[0]) * scale))),
        max(1, min(size[1] - top, round((inside[3] - inside[1]) * scale))),
    )
    colours = picture.resize((_BACKDROP_CELLS, _BACKDROP_CELLS), Image.Resampling.BOX)
    framed = colours.resize(size, Image.Resampling.BICUBIC)
    framed.paste(picture.resize(shown, Image.Resampling.LANCZOS, box=inside), (left, top))
    framed.save(target, "PNG")


def speaker_boxes(faces: Sequence[Face | None], picture: tuple[int, int], cut: Box) -> tuple[Box, Box]:
    """Where speaker 1 and speaker 2 sit in the framed picture, in percent. The boxes never overlap.

    A face that nobody marked gets the half beside the other one; without any, speaker 1 sits on the left.
    """
    first, second = (None if face is None else _in_percent(face, picture, cut) for face in faces)
    if first is not None and second is not None:
        return _apart(first, second)
    if first is not None:
        return first, _beside(first)
    if second is not None:
        return _beside(second), second
    return Box(0, 0, 45, 100), Box(55, 0, 100, 100)


def locations(boxes: tuple[Box, Box]) -> str:
    """The boxes as upstream reads them: `L:T:R:B L:T:R:B`, speaker 1 first."""
    return " ".join(":".join(_number(v) for v in (b.left, b.top, b.right, b.bottom)) for b in boxes)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _in_percent(face: Face, picture: tuple[int, int], cut: Box) -> Box:
    around = _surroundings(face, *picture)
    return _usable(
        Box(
            (around.left - cut.left) / cut.width * 100,
            (around.top - cut.top) / cut.height * 100,
            (around.right - cut.left) / cut.width * 100,
            (around.bottom - cut.top) / cut.height * 100,
        )
    )


def _usable(box: Box) -> Box:
    """Inside the part of the frame that counts, and large enough to hold a few cells."""
    left, right = _span(box.left, box.right)
    top, bottom = _span(box.top, box.bottom)
    return Box(left, top, right, bottom)


def _span(low: float, high: float) -> tuple[float, float]:
    centre = min(100 - _MARGIN - _LEAST_BOX / 2, max(_MARGIN + _LEAST_BOX / 2, (low + high) / 2))
    return (
        round(min(max(0.0, low), centre - _LEAST_BOX / 2), 1),
        round(max(min(100.0, high), centre + _LEAST_BOX / 2), 1),
    )


def _beside(box: Box) -> Box:
    """The free side of the frame."""
    if box.left + box.right >= 100:
        return _usable(Box(0, 0, max(0.0, box.left - 1), 100))
    return _usable(Box(min(100.0, box.right + 1), 0, 100, 100))


def _apart(first: Box, second: Box) -> tuple[Box, Box]:
    """Cut two overlapping boxes between their centres, along the axis on which they lie further apart."""
    if not (
        min(first.right, second.right) > max(first.left, second.left)
        and min(first.bottom, second.bottom) > max(first.top, second.top)
    ):
        return first, second
    # Written so that swapping the two turns the sign exactly, whatever the rounding.
    across = (second.left + second.right) - (first.left + first.right)
    down = (second.top + second.bottom) - (first.top + first.bottom)
    if (across if abs(across) >= abs(down) else down) < 0:
        later, earlier = _apart(second, first)
        return earlier, later
    if abs(across) >= abs(down):
        middle = round((first.left + first.right + second.left + second.right) / 4, 1)
        return replace(first, right=min(first.right, middle)), replace(second, left=max(second.left, middle))
    middle = round((first.top + first.bottom + second.top + second.bottom) / 4, 1)
    return replace(first, bottom=min(first.bottom, middle)), replace(second, top=max(second.top, middle))
