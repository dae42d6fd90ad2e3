"""Two people in one frame: which part of it belongs to whom. Runs in the draft worker.

Flow: heads -> for each a share of every pixel, soft along the border between them, and how much of its motion a place
may have. Motion dies away before the border, so that there both people show the still picture and no seam can open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workers.draft.arrays import F32, F64, Image, f32, image, sample, smoothstep
from workers.draft.fields import BodyWeights
from workers.draft.rig import Head
from workers.draft.warp import Grid

# Along the border one share runs into the other within this part of the face height.
_SOFTNESS = 0.03
# Motion is whole this far from the border (of the face height): about half a face's width, so that the mouths of two
# people who stand cheek to cheek still open.
_FREE = 0.24
# Heads that are further apart sideways than this part of their height stand beside each other, and bodies hang down
# from them; otherwise one is above the other.
_BESIDE = 0.5


@dataclass(frozen=True)
class Territory:
    """One person's: `share` (h, w) 0..1 of each pixel, `motion` (h, w) 0..1 of what moves there.

    `cover` (h, w): what the person is drawn with. Who is drawn before another one reaches a little under it, or the
    background would shine through where two half shares meet.
    """

    share: F32
    motion: F32
    cover: F32

    def part_of(self, matte: Image) -> Image:
        """The matte of everybody as the matte of this person."""
        return image((matte * self.cover + np.float32(0.5)).astype(np.uint8))

    def restrain(self, weights: BodyWeights, grid: Grid) -> BodyWeights:
        """Weights that keep the person's motion inside of its territory."""
        x = np.broadcast_to(grid.xs[None].astype(np.float32), (grid.rows, grid.columns))
        y = np.broadcast_to(grid.ys[:, None].astype(np.float32), (grid.rows, grid.columns))
        motion = sample(self.motion, np.ascontiguousarray(x), np.ascontiguousarray(y))
        return BodyWeights(weights.head * motion, weights.body * motion, motion)


def territories(heads: Sequence[Head], shape: tuple[int, int]) -> list[Territory]:
    """The shares of two heads, drawn in this order, in a frame of (height, width) pixels; together the whole frame."""
    centres = [head.skin.mean(axis=0) for head in heads]
    height = float(np.mean([head.face_height for head in heads]))
    beside = all(
        abs(float(one[0] - other[0])) > _BESIDE * height
        for place, one in enumerate(centres)
        for other in centres[:place]
    )
    away = [
        _distance(centre, shape, hangs=beside) / np.float32(head.face_height)
        for centre, head in zip(centres, heads, strict=True)
    ]
    found: list[Territory] = []
    for place, own in enumerate(away):
        nearest = np.minimum.reduce([other for index, other in enumerate(away) if index != place])
        # Pixels to the border: a step away from one head is a step towards the other.
        inside = (nearest - own) * np.float32(height / 2)
        soft, free = max(1.0, _SOFTNESS * height), _FREE * heads[place].face_height
        share = smoothstep(inside, -soft, soft)
        is_last = place == len(heads) - 1
        cover = share if is_last else smoothstep(inside, -3 * soft, -soft)
        found.append(Territory(*(f32(part) for part in (share, smoothstep(inside, 0.0, free), cover))))
    return found


def _distance(centre: F64, shape: tuple[int, int], *, hangs: bool) -> F32:
    """Pixels from a head, or from the body that hangs straight down from it (h, w)."""
    x = np.arange(shape[1], dtype=np.float32)[None] - np.float32(centre[0])
    y = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(centre[1])
    if hangs:
        y = np.minimum(y, 0)
    return np.asarray(np.hypot(x, y), np.float32)
