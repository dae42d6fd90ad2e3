"""Any picture a phone or the web gives comes out upright, opaque and RGB; what is none is refused in words."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.unit.draft.conftest import FIXTURES
from workers.draft.image_input import BACKDROP_RGB, WORKING_SIDE_PX, load_picture
from workers.handler import TaskError


def refused(path: Path) -> TaskError:
    with pytest.raises(TaskError) as caught:
        load_picture(path)
    assert str(path.parent) not in caught.value.message
    return caught.value


@pytest.fixture
def quarters() -> Image.Image:
    """Four colours in four corners, 80x60: red, green / blue, white."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:30, :40] = (200, 30, 30)
    pixels[:30, 40:] = (30, 180, 30)
    pixels[30:, :40] = (30, 30, 200)
    pixels[30:, 40:] = (240, 240, 240)
    return Image.fromarray(pixels)


def corners(picture: NDArray[np.uint8]) -> list[str]:
    names = {0: "red", 1: "green", 2: "blue"}
    height, width = picture.shape[:2]
    found = []
    for y, x in ((5, 5), (5, width - 6), (height - 6, 5), (height - 6, width - 6)):
        pixel = picture[y, x].astype(int)
        found.append("white" if pixel.min() > 200 else names[int(pixel.argmax())])
    return found


UPRIGHT = ["red", "green", "blue", "white"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(
    quarters: Image.Image, tmp_path: Path, orientation: int
) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters.transpose(undo[orientation]) if orientation in undo else quarters
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "phone.jpg"
    stored.save(path, quality=95, exif=exif)
    picture = load_picture(path)
    assert picture.shape == (60, 80, 3)
    assert corners(picture) == UPRIGHT


def test_transparent_parts_become_the_plain_backdrop(quarters: Image.Image, tmp_path: Path) -> None:
    alpha = Image.new("L", quarters.size, 255)
    alpha.paste(0, (40, 30, 80, 60))
    quarters.putalpha(alpha)
    path = tmp_path / "cutout.png"
    quarters.save(path)
    picture = load_picture(path)
    assert tuple(picture[55, 75]) == BACKDROP_RGB
    assert corners(picture)[:3] == UPRIGHT[:3]


@pytest.mark.parametrize("mode", ["P", "L", "LA", "CMYK", "1", "RGBA", "I;16", "LAB"])
def test_every_colour_mode_becomes_rgb(quarters: Image.Image, tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        deep = np.asarray(quarters.convert("L"), np.uint16) * 257
        stored = Image.fromarray(deep)
    else:
        stored = quarters.convert(mode)
    path = tmp_path / ("print.jpg" if mode == "CMYK" else "picture.tif" if mode == "LAB" else "picture.png")
    stored.save(path)
    picture = load_picture(path)
    assert picture.dtype == np.uint8
    assert picture.shape == (60, 80, 3)
    if mode in ("P", "CMYK", "RGBA"):
        assert corners(picture) == UPRIGHT
    assert picture[50, 70].mean() > picture[50, 10].mean()


def test_a_palette_with_transparency_is_flattened(quarters: Image.Image, tmp_path: Path) -> None:
    paletted = quarters.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    index = paletted.getpixel((5, 5))
    path = tmp_path / "old.gif"
    paletted.save(path, transparency=index)
    assert tuple(load_picture(path)[5, 5]) == BACKDROP_RGB


@pytest.mark.parametrize("suffix", ["webp", "bmp", "tiff", "gif", "png", "jpg"])
def test_common_formats_are_read(quarters: Image.Image, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    quarters.save(path)
    assert corners(load_picture(path)) == UPRIGHT


def test_heic_from_a_phone_is_read() -> None:
    picture = load_picture(FIXTURES / "astronaut_256.heic")
    assert picture.shape == (256, 256, 3)
    assert 100 < picture.mean() < 220


def test_the_name_of_a_file_does_not_decide_its_format(quarters: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    quarters.save(path, "WEBP", lossless=True)
    assert corners(load_picture(path)) == UPRIGHT


def test_a_large_photo_is_brought_to_the_working_size(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (5800, 2900), (90, 120, 150)).save(path, quality=60)
    picture = load_picture(path)
    assert picture.shape == (WORKING_SIDE_PX // 2, WORKING_SIDE_PX, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "suffix"), [("RGB", "jpg"), ("RGB", "png"), ("RGBA", "png"), ("L", "png")])
def test_a_huge_picture_comes_out_upright_and_even(tmp_path: Path, mode: str, suffix: str) -> None:
    width, height = 7000, 3001
    path = tmp_path / f"huge.{suffix}"
    Image.linear_gradient("L").resize((width, height)).convert(mode).save(path)
    picture = load_picture(path)
    assert picture.shape[1] in (3500, WORKING_SIDE_PX)
    assert abs(picture.shape[1] / picture.shape[0] - width / height) < 0.01
    rows = picture.mean(axis=(1, 2))
    assert (np.diff(rows) > -3.0).all()
    assert rows[-1] - rows[0] > 240


def png_that_declares(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its few bytes of data do not hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"), [(20000, 20000), (13000, 13000), (60000, 1), (10001, 100), (8001, 8000)]
)
def test_a_pixel_bomb_is_refused_from_its_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_declares(width, height))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = refused(path)
    assert error.code == "too_large"
    assert "10000 pixels a side and 64 megapixels" in str(error)


def test_a_cut_off_photo_is_unreadable(quarters: Image.Image, tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    quarters.resize((800, 600)).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert refused(cut).code == "image_unreadable"


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\0\x10JFIF"]
)
def test_what_is_no_picture_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    assert refused(path).code == "image_unreadable"


def test_a_vector_file_or_script_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "picture.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n")
    assert refused(path).code == "image_unreadable"


def test_a_stamp_sized_picture_says_that_it_is_too_small(tmp_path: Path) -> None:
    path = tmp_path / "icon.png"
    Image.new("RGB", (32, 32)).save(path)
    error = refused(path)
    assert error.code == "face_too_small"
    assert "32x32" in error.message
