"""What the transformer is told about the picture: reference latents, mask channels, CLIP tokens.

Runs in the InfiniteTalk worker. Flow, for the window that begins at frame k:

    source.frame(k) (any size, uint8) -> cover and crop -> pixels (1, 3, 1, h, w) in [-1, 1]
    pixels and F - 1 grey frames -> VAE -> (1, 16, T, H, W); four mask channels before it -> y (1, 20, T, H, W)
    pixels -> CLIP -> (1, 257, 1280)

The mask is 1 in the first latent frame, the only one that is known. Later windows are conditioned in the same
way on their own reference; the frames they continue from enter the sampler, not these tensors. The numbers of
one reference are kept, so that an image is encoded once for the whole film (upstream: once a window).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from workers.infinitetalk.config import VAE_TIME, WINDOW, latent_frames
from workers.infinitetalk.encoders import ImageEncoder, VaeCodec
from workers.infinitetalk.frames import Frame, FrameSource
from workers.infinitetalk.masks import cover_size, crop_offset

# y of 720p is 6 MB; an image needs one, a video never the same one twice except after a resume.
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The picture's share of a window's input. All fp32 on the codec's device."""

    pixels: torch.Tensor  # (1, 3, 1, height, width) in [-1, 1]: the cropped reference
    y: torch.Tensor  # (1, 20, T, H, W): mask channels, then the reference's latents
    clip: torch.Tensor  # (1, 257, 1280)


def crop(frame: Frame, target: tuple[int, int]) -> torch.Tensor:
    """Picture (height, width, 3) uint8 -> (1, 3, 1, *target) in [-1, 1]: scaled to cover, its middle cut out.

    Pillow's bilinear filter (it averages when it makes smaller) on 8 bits, as published.
    """
    height, width = cover_size((frame.shape[0], frame.shape[1]), target)
    scaled = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR)
    row, column = crop_offset((height, width), target)
    cut = np.array(scaled)[row : row + target[0], column : column + target[1]]
    pixels = torch.from_numpy(cut).permute(2, 0, 1)[None, :, None]
    return (pixels / 255 - 0.5) * 2


def mask_channels(frames: int, height: int, width: int) -> torch.Tensor:
    """(1, 4, T, height, width) in latent pixels: one channel for each pixel frame of a latent frame.

    The first latent frame stands for the one frame that is known, so all four of its channels are 1.
    """
    mask = torch.zeros(1, VAE_TIME, latent_frames(frames), height, width)
    mask[:, :, 0] = 1
    return mask


class Conditioner:
    """Conditions for every window of a film. The codec and CLIP are called only for a new reference."""

    def __init__(
        self,
        source: FrameSource,
        size: tuple[int, int],
        vae: VaeCodec,
        clip: ImageEncoder,
        *,
        frames: int = WINDOW,
    ) -> None:
        """`size`: height and width in pixels, a bucket's."""
        self._source = source
        self._size = size
        self._vae = vae
        self._clip = clip
        self._frames = frames
        self._kept: OrderedDict[bytes, Conditioning] = OrderedDict()

    def at(self, index: int) -> Conditioning:
        """Of the window whose reference is the source's frame `index` (25 fps)."""
        pixels = crop(self._source.frame(index), self._size)
        key = hashlib.sha256(pixels.numpy().tobytes()).digest()
        if key not in self._kept:
            self._kept[key] = self._made(pixels)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _made(self, pixels: torch.Tensor) -> Conditioning:
        # 0 is the grey between black and white.
        grey = pixels.new_zeros(1, 3, self._frames - 1, *self._size)
        latents = self._vae.encode(torch.cat([pixels, grey], dim=2)).float()
        mask = mask_channels(self._frames, latents.shape[3], latents.shape[4]).to(latents)
        clip = self._clip(pixels[:, :, 0]).float()
        return Conditioning(pixels, torch.cat([mask, latents], dim=1), clip)
