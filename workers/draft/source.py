"""The picture as a texture to fetch from. Runs in the draft worker.

The texture is kept at twice its size (Lanczos): bilinear fetches from it are as sharp as bicubic ones from the
original and, with four channels, cost an eighth of them. The fourth channel is the person's matte.
"""

from __future__ import annotations

import cv2
import numpy as np

from workers.draft.arrays import F32, Image, image, remap

_OVERSAMPLE = 2


class Source:
    """A BGR frame with a matte, ready to be warped."""

    def __init__(
        self, frame: Image, matte: Image | None, *, x0: int = 0, y0: int = 0, premultiply: bool = False
    ) -> None:
        """`frame` BGR (h, w, 3), or a piece of it whose corner is (x0, y0); `matte` (h, w) or None for one layer.

        `premultiply`: colours are stored times the matte, which makes laying them over a background cheap.
        """
        self._corner = x0, y0
        height, width = frame.shape[:2]
        alpha = np.full((height, width), 255, np.uint8) if matte is None else matte
        size = (width * _OVERSAMPLE, height * _OVERSAMPLE)
        colours = cv2.resize(frame, size, interpolation=cv2.INTER_LANCZOS4)
        edges = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
        if premultiply and matte is not None:
            colours = cv2.multiply(colours, cv2.merge([edges, edges, edges]), scale=1 / 255)
        self._texture = np.dstack([colours, edges])

    def fetch(self, backward: F32, x0: int, y0: int) -> Image:
        """Pixels (h, w, 4) whose corner is frame pixel (x0, y0), each taken from where `backward` points.

        `backward` (h, w, 2) in frame pixels is changed in place: afterwards it can be given to `look`.
        """
        height, width = backward.shape[:2]
        backward *= _OVERSAMPLE
        # Pixel centres: texture = (frame + 0.5) * 2 - 0.5.
        half = np.float32((_OVERSAMPLE - 1) / 2)
        backward[..., 0] += (np.arange(width, dtype=np.float32) + x0) * _OVERSAMPLE + half
        backward[..., 1] += ((np.arange(height, dtype=np.float32) + y0) * _OVERSAMPLE + half)[:, None]
        return self.look(backward)

    def look(self, where: F32) -> Image:
        """Pixels (h, w, 4) at texture positions `where` (h, w, 2) of the whole frame."""
        if self._corner != (0, 0):
            where = where - np.array(self._corner, np.float32) * _OVERSAMPLE
        return image(remap(self._texture, where))
