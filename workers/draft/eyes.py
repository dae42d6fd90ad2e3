"""Blinking: an upper lid that slides over the eye. Runs in the draft worker.

Flow: per eye a small patch. While the lid starts to move, the picture's own lid is warped along; further down it
turns into smooth skin (a lid unrolls skin that the picture never showed) that ends in one soft lash line. The
eyeball below the lid never deforms.
"""

from __future__ import annotations

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, F64, Image, blur, f32, image, polygon_mask, smoothstep, unit
from workers.draft.curves import densify
from workers.draft.fields import Layers, distinct
from workers.draft.modes import Mode
from workers.draft.rig import Head
from workers.draft.source import Source
from workers.draft.warp import Grid, ThinPlate, combine, invert, part_of

# An eye that faces away this much has no lid worth moving.
_FACING_FLOOR = 0.25
_STIFFNESS = 3e-4
# Points of the face that shape the patch lie within this part of the face height.
_REACH = 0.35
# Below this a lid has not moved.
_STARTS = 0.02
# Between these lid positions the picture's own lid gives way to smooth skin.
_UNROLL = (0.10, 0.60)
# A shut lid covers the eye's lower rim by this part of the eye's opening: no white may flash below it.
_OVERLAP = 0.10
# Lash line: its half width against the eye's width, and how dark it gets.
_LASH_WIDTH = 0.030
_LASH_OPACITY = 0.72
# Rounds of the film that fills the lid: a lid is some 30 pixels high.
_FILM_ROUNDS = 80
# Lashes and liner reach this far beyond the eye's outer corner and above its crease (parts of the eye's width).
_WING = 0.16
# A lid lies in the shade of the brow and darkens towards its rim.
_LID_SHADE = 0.07
_CREASE_SHADE = 0.10
# It lies on a ball and catches light where that comes nearest.
_LID_LIGHT = 0.10


class Eyelid:
    """One eye's lid."""

    def __init__(
        self, frame: Image, head: Head, modes: F64, layers: Layers, eye: topo.Eye, blink: Mode
    ) -> None:
        """`frame` BGR; `modes` (modes, 468, 2) in pixels."""
        self._eye = eye
        self._blink = blink
        self._head = head
        self.visible = bool(head.facing[list(eye.upper)].mean() >= _FACING_FLOOR)
        if not self.visible:
            return
        margin = 0.03 * head.face_height
        around = head.skin[[*eye.upper, *eye.lower, *eye.crease, *eye.above_crease, *eye.brow]]
        low, high = around.min(axis=0) - margin, around.max(axis=0) + margin
        step = max(1, round(head.face_height / 170))
        x0, y0 = int(low[0]), int(low[1])
        self._grid = Grid(x0, y0, step, int((high[0] - x0) / step) + 2, int((high[1] - y0) / step) + 2)
        self._fields = self._patch_fields(modes, layers, around.mean(axis=0))
        rim = head.skin[[eye.upper[0], eye.upper[-1]]]
        self._width = float(np.linalg.norm(rim[1] - rim[0]))
        opening = head.skin[list(eye.lower)] - head.skin[list(eye.upper)]
        self._opening = float(np.linalg.norm(opening, axis=1).max())
        self._bare = self._bare_skin(frame)
        self._lash = self._lash_colour(frame)

    def paint(
        self,
        canvas: Image,
        origin: tuple[int, int],
        source: Source,
        where: F32,
        coefficients: F32,
        moved: F64,
    ) -> None:
        """Draw the lid into `canvas` (BGRA, its corner at frame pixel `origin`).

        `where` (h, w, 2): where each canvas pixel was fetched from, in texture coordinates, without any blink.
        `moved` (478, 2): where the mesh points are in this frame, pixels.
        """
        shut = min(1.0, float(coefficients[self._blink])) if self.visible else 0.0
        if shut < _STARTS:
            return
        eye = self._eye
        around = moved[[*eye.upper, *eye.lower, *eye.crease, *eye.above_crease]]
        margin = 6 + _WING * self._width
        left, top = np.maximum(np.floor(around.min(axis=0) - margin).astype(int), origin)
        right, bottom = np.ceil(around.max(axis=0) + margin).astype(int)
        right, bottom = min(right, origin[0] + canvas.shape[1]), min(bottom, origin[1] + canvas.shape[0])
        if right - left < 4 or bottom - top < 4:
            return
        corner = np.array([left, top], np.float64)
        size = (int(right - left), int(bottom - top))
        part = (slice(top - origin[1], bottom - origin[1]), slice(left - origin[0], right - origin[0]))
        lid = densify(self._lid_line(moved, shut), 4) - corner
        colours = canvas[part][..., :3].astype(np.float32)
        unrolled = float(smoothstep(shut, *_UNROLL))
        if unrolled < 1:
            backward = invert(combine(coefficients, self._fields), self._grid.step)
            own = source.fetch(part_of(backward, self._grid, int(left), int(top), *size), int(left), int(top))
            above = densify(moved[list(eye.above_crease)], 4) - corner
            colours += (own[..., :3] - colours) * polygon_mask(np.vstack([lid, above[::-1]]), *size)[
                ..., None
            ]
        if unrolled > 0:
            bare = self._bare.look(where[part]).astype(np.float32)
            cover = bare[..., 3] * (1 - self._still_open(moved, lid, corner, size)) * (unrolled / 255)
            shade = self._shade(moved, lid, corner, size)
            colours += (bare[..., :3] * shade[..., None] - colours) * cover[..., None]
            line = self._lash_line(lid, size) * np.float32(unrolled * _LASH_OPACITY)
            colours += (self._lash - colours) * line[..., None]
        canvas[part][..., :3] = np.clip(colours + 0.5, 0, 255).astype(np.uint8)

    def _patch_fields(self, modes: F64, layers: Layers, centre: F64) -> F32:
        head, eye, grid = self._head, self._eye, self._grid
        nodes = grid.nodes()
        shape = (grid.rows, grid.columns, 2)
        fields = layers.wide.grid.at(layers.wide.upper, nodes).reshape(len(modes), *shape)
        # The lower lid stays out of it: the upper lid's skin must not bunch up against it.
        lower = {*eye.lower[1:-1], *eye.under_lower[1:-1]}
        near = np.linalg.norm(head.skin - centre, axis=1) < _REACH * head.face_height
        members = [i for i in range(topo.SKIN_POINTS) if near[i] and head.visible[i] and i not in lower]
        first = [i for i in eye.upper if head.visible[i]]
        points = distinct(head, dict.fromkeys([*first, *members]))
        spline = ThinPlate(head.skin[points], _STIFFNESS)
        fields[self._blink] = spline.evaluate(modes[self._blink][points], nodes).reshape(shape)
        return np.ascontiguousarray(fields, np.float32)

    def _lid_line(self, moved: F64, shut: float) -> F64:
        """Where the rim of the upper lid is (9, 2): from its own place to just over the lower rim."""
        upper, lower = moved[list(self._eye.upper)], moved[list(self._eye.lower)]
        bow = np.sin(np.linspace(0, np.pi, len(upper)))[:, None] ** 0.5
        target = lower + self._head.down * (_OVERLAP * self._opening * bow)
        return np.asarray(upper + (target - upper) * shut, np.float64)

    def _still_open(self, moved: F64, lid: F64, corner: F64, size: tuple[int, int]) -> F32:
        """Coverage (h, w) of the part of the eye that the lid has not reached."""
        lower = densify(moved[list(self._eye.lower)], 4) - corner
        beyond = np.maximum(0, (lid - lower) @ self._head.down)[:, None]
        return polygon_mask(np.vstack([lid - beyond * self._head.down, lower[::-1]]), *size)

    def _bare_skin(self, frame: Image) -> Source:
        """The picture around the eye without eye and lashes; its matte says where they were.

        The hole reaches from above the crease (lashes stand up there) to just below the lower rim, and beyond the
        outer corner, where lashes and liner end.
        """
        eye, skin, head = self._eye, self._head.skin, self._head
        roof = (skin[list(eye.crease)] + skin[list(eye.above_crease)]) / 2
        upper = skin[list(eye.upper)]
        floor = skin[list(eye.lower)] + head.down * _OVERLAP * self._opening
        outward = unit(upper[0] - upper[-1]) * _WING * self._width
        wing = np.vstack([upper[0] + outward - head.down * 0.06 * self._width, roof[0] + outward])
        margin = _WING * self._width + 10
        around = skin[[*eye.above_crease, *eye.under_lower]]
        left, top = np.maximum(np.floor(around.min(axis=0) - margin), 0).astype(int)
        right, bottom = np.ceil(around.max(axis=0) + margin).astype(int)
        pixels = np.ascontiguousarray(frame[top:bottom, left:right])
        size = (pixels.shape[1], pixels.shape[0])
        wings = polygon_mask(np.vstack([upper, roof[::-1], wing[::-1]]) - (left, top), *size)
        covered = np.maximum(polygon_mask(np.vstack([roof, floor[::-1]]) - (left, top), *size), wings)
        # The colours come from below the lower lashes, but what lies below the rim stays as it is.
        below = skin[list(eye.under_lower)]
        hole = np.maximum(covered, polygon_mask(np.vstack([roof, below[::-1]]) - (left, top), *size))
        grow = 2 * max(1, round(0.05 * self._width)) + 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow, grow))
        solid = image(cv2.dilate((hole > 0.2).astype(np.uint8), disk))
        filled = _fill_smoothly(pixels, solid, max(1.5, 0.08 * self._width))
        # The film meets its border without a step, so the matte may end right there; at the rim the lash line
        # hides the step.
        shown = cv2.dilate((covered > 0.2).astype(np.uint8), disk) * self._above(floor - (left, top), size)
        matte = image(cv2.GaussianBlur(shown.astype(np.uint8) * np.uint8(255), (0, 0), 1.0))
        return Source(filled, matte, x0=int(left), y0=int(top))

    @staticmethod
    def _above(line: F64, size: tuple[int, int]) -> Image:
        """1 above a line (n, 2) that crosses a patch, with a pixel to spare; 0 below it (h, w)."""
        rows = np.arange(size[1], dtype=np.float32)[:, None]
        return image((rows < _height_of(line, size[0]) + 1).astype(np.uint8))

    def _lash_colour(self, frame: Image) -> F32:
        """The darkest of the lid's rim."""
        rim = densify(self._head.skin[list(self._eye.upper)], 4)
        x = np.clip(rim[:, 0], 0, frame.shape[1] - 1).astype(np.intp)
        y = np.clip(rim[:, 1], 0, frame.shape[0] - 1).astype(np.intp)
        return np.percentile(frame[y, x].astype(np.float32), 15, axis=0).astype(np.float32)

    def _shade(self, moved: F64, lid: F64, corner: F64, size: tuple[int, int]) -> F32:
        """Brightness of the lid (h, w): a soft crease above, darker towards its rim."""
        crease = densify(moved[list(self._eye.crease)], 4) - corner + self._head.down * 0.12 * self._opening
        rows = np.arange(size[1], dtype=np.float32)[:, None]
        rim, top = (_height_of(line, size[0]) for line in (lid, crease))
        depth = np.clip((rows - top) / np.maximum(rim - top, 1), 0, 1)
        fold = np.exp(-(((rows - top) / np.float32(max(1.0, 0.045 * self._width))) ** 2))
        ends = np.interp(
            np.arange(size[0]), (crease[:, 0].min(), crease[:, 0].mean(), crease[:, 0].max()), (0.0, 1.0, 0.0)
        )
        ball = _LID_LIGHT * np.sin(np.pi / 2 * ends[None]) * np.sin(np.pi * depth)
        return f32((1 + ball - _LID_SHADE * depth**2 - _CREASE_SHADE * fold * ends[None]).astype(np.float32))

    def _lash_line(self, lid: F64, size: tuple[int, int]) -> F32:
        """Coverage (h, w) of a soft line along the lid's rim, thinner towards the corners of the eye."""
        half = max(0.6, _LASH_WIDTH * self._width)
        taper = np.sin(np.linspace(0.15, np.pi - 0.15, len(lid)))[:, None] ** 0.6
        across = self._head.down * half * taper
        line = polygon_mask(np.vstack([lid - across, (lid + 0.4 * across)[::-1]]), *size)
        # Lashes hang below the rim as a soft shade.
        hang = polygon_mask(np.vstack([lid, (lid + 2.2 * across)[::-1]]), *size)
        return f32(np.maximum(blur(line, 0.6), 0.45 * blur(hang, 0.9)))


def _height_of(line: F64, width: int) -> F32:
    """Row of a line (n, 2) at each of `width` columns (1, width)."""
    order = np.argsort(line[:, 0])
    return f32(np.interp(np.arange(width), line[order, 0], line[order, 1]).astype(np.float32)[None])


def _fill_smoothly(pixels: Image, hole: Image, sigma: float) -> Image:
    """Replace `hole` by colours that flow in from its border: nearest ones first, then blurred."""
    _, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.nonzero(hole == 0)
    palette = np.zeros((int(labels.max()) + 1, 3), np.float32)
    # Border colours are averaged along the border without letting the hole's own darkness in.
    outside = (hole == 0).astype(np.float32)
    share = np.maximum(blur(outside, 2.0), np.float32(1e-3))[..., None]
    calm = blur(pixels.astype(np.float32) * outside[..., None], 2.0) / share
    palette[labels[rows, columns]] = calm[rows, columns]
    near = f32(palette[labels])
    keep = (hole == 0)[..., None]
    flowing = blur(near, sigma)
    # Repeated small blurs with the border held fixed settle to a soap film: Laplace's equation.
    for _ in range(_FILM_ROUNDS):
        flowing = np.where(keep, near, cv2.blur(flowing, (7, 7))).astype(np.float32)
    return image(np.where(keep, pixels, np.clip(flowing, 0, 255)).astype(np.uint8))
