"""Where each of two speakers is, in latent pixels. Runs in the InfiniteTalk worker.

Flow: boxes in the reference picture -> 0/1 masks of that picture -> the same cover and crop that the picture
goes through, nearest pixel -> (3, H, W) fp32: speaker 1, speaker 2, background.

Two notations meet here. The product's request marks a person as {x, y, w, h}, fractions of the picture, x to
the right. The published implementation reads four pixel numbers it calls x_min, y_min, x_max, y_max as
[row_min, col_min, row_max, col_max]: its x counts rows. `Box` has the second order and says so by its names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from workers.infinitetalk.config import VAE_SPACE
from workers.wan2gp import framing

# Without boxes each person has a half of the picture, less this share of the height and of the half's width.
_INSET = 0.05
# The reference map is read on tokens of 2 x 2 latent pixels; a mask that hits none would divide by nothing.
_TOKEN = 2 * VAE_SPACE


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the picture, ends excluded."""

    row_min: int
    col_min: int
    row_max: int
    col_max: int


def box_of(fractions: Mapping[str, float], picture: tuple[int, int]) -> Box:
    """A box {x, y, w, h} in fractions as pixels of a picture (height, width), cut to the picture."""
    height, width = picture
    top, left = fractions["y"], fractions["x"]
    bottom, right = top + fractions["h"], left + fractions["w"]

    def pixel(fraction: float, size: int) -> int:
        return min(size, max(0, round(fraction * size)))

    return Box(pixel(top, height), pixel(left, width), pixel(bottom, height), pixel(right, width))


def default_boxes(picture: tuple[int, int]) -> tuple[Box, Box]:
    """Speaker 1 in the left half, speaker 2 in the right one, as published."""
    height, width = picture
    half = width // 2
    top, bottom = int(height * _INSET), int(height * (1 - _INSET))
    left, right = int(half * _INSET), int(half * (1 - _INSET))
    second_left, second_right = int(half * _INSET + half), int(half * (1 - _INSET) + half)
    return Box(top, left, bottom, right), Box(top, second_left, bottom, second_right)


def beside(box: Box, picture: tuple[int, int]) -> Box:
    """The larger free side of a picture in which one person is marked."""
    height, width = picture
    top, bottom = int(height * _INSET), int(height * (1 - _INSET))
    if box.col_min >= width - box.col_max:
        return Box(top, 0, bottom, box.col_min)
    return Box(top, box.col_max, bottom, width)


def picture_masks(picture: tuple[int, int], boxes: Sequence[Box]) -> torch.Tensor:
    """(len(boxes) + 1, height, width): each person, and last what belongs to nobody."""
    masks = torch.zeros(len(boxes) + 1, *picture)
    for mask, box in zip(masks, boxes, strict=False):
        mask[box.row_min : box.row_max, box.col_min : box.col_max] = 1
    masks[-1] = (masks[:-1].sum(0) == 0).float()
    return masks


def cover_size(picture: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Height and width to which a picture is scaled so that it covers the target; the rest is cut off."""
    scale = max(target[0] / picture[0], target[1] / picture[1])
    return math.ceil(scale * picture[0]), math.ceil(scale * picture[1])


def crop_offset(covering: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns cut off above and on the left: half of what is too much, halves to the even number."""
    return round((covering[0] - target[0]) / 2), round((covering[1] - target[1]) / 2)


def to_latent(masks: torch.Tensor, target: tuple[int, int]) -> torch.Tensor:
    """Masks (n, height, width) of a picture -> (n, H, W) of the latents of its cover crop to `target` pixels."""
    covering = cover_size((masks.shape[1], masks.shape[2]), target)
    row, column = crop_offset(covering, target)
    # Pictures are scaled smoothly, masks by their nearest pixel, as published.
    scaled = functional.interpolate(masks[None], size=covering, mode="nearest")
    cropped = scaled[..., row : row + target[0], column : column + target[1]]
    latent = functional.interpolate(
        cropped, size=(target[0] // VAE_SPACE, target[1] // VAE_SPACE), mode="nearest"
    )
    return (latent[0] > 0).float()


def speaker_masks(
    picture: tuple[int, int],
    target: tuple[int, int],
    faces: Sequence[Mapping[str, float] | None] | None = None,
) -> torch.Tensor:
    """(3, H, W) for two speakers. `picture` and `target` are (height, width) in pixels.

    `faces`: the place of each person, {x, y, w, h} or None (see `people`). Nobody marked: the halves. One marked: the other has the larger
    side beside that box. A box that no token of the cropped picture would see is moved to the nearest one.
    """
    marked = [None if face is None else box_of(face, picture) for face in (faces or (None, None))]
    if len(marked) != 2:
        raise ValueError(f"{len(marked)} boxes for two speakers")
    first, second = marked
    if first is None and second is None:
        first, second = default_boxes(picture)
    elif first is None and second is not None:
        first = beside(second, picture)
    elif second is None and first is not None:
        second = beside(first, picture)
    boxes = [_visible(box, picture, target) for box in (first, second) if box is not None]
    return to_latent(picture_masks(picture, boxes), target)


def people(
    faces: Sequence[Mapping[str, float] | None], picture: tuple[int, int]
) -> list[Mapping[str, float] | None]:
    """Faces, as a person marks them -> the places of those people, as the model was taught to expect them.

    A place reaches around the face to hair, neck and shoulders, and the two never overlap; who was not marked
    has the side beside the other. The same places as for the models of Wan2GP. Nobody marked: nothing changes.
    """
    marked = [None if face is None else framing.Face(**face) for face in faces]
    if all(face is None for face in marked):
        return [None for _ in faces]
    height, width = picture
    whole = framing.Box(0, 0, width, height)
    return [
        {"x": box.left / 100, "y": box.top / 100, "w": box.width / 100, "h": box.height / 100}
        for box in framing.speaker_boxes(marked, (width, height), whole)
    ]


def _visible(box: Box, picture: tuple[int, int], target: tuple[int, int]) -> Box:
    """The box, grown where needed to hold a token of the cropped picture."""
    covering = cover_size(picture, target)
    offset = crop_offset(covering, target)
    rows = _grown(box.row_min, box.row_max, picture[0], covering[0], offset[0], target[0])
    columns = _grown(box.col_min, box.col_max, picture[1], covering[1], offset[1], target[1])
    return Box(rows[0], columns[0], rows[1], columns[1])


def _grown(low: int, high: int, size: int, covering: int, offset: int, target: int) -> tuple[int, int]:
    """Along one axis: a token's length, and a pixel for rounding, holds a token's place wherever it lies."""
    scale = size / covering
    first, last = offset * scale, (offset + target) * scale
    least = _TOKEN * scale + 1
    if min(high, last) - max(low, first) >= least:
        return low, high
    centre = min(last - least / 2, max(first + least / 2, (low + high) / 2))
    return max(0, min(low, math.floor(centre - least / 2))), max(high, math.ceil(centre + least / 2))
