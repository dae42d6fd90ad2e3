"""What one muscle does to every mesh point: the motion modes of a head. Runs in the draft worker.

Flow: `Head` -> displacements (modes, 468, 2) in picture pixels per unit of each mode. They are built in the
head's own three dimensions and projected, so a turned head opens its mouth along its own jaw.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F64, Mask, smoothstep
from workers.draft.rig import Head


class Mode(IntEnum):
    """Everything that can move. Units: see `build_modes`."""

    JAW = 0
    CLOSE = 1
    SPREAD = 2
    PUCKER = 3
    UPPER_RAISE = 4
    LOWER_DROP = 5
    PRESS = 6
    RELAX = 7
    BROW = 8
    BLINK_RIGHT = 9
    BLINK_LEFT = 10
    YAW = 11
    PITCH = 12
    ROLL = 13
    SHIFT_X = 14
    SHIFT_Y = 15
    SWAY = 16
    BREATH = 17


# Modes that move head or body as a whole; the others shape the face.
RIGID_MODES = frozenset({Mode.YAW, Mode.PITCH, Mode.ROLL, Mode.SHIFT_X, Mode.SHIFT_Y, Mode.SWAY, Mode.BREATH})
# When an open mouth closes, the upper lip covers this part of the gap; the jaw brings the rest.
_UPPER_SHARE = 0.38
# Lips row by row from the inner border outwards: how much of an inner lip's motion each follows.
_ROW_FOLLOW_UPPER = (1.0, 0.95, 0.85, 0.70)
_ROW_FOLLOW_LOWER = (1.0, 0.97, 0.92, 0.86)


def build_modes(head: Head) -> F64:
    """Displacements (len(Mode), 468, 2) in pixels.

    Units: JAW one mouth unit of aperture; CLOSE 1 = the picture's open mouth shut; YAW, PITCH radians;
    BLINK 1 = shut; the others 1 = full extent. Mask modes stay zero here.
    """
    local = np.zeros((len(Mode), topo.SKIN_POINTS, 3))
    shape = _MouthShape(head)
    local[Mode.JAW] = _jaw(head, shape)
    local[Mode.CLOSE] = _close(head, shape)
    local[Mode.SPREAD] = _spread(head, shape)
    local[Mode.PUCKER] = _pucker(head, shape)
    local[Mode.UPPER_RAISE] = _upper_raise(head, shape)
    local[Mode.LOWER_DROP] = _lower_drop(head, shape)
    local[Mode.PRESS] = _press(head)
    local[Mode.RELAX] = _relax(head, shape)
    local[Mode.BROW] = _brow(head)
    for mode, eye in ((Mode.BLINK_RIGHT, topo.RIGHT_EYE), (Mode.BLINK_LEFT, topo.LEFT_EYE)):
        local[mode] = _blink(head, eye)
    local[Mode.YAW], local[Mode.PITCH] = _turns(head)
    return head.to_picture(local)


def open_gap(head: Head) -> float:
    """How far the mouth of the picture is open already, pixels between the inner lips' middles."""
    upper, lower = head.local[topo.UPPER_LIP_MIDDLE], head.local[topo.LOWER_LIP_MIDDLE]
    return float(max(0.0, lower[1] - upper[1]))


def smile_lift(head: Head) -> float:
    """How far the lip corners lie above the lips' middle, pixels; positive in a smile."""
    middle = (head.local[topo.UPPER_LIP_MIDDLE, 1] + head.local[topo.LOWER_LIP_MIDDLE, 1]) / 2
    return float(middle - (head.local[topo.RIGHT_CORNER, 1] + head.local[topo.LEFT_CORNER, 1]) / 2)


class _MouthShape:
    """Weights around the mouth that several modes share."""

    def __init__(self, head: Head) -> None:
        u, v, _ = head.local.T
        half = head.mouth_width / 2
        self.half = half
        # -1 at the right corner, 1 at the left, and beyond.
        self.side = np.clip(u / half, -1, 1)
        # Distance to the line between the corners.
        self.away = np.hypot(np.maximum(np.abs(u) - half, 0), v)
        # The philtrum and the skin above the upper lip.
        self.philtrum = (
            np.exp(-((u / (0.8 * half)) ** 2))
            * smoothstep(v, -0.55 * head.mouth_width, -0.1 * head.mouth_width)
            * (v < 0)
        )
        lips = topo.UPPER_LIP | topo.LOWER_LIP | topo.LIP_CORNERS
        self.skin: Mask = np.array([i not in lips for i in range(topo.SKIN_POINTS)])
        self.jaw = _jaw_weight(head)

    def near(self, reach: float) -> F64:
        """Gaussian around the mouth, `reach` in pixels."""
        return np.asarray(np.exp(-((self.away / reach) ** 2)), np.float64)


def _jaw_weight(head: Head) -> F64:
    """How much each point follows the jaw, 0..1 (slightly negative on the upper lip, which lifts)."""
    u, v, _ = head.local.T
    half = head.mouth_width / 2
    jaw_half = float(np.abs(head.local[list(topo.JAW_ANGLES), 0]).mean())
    weight = smoothstep(v, -0.05 * head.mouth_width, 0.55 * head.mouth_width)
    weight = weight * (1 - 0.80 * smoothstep(np.abs(u), 0.9 * half, 1.15 * jaw_half))
    part = np.minimum(1, np.abs(u) / half)
    for i in topo.LOWER_LIP:
        weight[i] = 0.32 + 0.68 * (1 - part[i] ** 2.4)
    for i in topo.UPPER_LIP:
        weight[i] = -0.13 * (1 - part[i] ** 2) + 0.12 * part[i] ** 3
    for i in topo.LIP_CORNERS:
        weight[i] = 0.29
    return np.asarray(weight, np.float64)


def _jaw(head: Head, shape: _MouthShape) -> F64:
    """The jaw turns about the axis between the ears; the lower lip's middle moves one mouth unit."""
    _, v, w = head.local.T
    ears = head.local[[topo.RIGHT_EAR, topo.LEFT_EAR]]
    hinge_v, hinge_w = ears[:, 1].mean(), ears[:, 2].mean()
    turn = head.mouth_unit / max(1e-6, abs(hinge_w - head.local[topo.LOWER_LIP_MIDDLE, 2]))
    move = np.zeros((topo.SKIN_POINTS, 3))
    move[:, 1] = shape.jaw * -(w - hinge_w) * turn
    # Half of the backward swing: the rest is taken up by the skin under the chin.
    move[:, 2] = shape.jaw * (v - hinge_v) * turn * 0.5
    # A mouth that opens gets narrower.
    move[:, 0] = -0.13 * head.mouth_unit * shape.side * shape.near(0.40 * head.mouth_width)
    return move


def _close(head: Head, shape: _MouthShape) -> F64:
    """Shut the picture's own open mouth, lip row by lip row, the skin around following."""
    local, width = head.local, head.mouth_width
    _, v, _ = local.T
    gap = open_gap(head)
    move = np.zeros((topo.SKIN_POINTS, 3))
    for j in range(1, 10):
        between = local[topo.LOWER_INNER[j]] - local[topo.UPPER_INNER[j]]
        if between[1] <= 0:
            continue
        for row, follow in zip(topo.UPPER_ROWS, _ROW_FOLLOW_UPPER, strict=True):
            move[row[j]] += _UPPER_SHARE * follow * between
        for row, follow in zip(topo.LOWER_ROWS, _ROW_FOLLOW_LOWER, strict=True):
            move[row[j]] -= (1 - _UPPER_SHARE) * follow * between
    chin = shape.skin & (v > 0.1 * width)
    move[chin, 1] -= (1 - _UPPER_SHARE) * gap * 0.75 * shape.jaw[chin]
    move[shape.skin, 1] += 0.45 * _UPPER_SHARE * gap * shape.philtrum[shape.skin]
    # Lips that meet get a little narrower.
    move[:, 0] -= 0.12 * gap * shape.side * shape.near(0.42 * width)
    return move


def _spread(head: Head, shape: _MouthShape) -> F64:
    width = head.mouth_width
    near = shape.near(0.42 * width)
    move = np.zeros((topo.SKIN_POINTS, 3))
    move[:, 0] = 0.10 * width * shape.side * near
    move[:, 1] = -0.02 * width * shape.side**2 * near
    move[:, 2] = 0.05 * width * np.abs(shape.side) * near
    return move


def _pucker(head: Head, shape: _MouthShape) -> F64:
    """Round the lips: corners in, lips forward and fuller, a smile's corners down to the lip line."""
    width = head.mouth_width
    u, v, _ = head.local.T
    near = shape.near(0.36 * width)
    move = np.zeros((topo.SKIN_POINTS, 3))
    move[:, 0] = -0.17 * width * shape.side * near
    move[:, 2] = -0.13 * width * np.exp(-((u / shape.half) ** 4)) * np.exp(-((v / (0.38 * width)) ** 2))
    # Inner border first: how the rows part, in mouth widths at the middle.
    for row, follow, fuller in zip(
        topo.UPPER_ROWS, (1.0, 0.9, 0.75, 0.4), (-0.020, -0.028, -0.035, -0.042), strict=True
    ):
        _lift_row(move, row, (0.035 * follow + fuller) * width, power=1.0)
    for row, fuller in zip(topo.LOWER_ROWS, (0, 0.012, 0.022, 0.034), strict=True):
        _lift_row(move, row, fuller * width, power=1.0)
    lift = smile_lift(head)
    if lift > 0:
        move[:, 1] += 0.55 * lift * np.abs(shape.side) ** 1.5 * near
    # Seen from the side the lips' forward push is most of it, and the far side has little room.
    return move * float(np.clip((head.frontal - 0.62) / 0.25, 0.15, 1))


def _upper_raise(head: Head, shape: _MouthShape) -> F64:
    move = np.zeros((topo.SKIN_POINTS, 3))
    for row, follow in zip(topo.UPPER_ROWS, (1.0, 1.0, 0.95, 0.85), strict=True):
        _lift_row(move, row, -0.085 * head.mouth_width * follow, power=0.7)
    move[shape.skin, 1] -= 0.085 * head.mouth_width * 0.5 * shape.philtrum[shape.skin]
    return move


def _lower_drop(head: Head, shape: _MouthShape) -> F64:
    width = head.mouth_width
    u, v, _ = head.local.T
    move = np.zeros((topo.SKIN_POINTS, 3))
    for row, follow in zip(topo.LOWER_ROWS, (1.0, 1.0, 0.95, 0.8), strict=True):
        _lift_row(move, row, 0.07 * width * follow, power=0.7)
    below = np.exp(-((u / (0.8 * shape.half)) ** 2)) * np.exp(-(((v - 0.25 * width) / (0.25 * width)) ** 2))
    move[shape.skin, 1] += 0.07 * width * 0.5 * below[shape.skin]
    return move


def _press(head: Head) -> F64:
    """Lips rolled against each other: their outer borders come nearer, the seam stays."""
    move = np.zeros((topo.SKIN_POINTS, 3))
    for row, follow in zip(topo.UPPER_ROWS[1:], (0.3, 0.6, 1.0), strict=True):
        _lift_row(move, row, 0.03 * head.mouth_width * follow, power=0.7)
    for row, follow in zip(topo.LOWER_ROWS[1:], (0.3, 0.6, 1.0), strict=True):
        _lift_row(move, row, -0.035 * head.mouth_width * follow, power=0.7)
    return move


def _relax(head: Head, shape: _MouthShape) -> F64:
    """Take the picture's own smile back: corners down and in, the cheeks after them. 1 = a neutral mouth."""
    move = np.zeros((topo.SKIN_POINTS, 3))
    lift = smile_lift(head)
    if lift <= 0:
        return move
    width = head.mouth_width
    near = shape.near(0.50 * width)
    move[:, 1] = 0.90 * lift * np.abs(shape.side) ** 1.5 * near
    move[:, 0] = -max(0.0, width - head.mouth_unit) / 2 * shape.side * near
    return move


def _brow(head: Head) -> F64:
    """Raise the brows; the forehead follows less and less towards the hair, the lids not at all."""
    v = head.local[:, 1]
    brow_v = float(np.mean([head.local[list(eye.brow), 1].mean() for eye in topo.EYES]))
    lid_v = float(head.local[list(topo.UPPER_LIDS_MIDDLE), 1].mean())
    top_v = float(head.local[topo.FOREHEAD_TOP, 1])
    above = 1 - 0.85 * smoothstep(brow_v - v, 0, brow_v - top_v)
    below = 1 - smoothstep(v - brow_v, 0.0, (lid_v - brow_v) * 0.85)
    move = np.zeros((topo.SKIN_POINTS, 3))
    move[:, 1] = -0.028 * head.face_height * np.where(v < brow_v, above, below) * (v < lid_v)
    return move


def _blink(head: Head, eye: topo.Eye) -> F64:
    """The upper lid slides down to the lower one, which rises a little to meet it."""
    move = np.zeros((topo.SKIN_POINTS, 3))
    for j in range(1, 8):
        gap = max(0.0, float(head.local[eye.lower[j], 1] - head.local[eye.upper[j], 1]))
        move[eye.upper[j], 1] += 1.0 * gap
        move[eye.lower[j], 1] -= 0.08 * gap
        move[eye.crease[j], 1] += 0.42 * gap
        move[eye.above_crease[j], 1] += 0.10 * gap
        move[eye.under_lower[j], 1] -= 0.04 * gap
    return move


def _turns(head: Head) -> tuple[F64, F64]:
    """Small yaw and pitch about a pivot behind the face, as first-order rotations."""
    u, v, w = head.local.T
    ears = head.local[[topo.RIGHT_EAR, topo.LEFT_EAR]]
    pivot_v = ears[:, 1].mean() + 0.1 * head.face_height
    pivot_w = ears[:, 2].mean() + 0.1 * head.face_height
    yaw = np.zeros((topo.SKIN_POINTS, 3))
    yaw[:, 0], yaw[:, 2] = -(w - pivot_w), u
    pitch = np.zeros((topo.SKIN_POINTS, 3))
    pitch[:, 1], pitch[:, 2] = -(w - pivot_w), v - pivot_v
    return yaw, pitch


def _lift_row(move: F64, row: Sequence[int], amount: float, *, power: float) -> None:
    """Move a lip row down by `amount` at its middle, tapering to nothing at its ends."""
    for j in range(1, 10):
        move[row[j], 1] += amount * np.sin(np.pi * j / 10) ** power
