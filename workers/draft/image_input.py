"""Any picture that a phone or the web gives, as plain RGB pixels. Runs in the draft worker.

Flow: a file -> header (size checked before a pixel is decoded) -> decode, shrunk while decoding where the
format can -> orientation, transparency, CMYK, palette, 16 bits and colour profile resolved -> RGB array.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image as Pil
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from workers.draft.arrays import Image
from workers.handler import TaskError

# The longest side that is accepted, and the one that everything is shrunk to. 8000 covers phone cameras
# (48 megapixels); 4096 keeps a face of 5 % of the width above 200 px.
MAX_SIDE_PX = 8000
WORKING_SIDE_PX = 4096
# Below this a whole picture holds no face that could be animated.
MIN_SIDE_PX = 48
# 64 megapixels decode into 256 MB at worst, which the worker survives. Checked on the header alone.
MAX_PIXELS = MAX_SIDE_PX * MAX_SIDE_PX
# Pictures only; Pillow's other readers (PostScript, fonts, icons, …) stay shut.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
# Transparent parts become this light grey, a plain studio backdrop.
BACKDROP_RGB = (236, 237, 239)
# What decoders raise on broken files besides OSError.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error)


def load_picture(path: Path) -> Image:
    """The picture as RGB uint8 (h, w, 3), upright, longest side <= `WORKING_SIDE_PX`.

    Raises `TaskError`: `image_unreadable` when it is no picture, `too_large` beyond the pixel limits (told from
    the header), `face_too_small` when the picture itself is too small to hold a face.
    """
    _register_heif()
    with warnings.catch_warnings():
        # Our own limit below is stricter than the one Pillow warns about.
        warnings.simplefilter("ignore")
        try:
            with Pil.open(path, formats=_known_formats()) as opened:
                _check_size(opened.width, opened.height)
                return _decode(opened)
        except (Pil.DecompressionBombError, MemoryError) as error:
            raise _too_large() from error
        except UnidentifiedImageError as error:
            raise _unreadable("it is not a picture in a format we know") from error
        except _BROKEN as error:
            raise _unreadable("the file is damaged or cut off") from error


def _register_heif() -> None:
    """Teach Pillow the format of iPhones. Idempotent."""
    import pi_heif

    pi_heif.register_heif_opener()


def _known_formats() -> list[str]:
    Pil.init()
    return [name for name in FORMATS if name in Pil.OPEN]


def _check_size(width: int, height: int) -> None:
    if width > MAX_SIDE_PX or height > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise _too_large(f"it declares {width}x{height} pixels")
    if width < 1 or height < 1:
        raise _unreadable("it has no pixels")
    if max(width, height) < MIN_SIDE_PX:
        raise TaskError(
            "face_too_small",
            f"The picture is only {width}x{height} pixels. Use one of at least 256x256 pixels.",
        )


def _decode(opened: Pil.Image) -> Image:
    picture: Pil.Image = opened
    if opened.format in ("JPEG", "MPO"):
        # Decodes at 1/2, 1/4 or 1/8 size when that still covers the working size.
        picture.draft("RGB", (WORKING_SIDE_PX, WORKING_SIDE_PX))
    orientation = opened.getexif().get(0x0112, 1)
    profile = opened.info.get("icc_profile")
    picture = _to_colour(picture)
    picture.thumbnail((WORKING_SIDE_PX, WORKING_SIDE_PX), Pil.Resampling.LANCZOS, reducing_gap=2.0)
    picture = _flatten(picture)
    picture = _to_srgb(picture, profile)
    exif = Pil.Exif()
    exif[0x0112] = orientation
    picture.info["exif"] = exif.tobytes()
    picture = ImageOps.exif_transpose(picture)
    return np.ascontiguousarray(np.asarray(picture, np.uint8))


def _to_colour(picture: Pil.Image) -> Pil.Image:
    """Every mode becomes RGB, CMYK or RGBa (premultiplied, so that resizing mixes no hidden colours)."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep_grey(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La") or "transparency" in picture.info:
        return picture.convert("RGBA").convert("RGBa")
    if picture.mode in ("RGB", "RGBa", "CMYK"):
        picture.load()
        return picture
    return picture.convert("RGB")


def _from_deep_grey(picture: Pil.Image) -> Pil.Image:
    """16 or 32-bit grey to 8 bits: by its nominal range, or by its own when that is wider or fractional."""
    values = np.asarray(picture, np.float32)
    top = 65535.0 if picture.mode.startswith("I") else float(values.max(initial=0.0))
    top = max(top, float(values.max(initial=0.0)), 1e-6)
    grey = np.clip(np.nan_to_num(values) * (255.0 / top), 0, 255).astype(np.uint8)
    return Pil.fromarray(grey).convert("RGB")


def _flatten(picture: Pil.Image) -> Pil.Image:
    if picture.mode != "RGBa":
        return picture
    straight = picture.convert("RGBA")
    backdrop = Pil.new("RGBA", straight.size, (*BACKDROP_RGB, 255))
    return Pil.alpha_composite(backdrop, straight).convert("RGB")


def _to_srgb(picture: Pil.Image, profile: object) -> Pil.Image:
    """Apply an embedded colour profile (phones record Display P3); a broken profile is left aside."""
    if isinstance(profile, bytes) and profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, *_BROKEN):
            return picture.convert("RGB")
        if converted is not None:
            return converted
    return picture.convert("RGB")


def _too_large(why: str = "") -> TaskError:
    return TaskError(
        "too_large",
        f"The picture is too large{': ' + why if why else ''}. "
        f"Use one of at most {MAX_SIDE_PX}x{MAX_SIDE_PX} pixels.",
    )


def _unreadable(why: str) -> TaskError:
    return TaskError(
        "image_unreadable", f"The picture cannot be read: {why}. Save it again as JPEG or PNG and retry."
    )
