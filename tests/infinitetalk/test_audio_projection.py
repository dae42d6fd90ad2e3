"""Speech features to audio tokens: the official numbers, and which vectors a latent frame gets."""

from __future__ import annotations

import pytest
import torch

from tests.infinitetalk.tiny import golden, named_input, tiny_model
from workers.infinitetalk.audio_projection import split_windows


@torch.no_grad()
def test_audio_tokens_are_the_official_ones():
    first = named_input("audio", 2, 13, 5, 12, 768)[:, :1]
    tokens = tiny_model().audio_proj(first, named_input("vf", 2, 3, 8, 12, 768))
    torch.testing.assert_close(tokens, golden()["audio_proj/two"], rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_stay_near(dtype):
    projection = tiny_model().audio_proj.to(dtype)
    tokens = projection(named_input("audio", 2, 13, 5, 12, 768)[:, :1], named_input("vf", 2, 3, 8, 12, 768))
    assert tokens.dtype == dtype
    torch.testing.assert_close(tokens.float(), golden()["audio_proj/two"], rtol=0, atol=0.1)


def test_a_later_frame_gets_past_centres_and_future():
    """Windows hold their frame's number and the place in the window, so the cut can be read off."""
    frames, window = 9, 5
    marks = torch.arange(frames)[:, None] * 10 + torch.arange(window)
    first, later = split_windows(marks[None, :, :, None, None].expand(1, -1, -1, 12, 768))
    assert first.shape == (1, 1, 5, 12, 768)
    assert first[0, 0, :, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert later[0, :, :, 3, 7].tolist() == [
        [10, 11, 12, 22, 32, 42, 43, 44],
        [50, 51, 52, 62, 72, 82, 83, 84],
    ]


def test_windows_that_fill_no_latent_frame_are_refused():
    with pytest.raises(ValueError, match="12 audio windows"):
        split_windows(torch.zeros(1, 12, 5, 12, 768))
