"""Keeps a film's colours: frames get the mean and spread of the reference picture in Lab.

Runs in the InfiniteTalk worker on every window before its last frames are continued from, else the
colours drift from window to window. Method: Reinhard et al., "Color Transfer between Images", 2001, in
CIE 1976 L*a*b*; sRGB by IEC 61966-2-1, D65 white of the two-degree observer, each to six digits.

Pictures are RGB in [-1, 1], fp32. Statistics are one number per Lab channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

# Linear sRGB -> CIE XYZ, and the white both share.
_RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
# sRGB: below the knee the curve is a line.
_ENCODED_KNEE, _LINEAR_KNEE, _LINE = 0.04045, 0.0031308, 12.92
_OFFSET, _GAMMA = 0.055, 2.4
# Lab: a cube root, and a line near black.
_LAB_KNEE, _LAB_ROOT_KNEE, _LAB_SLOPE, _LAB_OFFSET = 0.008856, 0.2068966, 7.787, 16 / 116
# In Lab units (L runs from 0 to 100): less spread than this is rounding, and dividing by it would
# blow up noise.
_FLAT = 1e-4


@dataclass(frozen=True)
class LabStatistics:
    """Mean and spread of a picture: L, a, b."""

    mean: torch.Tensor  # (3,) fp32
    spread: torch.Tensor  # (3,) fp32, standard deviation over all pixels

    @classmethod
    def of(cls, picture: torch.Tensor) -> LabStatistics:
        """Of one picture (3, H, W) in [-1, 1]."""
        return cls._of_lab(_to_lab(picture.float()))

    @classmethod
    def _of_lab(cls, lab: torch.Tensor) -> LabStatistics:
        pixels = lab.flatten(1)
        return cls(pixels.mean(1), pixels.std(1, correction=0))


def match(frames: torch.Tensor, reference: LabStatistics, strength: float = 1.0) -> torch.Tensor:
    """Frames (3, F, H, W) in [-1, 1] with the reference's colours, mixed in by `strength` of 0 to 1.

    Frame by frame: a whole window in Lab would take several times its memory.
    """
    if strength == 0:
        return frames
    goal = LabStatistics(reference.mean.to(frames.device), reference.spread.to(frames.device))
    matched = torch.empty_like(frames)
    for index in range(frames.shape[1]):
        frame = frames[:, index].float()
        matched[:, index] = torch.lerp(frame, _match_one(frame, goal), strength)
    return matched


def _match_one(frame: torch.Tensor, goal: LabStatistics) -> torch.Tensor:
    lab = _to_lab(frame)
    own = LabStatistics._of_lab(lab)
    flat = own.spread < _FLAT
    gain = torch.where(flat, 0.0, goal.spread / own.spread.clamp(min=_FLAT))
    moved = (lab - own.mean[:, None, None]) * gain[:, None, None] + goal.mean[:, None, None]
    return _from_lab(moved)


def _matrix(rows: tuple[tuple[float, ...], ...], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64).to(like.device, like.dtype)


def _times(matrix: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,jhw->ihw", matrix, picture)


def _white(like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(_WHITE, dtype=like.dtype, device=like.device)[:, None, None]


def _to_lab(picture: torch.Tensor) -> torch.Tensor:
    """(3, H, W) RGB in [-1, 1] -> L in 0 to 100, a, b."""
    encoded = (picture + 1) / 2
    linear = torch.where(
        encoded > _ENCODED_KNEE,
        ((encoded.clamp(min=0) + _OFFSET) / (1 + _OFFSET)) ** _GAMMA,
        encoded / _LINE,
    )
    xyz = _times(_matrix(_RGB_TO_XYZ, picture), linear) / _white(picture)
    root = torch.where(xyz > _LAB_KNEE, xyz.clamp(min=_LAB_KNEE) ** (1 / 3), _LAB_SLOPE * xyz + _LAB_OFFSET)
    x, y, z = root
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _from_lab(lab: torch.Tensor) -> torch.Tensor:
    """(3, H, W) Lab -> RGB in [-1, 1]; colours outside sRGB are cut off."""
    light, a, b = lab
    y = (light + 16) / 116
    # A blue so strong that Z would be negative has no Z.
    root = torch.stack([a / 500 + y, y, (y - b / 200).clamp(min=0)])
    xyz = torch.where(root > _LAB_ROOT_KNEE, root**3, (root - _LAB_OFFSET) / _LAB_SLOPE) * _white(lab)
    inverse = torch.linalg.inv(torch.tensor(_RGB_TO_XYZ, dtype=torch.float64)).to(lab.device, lab.dtype)
    linear = _times(inverse, xyz)
    encoded = torch.where(
        linear > _LINEAR_KNEE,
        (1 + _OFFSET) * linear.clamp(min=_LINEAR_KNEE) ** (1 / _GAMMA) - _OFFSET,
        linear * _LINE,
    )
    return encoded.clamp(0, 1) * 2 - 1
