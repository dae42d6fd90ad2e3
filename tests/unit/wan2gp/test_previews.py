"""Pictures of a video in the making: small, whole at any moment, and not too many."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from workers.wan2gp.previews import INTERVAL_S, MAX_BYTES, MAX_SIDE, Previews, small_jpeg


@pytest.mark.parametrize("size", [(20, 10), (800, 200), (4096, 4096), (3, 2000)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_any_picture_becomes_a_small_jpeg_of_the_same_shape(size: tuple[int, int], mode: str) -> None:
    data = small_jpeg(Image.new(mode, size))
    assert len(data) <= MAX_BYTES
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        assert max(picture.size) <= MAX_SIDE
        assert max(picture.size) == min(MAX_SIDE, max(size))


def test_noise_is_made_smaller_until_it_fits() -> None:
    noise = Image.frombytes("RGB", (512, 512), os.urandom(512 * 512 * 3))
    assert len(small_jpeg(noise)) <= MAX_BYTES


def test_pictures_that_come_too_soon_are_dropped(tmp_path: Path) -> None:
    now = 0.0
    path = tmp_path / "preview.jpg"
    previews = Previews(path, clock=lambda: now)
    assert not previews.take(None)
    assert previews.take(Image.new("RGB", (8, 8), "red"))
    first = path.read_bytes()
    now = INTERVAL_S * 0.9
    assert not previews.take(Image.new("RGB", (8, 8), "blue"))
    assert path.read_bytes() == first
    now = INTERVAL_S
    assert previews.take(Image.new("RGB", (8, 8), "blue"))
    assert path.read_bytes() != first
    assert [entry.name for entry in tmp_path.iterdir()] == ["preview.jpg"]
