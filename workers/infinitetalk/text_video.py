"""One scene from a text: diffusers' `WanPipeline` around networks that the plan has placed.

Runs in the InfiniteTalk worker. Flow: text encodings (1, 512, width) and noise of a seed -> UniPC steps with
guidance -> latents (1, 16, T, h, w) -> VAE in fp32, in tiles where the plan says so -> (F, H, W, 3) uint8.

The pipeline gets neither text encoder nor VAE: both are loaded, used and freed by the worker's own rules, as
for InfiniteTalk. What is left of it is what its name says, the sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from workers.infinitetalk.encoders import VaeCodec

_BYTE_MAX = 255
# The chart from which colours of previews are learned: side in pixels, and coarse cells a side.
_CHART_SIDE, _CHART_CELLS = 128, 8


@dataclass(frozen=True)
class Shot:
    """What one scene is drawn from. `text` and `null_text` (1, 512, width)."""

    text: torch.Tensor
    null_text: torch.Tensor
    height: int
    width: int
    frames: int
    steps: int
    guidance_scale: float
    shift: float
    seed: int


class TextToVideo:
    """Draws scenes with one transformer."""

    def __init__(self, transformer: Any, codec: VaeCodec) -> None:
        from diffusers import UniPCMultistepScheduler, WanPipeline

        self._codec = codec
        self._scheduler = UniPCMultistepScheduler
        self._pipeline = WanPipeline(
            tokenizer=None,
            text_encoder=None,
            vae=None,
            scheduler=_scheduler(UniPCMultistepScheduler, 1.0),
            transformer=transformer,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    def draw(self, shot: Shot, on_step: Callable[[int, torch.Tensor], None]) -> torch.Tensor:
        """(F, H, W, 3) uint8 on the CPU. `on_step(done, latents)` after every step; it may raise to stop."""
        self._pipeline.scheduler = _scheduler(self._scheduler, shot.shift)

        def after(_pipeline: Any, step: int, _time: Any, given: dict[str, Any]) -> dict[str, Any]:
            on_step(step + 1, given["latents"])
            return {}

        latents = self._pipeline(
            prompt_embeds=shot.text,
            negative_prompt_embeds=shot.null_text,
            height=shot.height,
            width=shot.width,
            num_frames=shot.frames,
            num_inference_steps=shot.steps,
            guidance_scale=shot.guidance_scale,
            # On the CPU: a seed means the same film on every card.
            generator=torch.Generator().manual_seed(shot.seed),
            output_type="latent",
            callback_on_step_end=after,
        ).frames
        pixels = self._codec.decode(latents)[0].float().cpu()
        scaled = (pixels.permute(1, 2, 3, 0) + 1) * (_BYTE_MAX / 2)
        return scaled.round_().clamp_(0, _BYTE_MAX).to(torch.uint8)


def chart() -> torch.Tensor:
    """A picture (3, side, side) in [-1, 1] of many colours: what latents mean is learned from it."""
    cells = torch.rand(1, 3, _CHART_CELLS, _CHART_CELLS, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return functional.interpolate(cells, size=(_CHART_SIDE, _CHART_SIDE), mode="bilinear")[0]


def _scheduler(kind: Any, shift: float) -> Any:
    """UniPC over the flow of a rectified-flow model, shifted towards the noise."""
    return kind(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift
    )
