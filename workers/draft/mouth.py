"""The inside of the mouth. Runs in the draft worker.

Flow: the two inner lip contours of a frame -> hole mask -> cavity, tongue, teeth, shadow of the lips -> blended
into the frame. Teeth that the picture shows are kept: its own pixels, fixed to the skull.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, blur, f32, polygon_mask
from workers.draft.modes import open_gap
from workers.draft.own_mouth import SHUT_GAP, MouthColours, OwnTeeth, mouth_colours, own_teeth
from workers.draft.rig import Head
from workers.draft.teeth import U_REACH, V_TOP, make_sprites

# Light that reaches the inside passes lips and gums: shadows in a mouth are warm, not grey.
_WARM_SHADE = np.array([1.30, 1.15, 0.85], np.float32)
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


class MouthInterior:
    """Everything behind the lips of one picture."""

    def __init__(self, frame: Image, head: Head) -> None:
        """`frame` BGR (h, w, 3)."""
        self._head = head
        self._sprites = make_sprites(head.mouth_unit)
        self._gap = open_gap(head)
        # The lips of the picture are shut: closed frames then need nothing drawn at all.
        self._shut = self._gap < SHUT_GAP * head.mouth_width
        self._colours = mouth_colours(frame, head)
        self._own: OwnTeeth | None = own_teeth(frame, head)
        if self._own is not None:
            self._colours = MouthColours(
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
        inside += (colours.teeth * (np.float32(0.66) * lower[..., 1:2]) ** _WARM_SHADE - inside) * shown
        # Rounded lips reach forward over the teeth: seen from the front these move up behind the lip.
        if self._own is not None:
            shift = state.skull - pucker * 0.11 * head.mouth_unit * head.down
            own, alpha = self._own.at(corner - shift, (width, height))
            inside += (own - inside) * alpha
        else:
            lift = meeting - pucker * 0.06 * head.mouth_unit
            upper = self._sprite(self._sprites.upper, corner, (width, height), state.skull, lift, deep)
            inside += (colours.teeth * upper[..., 1:2] ** _WARM_SHADE - inside) * upper[..., :1]
        return self._shaded(inside, mask, aperture, pucker)

    def _shaded(self, inside: F32, mask: F32, aperture: float, pucker: float) -> F32:
        """Lips throw a soft warm shadow inward; a mouth that barely opens lets hardly any light in."""
        unit_px = self._head.mouth_unit
        away = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        light = np.clip(away / (0.045 * unit_px), 0, 1)[..., None]
        light = (0.55 if self._own is not None else 0.32) * (1 - light) ** 2
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
