"""Text, picture and video codecs around the transformer. Runs in the InfiniteTalk worker.

Each class holds one model of transformers or diffusers and does what the published pipeline does around it:

    TextEncoder    text -> (1, 512, text width), zeros after the text's end
    ImageEncoder   pixels (1, 3, height, width) in [-1, 1] -> (1, 257, 1280)
    VaeCodec       pixels (1, 3, F, height, width) in [-1, 1] <-> latents (1, 16, T, H, W), mean 0, deviation 1

They run where their weights are and in their weights' precision; the codec is meant to be fp32, as published.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ftfy  # type: ignore[import-not-found]  # in the engine's own environment
import torch
from torch.nn import functional

from workers.infinitetalk.config import TEXT_TOKENS

# CLIP's own mean and deviation of the colours.
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class TextEncoder:
    """umT5's encoder."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self.tokenizer = tokenizer
        self.model = model.eval()

    @torch.no_grad()
    def __call__(self, text: str) -> torch.Tensor:
        """(1, 512, width) in the model's precision. Longer text is cut off; what follows the end is zero."""
        tokens = self.tokenizer(
            [cleaned(text)],
            padding="max_length",
            max_length=TEXT_TOKENS,
            truncation=True,
            add_special_tokens=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
        device = next(self.model.parameters()).device
        mask = tokens.attention_mask.to(device)
        states = self.model(tokens.input_ids.to(device), mask).last_hidden_state
        # The encoder also returns something for the padding; the transformer was taught zeros there.
        return states * mask[..., None].to(states)


def cleaned(text: str) -> str:
    """What a prompt goes through before umT5, as published and as diffusers does it.

    ftfy first: broken encodings mended, curly quotes and full-width letters and signs made plain (a Chinese
    comma becomes the ASCII one the encoder was taught with). Then character references (twice, they come
    nested), and every run of white space becomes one blank.
    """
    return re.sub(r"\s+", " ", html.unescape(html.unescape(ftfy.fix_text(text)))).strip()


class ImageEncoder:
    """CLIP-H's vision tower, read before its last layer."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()

    @torch.no_grad()
    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """(1, 3, height, width) in [-1, 1] -> (1, 257, 1280)."""
        prepared = self.prepare(pixels).to(next(self.model.parameters()))
        return self.model(prepared, output_hidden_states=True).hidden_states[-2]

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """The picture squashed to a square (224 x 224), not cropped, bicubic without antialiasing; CLIP's colours.

        transformers' own preprocessing crops and antialiases: other numbers than the model was taught.
        """
        size = self.model.config.image_size
        square = functional.interpolate(
            pixels.float(), size=(size, size), mode="bicubic", align_corners=False
        )
        mean = square.new_tensor(_CLIP_MEAN)[:, None, None]
        deviation = square.new_tensor(_CLIP_DEVIATION)[:, None, None]
        return (square * 0.5 + 0.5 - mean) / deviation


class VaeCodec:
    """Wan's causal video VAE with its published mean and deviation of the latents."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval()

    @torch.no_grad()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """(1, 3, F, height, width) in [-1, 1] -> (1, 16, T, H, W): the mean of the distribution, no draw."""
        latents = self.vae.encode(pixels.to(next(self.vae.parameters()))).latent_dist.mode()
        mean, deviation = self._statistics(latents)
        return (latents - mean) / deviation

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """(1, 16, T, H, W) -> (1, 3, F, height, width) in [-1, 1]."""
        latents = latents.to(next(self.vae.parameters()))
        mean, deviation = self._statistics(latents)
        return self.vae.decode(latents * deviation + mean, return_dict=False)[0].clamp(-1, 1)

    def tiling(self, on: bool) -> None:
        """Encode and decode in overlapping tiles of 256 pixels: less memory, seams are blended."""
        if on:
            self.vae.enable_tiling()
        else:
            self.vae.disable_tiling()

    @contextmanager
    def tiled(self) -> Iterator[None]:
        """Tiling for the length of a block; afterwards as before."""
        before = self.vae.use_tiling
        self.tiling(True)
        try:
            yield
        finally:
            self.tiling(before)

    def _statistics(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.vae.config
        mean = like.new_tensor(config.latents_mean)[:, None, None, None]
        return mean, like.new_tensor(config.latents_std)[:, None, None, None]
