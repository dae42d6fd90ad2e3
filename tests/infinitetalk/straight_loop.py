"""The official loop once more, written straight down from its facts, to hold the engine against.

One function from top to bottom, with nothing of the engine in it but the transformer (held to golden numbers
of its own): no generator of windows, no pass left out, no identity used, every option an `if`. Slow and plain
by intention. The two published films are checked against it too, so that it cannot be wrong in the engine's
own way (test_official_options.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from tests.infinitetalk import loop_rig


@dataclass(frozen=True)
class Case:
    """What is asked of the loop. Boxes are [row_min, col_min, row_max, col_max] in pixels."""

    frames: Callable[[int], np.ndarray]
    speech: Sequence[torch.Tensor]
    text: torch.Tensor
    null_text: torch.Tensor
    steps: int
    max_frames: int = 1000
    text_scale: float = 5.0
    audio_scale: float = 4.0
    apg: bool = False
    colour: float = 1.0
    boxes: Sequence[Sequence[int]] | None = None
    shift: float = 7.0
    seed: int = 42
    window: int = loop_rig.WINDOW
    motion: int = loop_rig.MOTION


def straight_loop(transformer: Callable[..., torch.Tensor], case: Case) -> torch.Tensor:
    """(3, F, H, W) in [-1, 1]."""
    generator = torch.Generator().manual_seed(case.seed)
    speech = [rows.clone() for rows in case.speech]
    heard = speech[0].shape[0]
    limit = min(case.max_frames, heard)
    picture = case.frames(0).shape[:2]
    ratio = picture[0] / picture[1]
    height, width = loop_rig.SIZES[min(loop_rig.SIZES, key=lambda key: abs(key - ratio))]
    times = [_shifted(float(t), case.shift) for t in np.linspace(1000, 1, case.steps, dtype=np.float32)]
    times.append(torch.zeros(1))
    masks = _masks(case, picture, (height, width)) if len(speech) == 2 else None
    first_picture = None
    film: list[torch.Tensor] = []
    begin, tail, is_last = 0, None, case.max_frames <= case.window
    while True:
        pixels = _cropped(case.frames(begin), height, width)
        first_picture = pixels if first_picture is None else first_picture
        places = (torch.arange(begin, begin + case.window)[:, None] + torch.arange(-2, 3)).clamp(min=0)
        audio = torch.stack([rows[places.clamp(max=rows.shape[0] - 1)] for rows in speech])
        still = torch.cat([pixels[None, :, None], torch.zeros(1, 3, case.window - 1, height, width)], 2)
        encoded = loop_rig.encode(still)
        known = torch.zeros(1, 4, *encoded.shape[2:])
        known[:, :, 0] = 1
        y = torch.cat([known, encoded], 1)
        clip = loop_rig.clip_tokens(pixels)
        latents = torch.randn(encoded.shape[1:], generator=generator)[None]
        given = encoded[:, :, :1] if tail is None else loop_rig.encode(tail[None])
        if tail is not None:
            torch.randn(given.shape[1:], generator=generator)
        running: dict[str, torch.Tensor] = {}

        def one_pass(text: torch.Tensor, voices: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return transformer(
                    hidden_states=torch.cat([latents, y], 1),  # noqa: B023 - called at once
                    timestep=now,
                    encoder_hidden_states=text[None],
                    encoder_hidden_states_image=clip,  # noqa: B023
                    audio=voices,
                    ref_masks=masks if voices.shape[0] == 2 else None,
                )

        silence = torch.zeros_like(audio[:1])
        for step in range(case.steps):
            now, then = times[step], times[step + 1]
            latents[:, :, : given.shape[2]] = given
            cond = one_pass(case.text, audio, now)
            if math.isclose(case.text_scale, 1.0):
                silent = one_pass(case.text, silence, now)
                if case.apg:
                    velocity = cond + (case.audio_scale - 1) * _projected(
                        "audio", cond - silent, cond, running
                    )
                else:
                    velocity = silent + case.audio_scale * (cond - silent)
            else:
                textless = one_pass(case.null_text, audio, now)
                nothing = one_pass(case.null_text, silence, now)
                if case.apg:
                    velocity = (
                        cond
                        + (case.text_scale - 1) * _projected("text", cond - textless, cond, running)
                        + (case.audio_scale - 1) * _projected("audio", textless - nothing, cond, running)
                    )
                else:
                    velocity = (
                        nothing
                        + case.text_scale * (cond - textless)
                        + case.audio_scale * (textless - nothing)
                    )
            latents = latents - velocity * ((now - then) / 1000)
            if tail is not None:
                torch.randn(given.shape[1:], generator=generator)
            latents[:, :, : given.shape[2]] = given
        made = loop_rig.decode(latents)[0]
        if case.colour > 0:
            made = _coloured(made, first_picture, case.colour)
        film.append(made if tail is None else made[:, case.motion :])
        if is_last:
            break
        tail = made[:, -case.motion :]
        begin += case.window - case.motion
        if begin + case.window >= limit:
            is_last = True
            missing = begin + case.window - heard + 3
            if missing >= 3:
                speech = [torch.cat([rows, rows[-missing:].flip(0)]) for rows in speech]
    return torch.cat(film, 1)[:, :limit]


def _shifted(t: float, shift: float) -> torch.Tensor:
    part = torch.tensor([t]) / 1000
    return shift * part / (1 + (shift - 1) * part) * 1000


def _projected(
    name: str, difference: torch.Tensor, cond: torch.Tensor, running: dict[str, torch.Tensor]
) -> torch.Tensor:
    if name in running:
        difference = difference - 0.75 * running[name]
    running[name] = difference
    difference = difference * min(1.0, 55.0 / float(difference.norm()))
    flat, along = difference.double().flatten(), cond.double().flatten()
    along = along / along.norm()
    return (flat - (flat @ along) * along).view_as(difference).float()


def _cropped(frame: np.ndarray, height: int, width: int) -> torch.Tensor:
    """(3, height, width) in [-1, 1]."""
    scale = max(height / frame.shape[0], width / frame.shape[1])
    rows, columns = math.ceil(scale * frame.shape[0]), math.ceil(scale * frame.shape[1])
    scaled = np.array(Image.fromarray(frame).resize((columns, rows), Image.Resampling.BILINEAR))
    top, left = round((rows - height) / 2), round((columns - width) / 2)
    cut = torch.from_numpy(scaled[top : top + height, left : left + width].copy())
    return cut.permute(2, 0, 1).float() / 255 * 2 - 1


def _masks(case: Case, picture: tuple[int, int], target: tuple[int, int]) -> torch.Tensor:
    height, width = picture
    half = width // 2
    boxes = case.boxes or (
        (int(height * 0.05), int(half * 0.05), int(height * 0.95), int(half * 0.95)),
        (int(height * 0.05), int(half * 0.05 + half), int(height * 0.95), int(half * 0.95 + half)),
    )
    masks = torch.zeros(3, height, width)
    for person, (low, left, high, right) in enumerate(boxes):
        masks[person, low:high, left:right] = 1
    masks[2] = (masks[0] + masks[1] == 0).float()
    scale = max(target[0] / height, target[1] / width)
    rows, columns = math.ceil(scale * height), math.ceil(scale * width)
    masks = functional.interpolate(masks[None], (rows, columns), mode="nearest")[0]
    top, left = round((rows - target[0]) / 2), round((columns - target[1]) / 2)
    masks = masks[:, top : top + target[0], left : left + target[1]]
    return functional.interpolate(masks[None], (target[0] // 8, target[1] // 8), mode="nearest")[0]


# --- colours: Reinhard's transfer in CIE Lab, in numpy -------------------------------------------------

_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def _coloured(film: torch.Tensor, reference: torch.Tensor, strength: float) -> torch.Tensor:
    goal = _lab(_rows(reference))
    out = torch.empty_like(film)
    for index in range(film.shape[1]):
        rgb = _rows(film[:, index])
        lab = _lab(rgb)
        moved = (lab - lab.mean((0, 1))) / lab.std((0, 1)) * goal.std((0, 1)) + goal.mean((0, 1))
        mixed = (1 - strength) * rgb + strength * _rgb(moved)
        out[:, index] = torch.from_numpy(mixed.clip(0, 1) * 2 - 1).permute(2, 0, 1).float()
    return out


def _rows(picture: torch.Tensor) -> np.ndarray:
    return (picture.permute(1, 2, 0).double().numpy() + 1) / 2


def _lab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb > 0.04045, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ _TO_XYZ.T / _WHITE
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _rgb(lab: np.ndarray) -> np.ndarray:
    light, a, b = np.moveaxis(lab, -1, 0)
    y = (light + 16) / 116
    root = np.stack([y + a / 500, y, np.maximum(y - b / 200, 0)], -1)
    xyz = np.where(root > 0.2068966, root**3, (root - 16 / 116) / 7.787) * _WHITE
    linear = xyz @ np.linalg.inv(_TO_XYZ).T
    encoded = np.where(
        linear > 0.0031308, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055, linear * 12.92
    )
    return encoded.clip(0, 1)
