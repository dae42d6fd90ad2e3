"""The inside of the mouth. Runs in the draft worker.

Flow: the two inner lip contours of a frame -> hole mask -> cavity, tongue, teeth, shadow of the lips -> blended
into the frame. Teeth that the picture shows are kept: its own pixels, fixed to the skull.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, blur, f32, polygon_mask, unit
from workers.draft.modes import open_gap
from workers.draft.rig import Head
from workers.draft.teeth import U_REACH, V_TOP, make_sprites

# An opening of this part of the mouth width can show the picture's own teeth.
_OWN_TEETH_GAP = 0.07
# BGR luminance (BT.601).
_LUMA = np.array([0.114, 0.587, 0.299], np.float32)
# Light that reaches the inside passes lips and gums: shadows in a mouth are warm, not grey.
_SHADOW_TINT = np.array([0.30, 0.30, 0.46], np.float32)


@dataclass(frozen=True)
class MouthState:
    """What the interior depends on in one frame. Contours are in frame pixels, corner to corner."""

    upper: F64  # (n, 2) lower border of the upper lip
    lower: F64  # (n, 2) upper border of the lower lip
    skull: F64  # (2,) shift of the skull against the picture, px
    jaw: F64  # (2,) shift of the lower jaw against the picture, px
    pucker: float
    lower_drop: float


@dataclass(frozen=True)
class _Colours:
    lip: F32
    cavity: F32
    tongue: F32
    teeth: F32


class MouthInterior:
    """Everything behind the lips of one picture."""

    def __init__(self, frame: Image, head: Head) -> None:
        """`frame` BGR (h, w, 3)."""
        self._head = head
        self._sprites = make_sprites(head.mouth_unit)
        self._gap = open_gap(head)
        # The lips of the picture are shut: closed frames then need nothing drawn at all.
        self._shut = self._gap < 0.03 * head.mouth_width
        self._colours = _colours(frame, head)
        self._own: _OwnTeeth | None = _own_teeth(frame, head) if not self._shut else None
        if self._own is not None:
            self._colours = _Colours(
                self._colours.lip, self._colours.cavity, self._colours.tongue, self._own.teeth_colour
            )

    @property
    def shows_own_teeth(self) -> bool:
        """Whether the picture's own teeth are used."""
        return self._own is not None

    def paint(self, canvas: Image, x0: int, y0: int, state: MouthState) -> None:
        """Draw into `canvas` (BGR or BGRA, a view whose corner is frame pixel (x0, y0))."""
        head = self._head
        width = head.mouth_width
        gap = (state.lower - state.upper) @ head.down
        aperture = float(gap.max())
        presence = 1.0
        if self._shut:
            presence = float(np.clip((aperture / width - 0.012) / 0.02, 0, 1))
            if presence == 0:
                return
        upper, lower = self._with_seam(state, gap)
        outline = np.vstack([upper, lower[::-1][1:-1]])
        left, top = np.floor(outline.min(axis=0) - 4).astype(int) - (x0, y0)
        right, bottom = np.ceil(outline.max(axis=0) + 5).astype(int) - (x0, y0)
        left, top = max(0, left), max(0, top)
        right, bottom = min(canvas.shape[1], right), min(canvas.shape[0], bottom)
        if right - left < 4 or bottom - top < 3:
            return
        corner = np.array([x0 + left, y0 + top], np.float64)
        mask = blur(polygon_mask(outline - corner, right - left, bottom - top), max(0.45, 0.006 * width))
        inside = self._inside(mask, corner, aperture, state)
        patch = canvas[top:bottom, left:right, :3]
        share = (mask * np.float32(presence))[..., None]
        patch[:] = np.clip(patch + (inside - patch) * share + 0.5, 0, 255).astype(np.uint8)

    def _with_seam(self, state: MouthState, gap: F64) -> tuple[F64, F64]:
        """Contours kept apart by a thin line: where lips that were open meet, there is a shadow."""
        seam = 0.0 if self._shut else max(0.5, 0.009 * self._head.mouth_width)
        line = seam * np.sin(np.linspace(0, np.pi, len(gap))) ** 0.5
        missing = np.maximum(0, line - gap)[:, None] * self._head.down
        return state.upper - 0.4 * missing, state.lower + 0.6 * missing

    def _inside(self, mask: F32, corner: F64, aperture: float, state: MouthState) -> F32:
        """Colours (h, w, 3) of what lies behind the lips, whether seen or not."""
        head, colours = self._head, self._colours
        height, width = mask.shape
        deep = 0.10 * head.mouth_unit + 0.5 * float(
            head.local[topo.UPPER_LIP_MIDDLE, 2] + head.local[topo.LOWER_LIP_MIDDLE, 2]
        )
        pucker = float(np.clip(state.pucker, 0, 1))
        meeting = float(head.local[topo.UPPER_LIP_MIDDLE, 1]) + 0.38 * self._gap
        jaw_rest = float(head.local[topo.LOWER_LIP_MIDDLE, 1]) + 0.03 * head.mouth_unit

        lower = self._sprite(
            self._sprites.lower,
            corner,
            (width, height),
            state.jaw * 0.95 + state.skull * 0.05,
            jaw_rest,
            deep,
        )
        inside = np.empty((height, width, 3), np.float32)
        inside[:] = colours.cavity
        tongue = 0.8 * lower[..., 2:3]
        inside += (colours.tongue - inside) * tongue
        shown = lower[..., :1] * np.float32((0.25 + 0.6 * np.clip(state.lower_drop, 0, 1)) * (1 - pucker))
        inside += (colours.teeth * np.float32(0.66) * lower[..., 1:2] - inside) * shown
        if self._own is not None:
            shift = state.skull - pucker * 0.07 * head.mouth_unit * head.down
            own, alpha = self._own.at(corner - shift, (width, height))
            inside += (own - inside) * alpha
        else:
            lift = meeting - pucker * 0.05 * head.mouth_unit
            upper = self._sprite(self._sprites.upper, corner, (width, height), state.skull, lift, deep)
            inside += (colours.teeth * upper[..., 1:2] - inside) * upper[..., :1]
        return self._shaded(inside, mask, aperture, pucker)

    def _shaded(self, inside: F32, mask: F32, aperture: float, pucker: float) -> F32:
        """Lips throw a soft warm shadow inward; a mouth that barely opens lets hardly any light in."""
        unit_px = self._head.mouth_unit
        away = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        light = np.clip(away / (0.055 * unit_px), 0, 1)[..., None]
        light = (0.55 if self._own is not None else 0.40) * (1 - light) ** 2
        dark = float(1 - np.clip((aperture / unit_px - 0.015) / 0.055, 0, 1))
        light = 1 - np.clip(light + 0.85 * dark + 0.10 * pucker, 0, 1)
        tint = _SHADOW_TINT + (1 - _SHADOW_TINT) * light
        return f32((inside * tint).astype(np.float32))

    def _sprite(
        self, sprite: F32, corner: F64, size: tuple[int, int], shift: F64, v0: float, w0: float
    ) -> F32:
        """A sprite seen at the patch: its v = 0 line at local (0, v0, w0), moved by `shift` pixels."""
        head = self._head
        basis = head.axes[:2, :2].T * head.mouth_unit
        place = head.origin[:2] + head.to_picture(np.array([0.0, v0, w0])) + shift
        to_sprite = np.linalg.inv(basis) * self._sprites.scale
        offset = to_sprite @ (corner - place) + np.array([U_REACH, -V_TOP]) * self._sprites.scale - 0.5
        matrix = np.hstack([to_sprite, offset[:, None]])
        return f32(cv2.warpAffine(sprite, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


class _OwnTeeth:
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


def _colours(frame: Image, head: Head) -> _Colours:
    """Cavity, tongue and teeth tinted by this face's lips and light."""
    lip = _median(frame, head.skin[list(topo.UPPER_MID + topo.LOWER_MID + topo.LOWER_OUTER)])
    skin = _median(frame, head.skin[list(topo.COMPLEXION)])
    light = float(np.percentile(_pixels(frame, head.skin) @ _LUMA, 80))
    warm = skin / max(1.0, float(skin.mean()))
    tint = np.array([0.80, 0.93, 1.0], np.float32) * 0.8 + warm * 0.2
    return _Colours(
        lip=lip,
        cavity=f32(np.clip(lip * np.array([0.20, 0.16, 0.31], np.float32), 4, 80)),
        tongue=f32(np.clip(lip * np.array([0.50, 0.42, 0.70], np.float32), 10, 200)),
        teeth=f32(np.clip(tint * min(215.0, light * 0.98), 20, 235)),
    )


def _own_teeth(frame: Image, head: Head) -> _OwnTeeth | None:
    """The picture's own mouth interior, or None when it shows no teeth worth keeping."""
    width = head.mouth_width
    if open_gap(head) < _OWN_TEETH_GAP * width:
        return None
    outline = np.vstack([head.skin[list(topo.UPPER_INNER)], head.skin[list(topo.LOWER_INNER[1:-1])][::-1]])
    left, top = np.maximum(np.floor(outline.min(axis=0) - 0.5 * width), 0).astype(int)
    right, bottom = np.ceil(outline.max(axis=0) + 0.7 * width).astype(int)
    right, bottom = min(frame.shape[1], right), min(frame.shape[0], bottom)
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
    alpha = np.clip(1 - distance / (0.10 * width), 0, 1).astype(np.float32)
    return _OwnTeeth(texture, alpha, corner, f32(np.clip(colour, 20, 245).astype(np.float32)))


def _pixels(frame: Image, points: F64) -> F32:
    """Colours (n, 3) of the frame at points (n, 2), clamped to its borders."""
    x = np.clip(points[:, 0], 0, frame.shape[1] - 1).astype(np.intp)
    y = np.clip(points[:, 1], 0, frame.shape[0] - 1).astype(np.intp)
    return frame[y, x].astype(np.float32)


def _median(frame: Image, points: F64) -> F32:
    return np.median(_pixels(frame, points), axis=0).astype(np.float32)


def densify(points: F64, steps: int = 5) -> F64:
    """A smooth curve (Catmull-Rom) through points (n, 2), `steps` samples per piece."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        cubic = (-a + 3 * b - 3 * c + d) * t**3
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + cubic))
    return np.vstack([*pieces, points[-1:]])


def pin_corners(upper: F64, lower: F64) -> None:
    """Make both contours start and end in the same points, in place."""
    for end in (0, -1):
        upper[end] = lower[end] = (upper[end] + lower[end]) / 2


def across_of(upper: F64) -> F64:
    """Unit vector from the first to the last point of a contour."""
    return unit(upper[-1] - upper[0])
