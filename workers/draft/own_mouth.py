"""What the picture itself shows of its mouth: colours, teeth, and the lips without them. Runs in the draft worker.

Flow: frame + head -> colours for the drawn parts; the open mouth's own pixels, continued beyond the lips; and a
copy of the frame whose open mouth is filled with lip, from which the lips are warped.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, blur, f32, polygon_mask
from workers.draft.modes import open_gap
from workers.draft.rig import Head

# An opening below this part of the mouth width is a shut mouth.
SHUT_GAP = 0.03
# An opening of this part of the mouth width can show the picture's own teeth.
_OWN_TEETH_GAP = 0.07
# How far the own interior is continued below and above itself, in mouth widths.
_TEETH_END, _TEETH_RISE = 0.025, 0.10
# BGR luminance (BT.601).
_LUMA = np.array([0.114, 0.587, 0.299], np.float32)


@dataclass(frozen=True)
class MouthColours:
    """Mean colours (3,) BGR."""

    lip: F32
    cavity: F32
    tongue: F32
    teeth: F32


def without_interior(frame: Image, head: Head) -> Image:
    """The frame (BGR) with its open mouth filled by the lips around it.

    Lips are warped from this copy: where they are squeezed, lip shows at their rim and never a sliver of tooth.
    A shut mouth is returned as it is.
    """
    width = head.mouth_width
    if open_gap(head) < SHUT_GAP * width:
        return frame
    outline = _inner_outline(head)
    left, top, right, bottom = _box_around(outline, 0.3 * width, frame)
    if right - left < 4 or bottom - top < 4:
        return frame
    cover = polygon_mask(outline - (left, top), right - left, bottom - top)
    # The network's contour runs along the lip's edge, not beyond its blur: take a pixel more.
    grow = max(1, round(0.01 * width))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
    hole = cv2.dilate((cover > 0.3).astype(np.uint8), disk)
    pixels = frame[top:bottom, left:right]
    _, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.nonzero(hole == 0)
    palette = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    palette[labels[rows, columns]] = pixels[rows, columns]
    lips = cv2.GaussianBlur(palette[labels], (0, 0), max(0.8, 0.02 * width))
    filled = np.copy(frame)
    filled[top:bottom, left:right] = np.where(hole[..., None] > 0, lips, pixels)
    return filled


def _inner_outline(head: Head) -> F64:
    """The mouth opening of the picture as a polygon (n, 2)."""
    return np.vstack([head.skin[list(topo.UPPER_INNER)], head.skin[list(topo.LOWER_INNER[1:-1])][::-1]])


def _box_around(points: F64, margin: float, frame: Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the points' box, widened and clipped to the frame."""
    left, top = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.ceil(points.max(axis=0) + margin).astype(int)
    return int(left), int(top), min(frame.shape[1], int(right)), min(frame.shape[0], int(bottom))


class OwnTeeth:
    """The open mouth of the picture itself, continued beyond its lips."""

    def __init__(self, pixels: F32, alpha: F32, corner: F64, teeth_colour: F32) -> None:
        self._texture = np.dstack([pixels, alpha])
        self._corner = corner
        self.teeth_colour = teeth_colour

    def at(self, corner: F64, size: tuple[int, int]) -> tuple[F32, F32]:
        """Colours and coverage for a patch whose corner lies at `corner` of the unmoved picture."""
        offset = corner - self._corner
        matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        patch = f32(cv2.warpAffine(self._texture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
        return patch[..., :3], patch[..., 3:4]


def mouth_colours(frame: Image, head: Head) -> MouthColours:
    """Cavity, tongue and teeth tinted by this face's lips and light."""
    lip = _median(frame, head.skin[list(topo.UPPER_MID + topo.LOWER_MID + topo.LOWER_OUTER)])
    skin = _median(frame, head.skin[list(topo.COMPLEXION)])
    light = float(np.percentile(_pixels(frame, head.skin) @ _LUMA, 80))
    warm = skin / max(1.0, float(skin.mean()))
    tint = np.array([0.88, 0.96, 1.0], np.float32) * 0.85 + warm * 0.15
    return MouthColours(
        lip=lip,
        cavity=f32(np.clip(lip * np.array([0.20, 0.16, 0.31], np.float32), 4, 80)),
        tongue=f32(np.clip(lip * np.array([0.50, 0.42, 0.70], np.float32), 10, 200)),
        teeth=f32(np.clip(tint * min(228.0, light * 1.06), 20, 235)),
    )


def own_teeth(frame: Image, head: Head) -> OwnTeeth | None:
    """The picture's own mouth interior, or None when it shows no teeth worth keeping."""
    width = head.mouth_width
    if open_gap(head) < _OWN_TEETH_GAP * width:
        return None
    outline = _inner_outline(head)
    left, top, right, bottom = _box_around(outline, 0.7 * width, frame)
    if right - left < 4 or bottom - top < 4:
        return None
    corner = np.array([left, top], np.float64)
    cover = polygon_mask(outline - corner, right - left, bottom - top)
    pixels = frame[top:bottom, left:right].astype(np.float32)
    inner = cover > 0.9
    if int(inner.sum()) <= 20:
        return None
    luma = pixels @ _LUMA
    saturation = (pixels.max(axis=2) - pixels.min(axis=2)) / (pixels.max(axis=2) + 1)
    high, low = np.percentile(luma[inner], 92), np.percentile(luma[inner], 5)
    white = np.clip((luma - (low + 0.42 * (high - low))) / (0.25 * (high - low) + 1e-3), 0, 1)
    white = white * np.clip((0.62 - saturation) / 0.15, 0, 1)
    share = float((white * cover).sum() / cover.sum())
    light = float(np.percentile(_pixels(frame, head.skin) @ _LUMA, 80))
    if high <= 0.45 * light or share <= 0.10:
        return None
    teeth = inner & (white > 0.6)
    colour = np.percentile(pixels[teeth if int(teeth.sum()) > 5 else inner], 75, axis=0)
    # Lips bleed into the rim: shrink, then continue what is left outwards.
    shrink = max(1, round(0.02 * width))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * shrink + 1, 2 * shrink + 1))
    core = cv2.erode((cover > 0.5).astype(np.uint8), disk)
    if int(core.sum()) <= 20:
        return None
    distance, labels = cv2.distanceTransformWithLabels(
        1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(core)
    palette = np.zeros((int(labels.max()) + 1, 3), np.float32)
    palette[labels[rows, columns]] = pixels[rows, columns]
    beyond = blur(f32(palette[labels]), max(0.6, 0.012 * width))
    texture = np.where(core[..., None] > 0, pixels, beyond).astype(np.float32)
    # Above, more tooth and gum may come to light; below the teeth end and the mouth is dark.
    source_row = np.zeros(int(labels.max()) + 1, np.float32)
    source_row[labels[rows, columns]] = rows
    below = np.arange(bottom - top, dtype=np.float32)[:, None] > source_row[labels]
    reach = np.where(below, _TEETH_END, _TEETH_RISE) * width
    alpha = np.clip(1 - distance / reach, 0, 1).astype(np.float32)
    return OwnTeeth(texture, alpha, corner, f32(np.clip(colour, 20, 245).astype(np.float32)))


def _pixels(frame: Image, points: F64) -> F32:
    """Colours (n, 3) of the frame at points (n, 2), clamped to its borders."""
    x = np.clip(points[:, 0], 0, frame.shape[1] - 1).astype(np.intp)
    y = np.clip(points[:, 1], 0, frame.shape[0] - 1).astype(np.intp)
    return frame[y, x].astype(np.float32)


def _median(frame: Image, points: F64) -> F32:
    return np.median(_pixels(frame, points), axis=0).astype(np.float32)
