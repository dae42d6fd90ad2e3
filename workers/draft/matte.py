"""Person and background apart, so that one can move and the other stand still. Runs in the draft worker.

Flow: frame -> segmentation network -> the one region that holds the face -> soft matte (0..255) -> background
with the person's rim filled from outside. Without a trustworthy matte the whole frame is one layer.
Source of the network: MediaPipe selfie segmentation.
"""

from __future__ import annotations

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F64, Image, Mask, image, smoothstep
from workers.draft.fields import BodyWeights
from workers.draft.rig import Head
from workers.draft.sessions import Models
from workers.draft.warp import Grid

_NETWORK_SIDE = 256
_THRESHOLD = 0.5
# The face must lie almost wholly inside, and something must be outside, or the matte is not believed.
_FACE_COVERED = 0.85
_MOST_OF_FRAME = 0.985
# The matte reaches this far beyond the silhouette, so that loose hair moves with the head (of the face height).
_REACH = 0.022
_SOFTNESS = 0.010
# The filled rim is this wide: the person never moves further.
_FILL = 0.10


def person_matte(models: Models, frame: Image, head: Head) -> Image | None:
    """Soft matte (h, w) of the person whose face `head` is, or None when none can be trusted. `frame` is BGR."""
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (_NETWORK_SIDE, _NETWORK_SIDE), interpolation=cv2.INTER_AREA)
    planes = small[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
    scores = next(iter(models.person(np.ascontiguousarray(planes)).values())).reshape(
        _NETWORK_SIDE, _NETWORK_SIDE
    )
    full = cv2.resize(scores, (width, height), interpolation=cv2.INTER_CUBIC)
    hull = np.zeros((height, width), np.uint8)
    outline = cv2.convexHull(np.round(head.skin).astype(np.int32))
    cv2.fillConvexPoly(hull, outline, (1,))
    face = hull > 0
    if not face.any() or float((full[face] > _THRESHOLD).mean()) < _FACE_COVERED:
        return None
    solid = ((full > _THRESHOLD) | face).astype(np.uint8)
    person = _region_of(solid, face)
    if float(person.mean()) > _MOST_OF_FRAME:
        return None
    reach = max(1, round(_REACH * head.face_height))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(person, disk) * np.uint8(255)
    return image(cv2.GaussianBlur(grown, (0, 0), max(0.8, _SOFTNESS * head.face_height)))


def background_plate(frame: Image, matte: Image, head: Head) -> Image:
    """The frame with the rim of the person replaced by the background nearest to it."""
    outside = (matte < 8).astype(np.uint8)
    if not outside.any():
        return np.copy(frame)
    distance, labels = cv2.distanceTransformWithLabels(
        1 - outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(outside)
    colours = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colours[labels[rows, columns]] = frame[rows, columns]
    filled = cv2.GaussianBlur(colours[labels], (0, 0), max(1.0, 0.012 * head.face_height))
    deep = _FILL * head.face_height
    share = np.where(outside > 0, 0.0, 1 - smoothstep(distance, deep, 1.5 * deep))[..., None]
    return image((frame + (filled.astype(np.float32) - frame) * share).astype(np.uint8))


def body_weights(head: Head, grid: Grid, frame_shape: tuple[int, int], matted: bool) -> BodyWeights:
    """How far each grid node follows head and body.

    With a matte the whole person may move, down to the frame's lower edge where the body is anchored. Without
    one only an oval around the head moves, fading out, and the body stands still.
    """
    return _person_weights(head, grid, frame_shape) if matted else _oval_weights(head, grid)


def _region_of(solid: Image, face: Mask) -> Image:
    """The connected region of `solid` that holds most of the face, holes filled (0 or 1)."""
    _, labels = cv2.connectedComponents(solid)
    counts = np.bincount(labels[face])
    counts[0] = 0
    person = (labels == int(counts.argmax())).astype(np.uint8)
    contours, _ = cv2.findContours(person, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(person, contours, -1, (1,), cv2.FILLED)
    return image(person)


def _frame_fade(grid: Grid, frame_shape: tuple[int, int], margin: float) -> F64:
    """Falls to 0 at the frame's left and right edges, where moving would uncover what is not there."""
    x = grid.xs
    inside = np.minimum(x, frame_shape[1] - 1 - x)
    return np.broadcast_to(smoothstep(inside, 0.0, margin)[None], (grid.rows, grid.columns))


def _person_weights(head: Head, grid: Grid, frame_shape: tuple[int, int]) -> BodyWeights:
    chin = head.points[topo.CHIN_BOTTOM, :2]
    relative = (grid.nodes() - chin).reshape(grid.rows, grid.columns, 2)
    below = relative @ head.down / head.face_height
    side = np.abs(relative @ np.array([-head.down[1], head.down[0]])) / head.face_height
    fade = _frame_fade(grid, frame_shape, 0.06 * frame_shape[1])
    head_weight = (1 - smoothstep(below, -0.10, 0.50)) * (1 - smoothstep(side, 0.9, 1.5)) * fade
    shoulder = float(chin[1] + 0.45 * head.face_height)
    bottom = float(frame_shape[0])
    depth = max(0.25 * head.face_height, bottom - shoulder)
    rising = np.clip((bottom - grid.ys) / depth, 0, 1)[:, None]
    body_weight = smoothstep(rising, 0.0, 1.15) * fade
    return BodyWeights(np.asarray(head_weight, np.float32), np.asarray(body_weight, np.float32))


def _oval_weights(head: Head, grid: Grid) -> BodyWeights:
    centre = head.skin.mean(axis=0) - 0.10 * head.face_height * head.down
    relative = grid.nodes() - centre
    across = np.array([head.down[1], -head.down[0]])
    radius = np.hypot(
        relative @ across / (0.62 * head.face_height), relative @ head.down / (0.78 * head.face_height)
    ).reshape(grid.rows, grid.columns)
    weight = np.asarray(1 - smoothstep(radius, 0.75, 1.62), np.float32)
    border = np.ones_like(weight)
    border[(0, -1), :] = 0
    border[:, (0, -1)] = 0
    weight *= cv2.blur(border, (5, 5)) * border
    return BodyWeights(weight, np.zeros_like(weight))
