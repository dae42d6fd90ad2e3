"""Array types of the draft engine, and the few OpenCV calls that it uses, with exact types.

Runs in the draft worker. Colour pictures are BGR(A) uint8 inside the engine, as OpenCV keeps them; positions
are (x, y) in pixels with integers at pixel centres.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.intp]


def image(value: Any) -> Image:
    """What OpenCV returned, known to be uint8."""
    return cast(Image, value)


def f32(value: Any) -> F32:
    """What OpenCV returned, known to be float32."""
    return cast(F32, value)


def f64(value: Any) -> F64:
    """What numpy computed from doubles, known to be float64."""
    return cast(F64, value)


def remap(texture: Any, where: F32, *, flags: int = cv2.INTER_LINEAR) -> Any:
    """Fetch `texture` at `where` (h, w, 2): x, y in its pixels; its edges are repeated."""
    # The stubs do not know that the second map may be absent when the first has two channels.
    fetch: Any = cv2.remap
    return fetch(texture, where, None, flags, borderMode=cv2.BORDER_REPLICATE)


def resize_image(source: Image, width: int, height: int) -> Image:
    """Resample to `width` x `height`: area averaging when it shrinks, Lanczos when it grows."""
    shrinks = width < source.shape[1] or height < source.shape[0]
    return image(
        cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
    )


def resize_field(source: F32, width: int, height: int) -> F32:
    """Bilinear resampling of a float field, pixel centres aligned as areas (OpenCV's convention)."""
    return f32(cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR))


def sample(field: F32, x: F32, y: F32) -> F32:
    """Bilinear samples of `field` (h, w[, c]) at float positions; edges are repeated."""
    return f32(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def blur(source: F32, sigma: float) -> F32:
    """Gaussian blur, sigma in pixels."""
    return f32(cv2.GaussianBlur(source, (0, 0), sigma))


def polygon_mask(polygon: F64, width: int, height: int, *, oversample: int = 4) -> F32:
    """Coverage 0..1 of a polygon (n, 2) in pixels, antialiased by supersampling."""
    big = np.zeros((height * oversample, width * oversample), np.uint8)
    scaled = (polygon + 0.5) * oversample - 0.5
    # 4 fractional bits: a sixteenth of a supersampled pixel.
    cv2.fillPoly(big, [np.round(scaled * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    small = big if oversample == 1 else cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA)
    return f32(small * np.float32(1 / 255))


def smoothstep(value: Any, low: float, high: float) -> Any:
    """0 below `low`, 1 above `high`, a smooth cubic between them."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def unit(vector: F64) -> F64:
    """The vector at length 1."""
    return np.asarray(vector / np.linalg.norm(vector), np.float64)
