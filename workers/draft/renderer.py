"""One face that moves: poses in, pixels out. Runs in the draft worker.

Flow: frame + landmarks (+ matte) -> `Animator` (once per picture) -> `draw(canvas, pose)` per frame. An animator
changes only its own person's pixels of a canvas it is given, so several can share one frame.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, Ints, image
from workers.draft.curves import across_of, densify, pin_corners
from workers.draft.eyes import Eyelid
from workers.draft.fields import Layers, build_layers
from workers.draft.matte import background_plate, body_weights
from workers.draft.modes import Mode, build_modes, open_gap
from workers.draft.motion import Pose
from workers.draft.mouth import MouthInterior, MouthState
from workers.draft.own_mouth import without_interior
from workers.draft.rig import Head, build_head
from workers.draft.source import Source
from workers.draft.territory import Territory, territories
from workers.draft.warp import Grid, combine, enlarge, invert, part_of

# Grid cells per face height: fine enough for lips, coarse enough to be cheap.
_CELLS_PER_FACE = 60
# Without a matte, motion reaches this far around the face (parts of the face height).
_MARGIN_SIDES, _MARGIN_BELOW = 0.95, 0.80
# With one, this far around the person.
_PERSON_MARGIN = 0.06
# The lower layer takes over this much (in pixels per pixel) more softly beside the lip corners.
_SEAM_SOFTENING = 0.6
# Beside a corner the two layers become one motion within this part of the mouth width.
_SEAM_MEETS = 0.06


def _no_check() -> None:
    """Nothing to check."""


class Animator:
    """One person in one frame."""

    def __init__(
        self,
        frame: Image,
        head: Head,
        matte: Image | None,
        check: Callable[[], None] = _no_check,
        territory: Territory | None = None,
    ) -> None:
        """`frame` BGR (h, w, 3); `head` measured in its pixels; `matte` (h, w) or None.

        `check` is called between the steps of a second's work and may raise (cancel). `territory`: what of the frame
        is this person's when another one is in it.
        """
        self.head = head
        self._frame_shape = frame.shape[0], frame.shape[1]
        matted = matte is not None
        if territory is not None and matte is not None:
            matte = territory.part_of(matte)
        self._gap_units = open_gap(head) / head.mouth_unit
        modes = build_modes(head)
        grid = _cover(head, self._frame_shape, matte)
        weights = body_weights(head, grid, self._frame_shape, matted)
        if territory is not None:
            weights = territory.restrain(weights, grid)
            if matte is None:
                matte = territory.part_of(np.full(self._frame_shape, 255, np.uint8))
        # Whether something else shows through where the person is not.
        self._is_cut_out = matte is not None
        self._layers: Layers = build_layers(head, modes, grid, weights)
        self._grid = grid
        self._first_lower_row = int(np.flatnonzero(self._layers.lower_share.any(axis=1))[0])
        check()
        self._source = Source(without_interior(frame, head), matte, premultiply=True)
        self._mouth = MouthInterior(frame, head)
        check()
        self._lids = [
            Eyelid(frame, head, modes, self._layers, eye, mode)
            for eye, mode in ((topo.RIGHT_EYE, Mode.BLINK_RIGHT), (topo.LEFT_EYE, Mode.BLINK_LEFT))
        ]
        self._width = min(grid.width, self._frame_shape[1] - grid.x0)
        self._height = min(grid.height, self._frame_shape[0] - grid.y0)

    def coefficients(self, pose: Pose) -> F32:
        """Weights of all modes (modes,) for a pose."""
        values = np.zeros(len(Mode), np.float32)
        aperture = max(0.0, pose.open)
        # An open mouth in the picture is closed less until its own aperture, then the jaw takes over.
        if aperture < self._gap_units:
            values[Mode.CLOSE] = 1 - aperture / self._gap_units
        else:
            values[Mode.JAW] = aperture - self._gap_units
        for mode, value in (
            (Mode.SPREAD, pose.spread),
            (Mode.PUCKER, pose.pucker),
            (Mode.UPPER_RAISE, pose.upper_raise),
            (Mode.LOWER_DROP, pose.lower_drop),
            (Mode.PRESS, pose.press),
            (Mode.RELAX, pose.relax),
            (Mode.BROW, pose.brow),
            (Mode.BLINK_RIGHT, pose.blink_right),
            (Mode.BLINK_LEFT, pose.blink_left),
            (Mode.YAW, pose.yaw),
            (Mode.PITCH, pose.pitch),
            (Mode.ROLL, pose.roll),
            (Mode.SHIFT_X, pose.shift_x * self.head.face_height),
            (Mode.SHIFT_Y, pose.shift_y * self.head.face_height),
            (Mode.SWAY, pose.sway * self.head.face_height),
            (Mode.BREATH, pose.breath * self.head.face_height),
        ):
            values[mode] = value
        return values

    def draw(self, canvas: Image, pose: Pose) -> None:
        """Draw the person in `pose` into `canvas` (BGRA, the frame's size), which holds the background."""
        layers, grid = self._layers, self._grid
        weights = self.coefficients(pose)
        upper = invert(combine(weights, layers.wide.upper), grid.step)
        # The lower layer shows below the lips only.
        chin = slice(self._first_lower_row, None)
        lower = invert(combine(weights, layers.wide.lower[:, chin]), grid.step)
        upper[chin] += (lower - upper[chin]) * layers.lower_share[chin, :, None]
        backward = enlarge(upper, grid)
        points = self.head.points[:, :2]
        upper_points = points + np.tensordot(weights, layers.upper_at, 1)
        lower_points = points + np.tensordot(weights, layers.lower_at, 1)
        upper_lip = densify(upper_points[list(topo.UPPER_INNER)])
        lower_lip = densify(lower_points[list(topo.LOWER_INNER)])
        pin_corners(upper_lip, lower_lip)
        backward = np.ascontiguousarray(backward[: self._height, : self._width])
        person = self._source.fetch(backward, grid.x0, grid.y0)
        self._part_lips(person, weights, upper_lip, lower_lip)
        for lid in self._lids:
            lid.paint(person, (grid.x0, grid.y0), self._source, backward, weights, upper_points)
        rigid = np.tensordot(weights, layers.rigid_at, 1)
        corners = [topo.RIGHT_CORNER, topo.LEFT_CORNER]
        skull = rigid[corners].mean(axis=0)
        jaw = skull + (lower_points - points - rigid)[topo.LOWER_LIP_MIDDLE]
        state = MouthState(upper_lip, lower_lip, skull, jaw, pose.pucker, pose.lower_drop)
        self._mouth.paint(person, grid.x0, grid.y0, state)
        self._compose(canvas, person)

    def _compose(self, canvas: Image, person: Image) -> None:
        grid = self._grid
        view = canvas[grid.y0 : grid.y0 + self._height, grid.x0 : grid.x0 + self._width]
        if not self._is_cut_out:
            view[:] = person
            return
        # The person is premultiplied: what shows through is the background times the rest.
        through = cv2.bitwise_not(cv2.extractChannel(person, 3))
        behind = cv2.multiply(view, cv2.merge([through] * 4), scale=1 / 255)
        view[:] = cv2.add(person, behind)

    def _part_lips(self, person: Image, weights: F32, upper_lip: F64, lower_lip: F64) -> None:
        """Redraw the lips in `person`: upper layer above the lower lip's border, lower layer below it.

        Between the corners two pictures meet along an antialiased line, for half-way between two motions lies
        another place of the portrait. Beside the corners the motions themselves run into each other.
        """
        fine = self._layers.fine.grid
        width = self.head.mouth_width
        both = np.vstack([upper_lip, lower_lip, self.head.skin[list(topo.UPPER_INNER + topo.LOWER_INNER)]])
        reach = np.array([0.9, 0.25]) * width + 6
        x0, y0 = np.maximum(np.floor(both.min(axis=0) - reach).astype(int), (fine.x0, fine.y0))
        x1, y1 = np.ceil(both.max(axis=0) + reach).astype(int)
        x1 = min(x1, fine.x0 + fine.width, self._grid.x0 + self._width)
        y1 = min(y1, fine.y0 + fine.height, self._grid.y0 + self._height)
        if x1 - x0 < 4 or y1 - y0 < 4:
            return
        below, beside = _seam_distances(lower_lip, self.head.down, (x0, y0, x1, y1))
        upper = invert(combine(weights, self._layers.fine.upper), fine.step)
        lower = invert(combine(weights, self._layers.fine.lower), fine.step)
        over = part_of(upper, fine, x0, y0, x1 - x0, y1 - y0)
        under = part_of(lower, fine, x0, y0, x1 - x0, y1 - y0)
        soft = np.float32(1) + np.float32(_SEAM_SOFTENING) * beside
        share = np.clip(below / soft + np.float32(0.5), 0, 1)[..., None]
        together = np.clip(beside / np.float32(_SEAM_MEETS * width), 0, 1)[..., None]
        met = over + (under - over) * share
        above = self._source.fetch(over + (met - over) * together, x0, y0).astype(np.float32)
        beneath = self._source.fetch(under + (met - under) * together, x0, y0)
        view = person[y0 - self._grid.y0 : y1 - self._grid.y0, x0 - self._grid.x0 : x1 - self._grid.x0]
        view[:] = (above + (beneath - above) * share + np.float32(0.5)).astype(np.uint8)


def _seam_distances(seam: F64, down: F64, box: tuple[int, int, int, int]) -> tuple[F32, F32]:
    """For the pixels of a box (x0, y0, x1, y1): how far below the line `seam` (n, 2), and how far beside its ends.

    Both (h, w) in pixels; beside is 0 between the ends.
    """
    across = across_of(seam)
    normal = np.array([-across[1], across[0]])
    if normal @ down < 0:
        normal = -normal
    centre = (seam[0] + seam[-1]) / 2
    x = np.arange(box[0], box[2], dtype=np.float32) - np.float32(centre[0])
    y = (np.arange(box[1], box[3], dtype=np.float32) - np.float32(centre[1]))[:, None]
    u = x * np.float32(across[0]) + y * np.float32(across[1])
    v = x * np.float32(normal[0]) + y * np.float32(normal[1])
    along, depth = (seam - centre) @ across, (seam - centre) @ normal
    order = np.argsort(along)
    line = np.interp(u, along[order], depth[order], left=0.0, right=0.0).astype(np.float32)
    beside = np.maximum(0, np.maximum(along.min() - u, u - along.max())).astype(np.float32)
    return v - line, beside


class Scene:
    """A still frame in which one or more people are animated. Holds one frame, whatever the video's length."""

    def __init__(
        self,
        frame: Image,
        triangles: Ints,
        faces: list[F64],
        mattes: list[Image | None],
        check: Callable[[], None] = _no_check,
    ) -> None:
        """`frame` BGR, even sizes; `faces` landmarks (478, 3) in its pixels; one matte or None for each.

        `check` is called between steps and may raise (cancel).
        """
        heads = [build_head(points, triangles) for points in faces]
        known = [matte for matte in mattes if matte is not None]
        if len(known) < len(heads):
            # One person apart from the background and the other one not: nobody's edge would be where it belongs.
            known = []
        people: Image | None = image(np.maximum.reduce(known)) if known else None
        shares: list[Territory | None] = [None]
        if len(heads) > 1:
            shares = list(territories(heads, (frame.shape[0], frame.shape[1])))
        self.animators = [
            Animator(frame, head, people, check, share) for head, share in zip(heads, shares, strict=True)
        ]
        plate = frame
        if people is not None:
            # How far the fill reaches follows from a head's size; each person's surroundings from its own.
            plate = background_plate(frame, people, heads[0])
            for head, share in zip(heads[1:], shares[1:], strict=True):
                if share is not None:
                    beside = background_plate(frame, people, head)
                    plate = image(
                        (plate + (beside.astype(np.float32) - plate) * share.share[..., None]).astype(
                            np.uint8
                        )
                    )
        self._plate: Image = image(cv2.cvtColor(plate, cv2.COLOR_BGR2BGRA))
        self._canvas = np.empty_like(self._plate)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._plate.shape[1], self._plate.shape[0]

    def render(self, poses: list[Pose]) -> Image:
        """The frame (h, w, 4) BGRA with each person in its pose. The buffer is reused by the next call."""
        np.copyto(self._canvas, self._plate)
        for animator, pose in zip(self.animators, poses, strict=True):
            animator.draw(self._canvas, pose)
        return image(self._canvas)


def _cover(head: Head, shape: tuple[int, int], matte: Image | None) -> Grid:
    """The part of the frame that can change: the person, or the surroundings of the face."""
    height, width = shape
    if matte is None:
        low, high = head.skin.min(axis=0), head.skin.max(axis=0)
        margin = _MARGIN_SIDES * head.face_height
        left, top = low - margin
        right, bottom = high[0] + margin, high[1] + _MARGIN_BELOW * head.face_height
    else:
        rows = np.flatnonzero(matte.any(axis=1))
        columns = np.flatnonzero(matte.any(axis=0))
        margin = _PERSON_MARGIN * head.face_height
        left, right = columns[0] - margin, columns[-1] + margin
        top, bottom = rows[0] - margin, rows[-1] + margin
    step = max(2, round(head.face_height / _CELLS_PER_FACE))
    x0, y0 = max(0, int(left)), max(0, int(top))
    x1, y1 = min(width, int(right) + 1), min(height, int(bottom) + 1)
    return Grid(x0, y0, step, -(-(x1 - x0) // step), -(-(y1 - y0) // step))
