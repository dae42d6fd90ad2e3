"""Fraction, sentence and time left of a film, and the preview of what is drawn."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from workers.infinitetalk.film_progress import FilmProgress
from workers.infinitetalk.latent_preview import LatentPreview, fit, picture_of
from workers.wan2gp.previews import MAX_BYTES


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_every_window_weighs_the_same() -> None:
    progress = FilmProgress(4, 0)
    progress.loading(1.0)
    progress.begin()
    gains = []
    last = progress.fraction
    for window in range(1, 5):
        progress.step(window, 2, 4)
        progress.window(window)
        gains.append(progress.fraction - last)
        last = progress.fraction
    assert gains == pytest.approx([gains[0]] * 4)
    assert last == pytest.approx(0.98)


def test_it_never_goes_back() -> None:
    progress = FilmProgress(2, 0)
    progress.begin()
    high = progress.window(1)
    assert progress.loading(0.1) == high
    assert progress.step(1, 1, 4) == high


def test_the_time_left_is_that_of_this_attempt() -> None:
    clock = Clock()
    progress = FilmProgress(10, 5, clock=clock)  # five windows are an earlier attempt's
    progress.begin()
    assert progress.eta_s() is None
    clock.now = 60.0
    progress.window(6)
    assert progress.eta_s() == pytest.approx(4 * 60)


def test_a_short_film_has_no_windows_to_count() -> None:
    assert FilmProgress(1, 0).message(1, 2, 4) == "Step 2 of 4"
    assert FilmProgress(3, 0).message(2, 2, 4) == "Window 2 of 3 · step 2 of 4"


def test_colours_are_found_from_the_reference_alone() -> None:
    torch.manual_seed(3)
    # Latents that are a linear picture of the colours and noise in the other channels.
    rows, columns = torch.meshgrid(torch.linspace(-0.8, 0.8, 8), torch.linspace(-0.8, 0.8, 12), indexing="ij")
    colours = torch.stack([rows, columns, rows * columns])
    mixing = torch.randn(16, 3)
    latent = torch.einsum("kc,chw->khw", mixing, colours)[None, :, None]
    linear = fit(latent, torch.nn.functional.interpolate(colours[None], scale_factor=8)[0])
    shown = picture_of(linear, latent.expand(1, 16, 5, 8, 12)).resize((12, 8), Image.Resampling.BOX)
    seen = torch.frombuffer(bytearray(shown.tobytes()), dtype=torch.uint8).reshape(8, 12, 3).permute(2, 0, 1)
    assert ((seen / 127.5 - 1) - colours).abs().mean() < 0.1


def test_a_preview_is_a_small_whole_picture(tmp_path: Path) -> None:
    latents = torch.randn(1, 16, 5, 80, 80)
    preview = LatentPreview(tmp_path / "preview.jpg", latents[:, :, :1], torch.rand(3, 640, 640) * 2 - 1)
    preview.show(latents)
    data = (tmp_path / "preview.jpg").read_bytes()
    assert len(data) <= MAX_BYTES
    assert Image.open(io.BytesIO(data)).size == (320, 320)
    (tmp_path / "preview.jpg").unlink()
    preview.show(latents)  # too soon after the first one
    assert not list(tmp_path.iterdir())


def test_a_plain_reference_has_a_preview_too(tmp_path: Path) -> None:
    preview = LatentPreview(tmp_path / "p.jpg", torch.zeros(1, 16, 1, 4, 4), torch.zeros(3, 32, 32))
    preview.show(torch.randn(1, 16, 3, 4, 4))
    assert (tmp_path / "p.jpg").is_file()
