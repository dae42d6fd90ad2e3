"""The film, window by window: noise -> latents -> frames, each window continuing the one before.

Runs in the InfiniteTalk worker. Memory does not grow with the film: a window is yielded as soon as it is
done, and from then on only its last MOTION frames are held.

A window of F = WINDOW pixel frames, T = (F - 1)/4 + 1 latent frames of h x w latent pixels, P speakers:

1. pinned latents: the reference's (1 latent frame) in the first window, later the encoding of the last
   MOTION frames (3 latent frames); they are put in place before and after every step, without noise;
2. Euler steps with the passes that the guidance needs;
3. decoding, colour match to the first reference, and only then the frames are given away and continued
   from.

Facts: InfiniteTalk's streaming mode ("sparse-frame" video dubbing): the condition of window k is frame
k · (WINDOW - MOTION) of the reference video, or always the same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from workers.handler import TaskCancelled
from workers.infinitetalk import colour
from workers.infinitetalk.cache import BlockCache, NoCache
from workers.infinitetalk.colour import LabStatistics
from workers.infinitetalk.config import LATENT_CHANNELS, MOTION, WINDOW, latent_frames
from workers.infinitetalk.guidance import Branch, Guidance
from workers.infinitetalk.noise import Noise, OfficialNoise, WindowNoise
from workers.infinitetalk.schedule import euler_step, timesteps
from workers.infinitetalk.windows import Checkpoint, Window, WindowPlan

# In the condition the latents of the reference follow the mask channels.
_MASK_CHANNELS = 4


class Condition(Protocol):
    """What the network is shown of the reference picture."""

    @property
    def y(self) -> torch.Tensor:
        """(1, 20, T, h, w): 4 mask channels and the latents of [picture, grey frames]."""

    @property
    def clip(self) -> torch.Tensor:
        """(1, 257, 1280)"""


@dataclass(frozen=True)
class Models:
    """The networks, ready to be called. `dtype` is the transformer's; latents and pixels are fp32."""

    transformer: Any
    encode_video: Callable[[torch.Tensor], torch.Tensor]  # (1, 3, F, H, W) -> (1, 16, T, h, w)
    decode_video: Callable[[torch.Tensor], torch.Tensor]  # the way back
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    cache: BlockCache = field(default_factory=NoCache)


@dataclass(frozen=True)
class Request:
    """One film. Pictures are RGB in [-1, 1]."""

    # First frame and number of frames -> (P, F, 5, 12, 768): the speech around each, also where the
    # film's last window reaches beyond its end.
    speech: Callable[[int, int], torch.Tensor]
    condition: Callable[[int], Condition]  # of a frame of the reference video, at 25 fps
    reference: Callable[[], torch.Tensor]  # (3, H, W): the first reference, whose colours are kept
    text: torch.Tensor  # (1, N, width), N up to 512
    null_text: torch.Tensor
    frames: int
    seed: int
    steps: int
    shift: float
    guidance: Guidance
    masks: torch.Tensor | None = None  # (P + 1, h, w), for two speakers
    skip_last_step: bool = False
    colour_strength: float = 1.0
    window: int = WINDOW
    motion: int = MOTION
    official_noise: bool = False

    @property
    def plan(self) -> WindowPlan:
        return WindowPlan(self.frames, self.window, self.motion)


@dataclass(frozen=True)
class Progress:
    """Where a run is, after each step. Windows and steps count from 1 as they are finished."""

    window: int
    windows: int
    step: int
    steps: int
    latents: torch.Tensor  # (1, 16, T, h, w) fp32 on the device: to be looked at, not to be kept


def generate(
    models: Models,
    request: Request,
    *,
    on_step: Callable[[Progress], None],
    cancelled: Callable[[], bool],
    resume: Checkpoint | None = None,
) -> Iterator[Window]:
    """The windows of the film; with `resume`, those from the checkpoint's on, the same to the bit.

    Raises `TaskCancelled` before the next pass when `cancelled` says so. What was yielded stays good.
    """
    return _Run(models, request, on_step, cancelled, resume).windows()


class _Run:
    """One call of `generate`."""

    def __init__(
        self,
        models: Models,
        request: Request,
        on_step: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        resume: Checkpoint | None,
    ) -> None:
        self._models = models
        self._request = request
        self._on_step = on_step
        self._cancelled = cancelled
        self._plan = request.plan
        self._times = timesteps(request.steps, request.shift, skip_last_step=request.skip_last_step)
        self._first_window = resume.next_window if resume else 0
        self._motion = resume.motion if resume else None
        self._colours = resume.colours if resume else LabStatistics.of(request.reference().cpu())
        self._noise: Noise
        if request.official_noise:
            self._noise = OfficialNoise(request.seed, resume.noise if resume else None)
        else:
            self._noise = WindowNoise(request.seed)
        self._text = {
            True: request.text.to(models.device, models.dtype),
            False: request.null_text.to(models.device, models.dtype),
        }

    def windows(self) -> Iterator[Window]:
        for index in range(self._first_window, self._plan.count):
            yield self._window(index)

    # Not around `windows`: what the consumer does between two windows is its own affair.
    @torch.no_grad()
    def _window(self, index: int) -> Window:
        self._raise_if_cancelled()
        condition = self._request.condition(self._plan.first(index))
        latents = self._sample(index, condition)
        self._raise_if_cancelled()
        pixels = self._models.decode_video(latents)[0].float()
        del latents
        pixels = colour.match(pixels, self._colours, self._request.colour_strength).cpu()
        self._motion = pixels[:, -self._plan.motion :].clone()
        last = index + 1 == self._plan.count
        checkpoint = Checkpoint(index + 1, self._motion, self._colours, self._noise.state())
        new = self._plan.new(index)
        return Window(
            index,
            self._plan.count,
            self._plan.first(index) + new.start,
            pixels[:, new],
            None if last else checkpoint,
        )

    def _sample(self, index: int, condition: Condition) -> torch.Tensor:
        """The latents of a window, (1, 16, T, h, w) fp32."""
        models, request = self._models, self._request
        shape = (LATENT_CHANNELS, latent_frames(request.window), *condition.y.shape[-2:])
        latents = self._noise.latents(index, shape)[None].to(models.device)
        pinned = self._pinned(condition)
        speech = request.speech(self._plan.first(index), request.window).to(models.device, models.dtype)
        y = condition.y.to(models.device, models.dtype)
        clip = condition.clip.to(models.device, models.dtype)
        masks = request.masks.to(models.device) if request.masks is not None else None
        models.cache.start_window()
        combine = request.guidance.window()
        self._spend_motion_noise(index, pinned)
        steps = len(self._times) - 1
        for step in range(steps):
            latents[:, :, : pinned.shape[2]] = pinned
            seen = torch.cat([latents.to(models.dtype), y], dim=1)
            velocities = {}
            for branch in request.guidance.branches():
                self._raise_if_cancelled()
                velocities[branch] = self._velocity(branch, step, seen, clip, speech, masks)
            now, then = self._times[step], self._times[step + 1]
            latents = euler_step(latents, combine(velocities), now, then)
            del velocities
            self._spend_motion_noise(index, pinned)
            latents[:, :, : pinned.shape[2]] = pinned
            self._on_step(Progress(index + 1, self._plan.count, step + 1, steps, latents))
        return latents

    def _velocity(
        self,
        branch: Branch,
        step: int,
        seen: torch.Tensor,
        clip: torch.Tensor,
        speech: torch.Tensor,
        masks: torch.Tensor | None,
    ) -> torch.Tensor:
        """One pass, (1, 16, T, h, w) fp32."""
        # Silence is one speaker's, however many there are, and needs no masks.
        heard = speech if branch.has_audio else torch.zeros_like(speech[:1])
        with self._models.cache.branch(branch, step) as around_blocks:
            velocity = self._models.transformer(
                hidden_states=seen,
                timestep=self._times[step : step + 1].to(seen.device),
                encoder_hidden_states=self._text[branch.has_text],
                encoder_hidden_states_image=clip,
                audio=heard,
                ref_masks=masks if heard.shape[0] > 1 else None,
                around_blocks=around_blocks,
                return_dict=False,
            )
        return velocity.float()

    def _pinned(self, condition: Condition) -> torch.Tensor:
        """The latent frames that are given, (1, 16, 1 or 3, h, w) fp32."""
        if self._motion is None:
            # The VAE is causal and codes the first frame by itself: these are the picture's own latents.
            return condition.y[:, _MASK_CHANNELS:, :1].to(self._models.device, torch.float32)
        return self._models.encode_video(self._motion[None].to(self._models.device)).float()

    def _spend_motion_noise(self, index: int, pinned: torch.Tensor) -> None:
        if index:
            self._noise.motion(tuple(pinned.shape[1:]))

    def _raise_if_cancelled(self) -> None:
        if self._cancelled():
            raise TaskCancelled
