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

# The longest side that is accepted: 8000 is promised, phones of 50 megapixels reach 8160.
MAX_SIDE_PX = 10_000
# Everything is shrunk to this; a face of 5 % of the width then still has 200 pixels.
WORKING_SIDE_PX = 4096
# From this side on a picture is halved on the way: 3000 pixels and more are left, in a quarter of the memory.
_HALVE_FROM_PX = 6000
# Rows of a large transparent picture that are premultiplied at once (an even number, for the halving).
_STRIP_ROWS = 512
# Below this a whole picture holds no face that could be animated.
MIN_SIDE_PX = 48
# 64 megapixels decode into 256 MB, which the worker survives. Checked on the header alone.
MAX_PIXELS = 8000 * 8000
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
    large = max(opened.size) >= _HALVE_FROM_PX
    if large and opened.format in ("JPEG", "MPO"):
        # The JPEG decoder itself can leave every second pixel out of its transform.
        picture.draft("RGB", (opened.width // 2, opened.height // 2))
    orientation = opened.getexif().get(0x0112, 1)
    profile = opened.info.get("icc_profile")
    picture = _to_colour(picture, halve=large)
    if picture is not opened:
        # The full-size pixels are not needed any more, and the steps below want the room.
        opened.close()
    picture.thumbnail((WORKING_SIDE_PX, WORKING_SIDE_PX), Pil.Resampling.LANCZOS)
    picture = _flatten(picture)
    picture = _to_srgb(picture, profile)
    exif = Pil.Exif()
    exif[0x0112] = orientation
    picture.info["exif"] = exif.tobytes()
    picture = ImageOps.exif_transpose(picture)
    return np.ascontiguousarray(np.asarray(picture, np.uint8))


def _to_colour(picture: Pil.Image, *, halve: bool) -> Pil.Image:
    """Every mode becomes RGB, CMYK or RGBa (premultiplied, so that resizing mixes no hidden colours).

    `halve`: bring a picture that is still large to half its size, so that no second large copy is made.
    """
    picture.load()
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep_grey(picture)
    transparent = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
    halve = halve and max(picture.size) >= _HALVE_FROM_PX
    if transparent:
        return _premultiplied(picture, halve=halve)
    if halve and picture.mode in ("RGB", "L", "CMYK", "YCbCr"):
        picture = picture.reduce(2)
    return picture if picture.mode in ("RGB", "CMYK") else picture.convert("RGB")


def _premultiplied(picture: Pil.Image, *, halve: bool) -> Pil.Image:
    """RGBa, made strip by strip."""
    step = 2 if halve else 1
    width, height = -(-picture.width // step), -(-picture.height // step)
    result = Pil.new("RGBa", (width, height))
    for top in range(0, picture.height, _STRIP_ROWS):
        strip = picture.crop((0, top, picture.width, min(picture.height, top + _STRIP_ROWS)))
        strip = strip.convert("RGBA").convert("RGBa")
        result.paste(strip.reduce(2) if halve else strip, (0, top // step))
    return result


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
    flat = Pil.new("RGB", straight.size, BACKDROP_RGB)
    flat.paste(straight, mask=straight.getchannel("A"))
    return flat


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
        f"Use one of at most {MAX_SIDE_PX} pixels a side and {MAX_PIXELS // 1_000_000} megapixels in all.",
    )


def _unreadable(why: str) -> TaskError:
    return TaskError(
        "image_unreadable", f"The picture cannot be read: {why}. Save it again as JPEG or PNG and retry."
    )
