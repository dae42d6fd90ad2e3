"""Which transformer passes a step needs, and how their velocities become one.

Runs in the InfiniteTalk worker, once per step. Every velocity is (1, 16, T, H, W), fp32. Names of passes:

    c  text and speech      d  speech without text      n  text without speech      u  neither

Two scales s_t (text) and s_a (speech) combine them, as InfiniteTalk publishes it:

    s_t = 1:  n + s_a (c - n)
    else:     u + s_t (c - d) + s_a (d - u)

Both are sums of velocities with factors; a pass whose factor is zero is not run. So s_a = 1 costs one
pass instead of two, or two instead of three, and s_t = s_a costs two instead of three: identities, not
approximations.

Adaptive projected guidance (Sadat, Hilliges, Weber: arXiv 2410.02416) treats the differences instead:
c + (s_t - 1) P(c - d) + (s_a - 1) P(d - u), or c + (s_a - 1) P(c - n); P is `ProjectedTerm`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import torch

# InfiniteTalk's published settings of adaptive projected guidance.
APG_MOMENTUM = -0.75
APG_NORM_THRESHOLD = 55.0
# Norms and projections are over a whole sample: channels, latent frames, rows and columns.
_SAMPLE_DIMS = (-4, -3, -2, -1)


class Branch(Enum):
    """One transformer pass of a step. The value names it to caches."""

    COND = "cond"
    DROP_TEXT = "drop_text"
    DROP_AUDIO = "drop_audio"
    NULL = "null"

    @property
    def has_text(self) -> bool:
        return self in (Branch.COND, Branch.DROP_AUDIO)

    @property
    def has_audio(self) -> bool:
        return self in (Branch.COND, Branch.DROP_TEXT)


@dataclass(frozen=True)
class Guidance:
    """The scales of a run. `window()` makes what combines the velocities of one window."""

    text_scale: float
    audio_scale: float
    apg: bool = False

    def factors(self) -> dict[Branch, float]:
        """Pass -> its factor in the plain combination; passes with factor zero are left out."""
        text, audio = self.text_scale, self.audio_scale
        if _one(text):
            every = {Branch.COND: audio, Branch.DROP_AUDIO: 1.0 - audio}
        else:
            every = {Branch.COND: text, Branch.DROP_TEXT: audio - text, Branch.NULL: 1.0 - audio}
        return {branch: factor for branch, factor in every.items() if not _zero(factor)}

    def terms(self) -> dict[tuple[Branch, Branch], float]:
        """Difference of two passes -> its weight in the projected combination, zero weights left out."""
        text, audio = self.text_scale, self.audio_scale
        if _one(text):
            every = {(Branch.COND, Branch.DROP_AUDIO): audio - 1.0}
        else:
            every = {
                (Branch.COND, Branch.DROP_TEXT): text - 1.0,
                (Branch.DROP_TEXT, Branch.NULL): audio - 1.0,
            }
        return {pair: weight for pair, weight in every.items() if not _zero(weight)}

    def branches(self) -> tuple[Branch, ...]:
        """The passes of a step, in the order they are run; between one and three."""
        if not self.apg:
            return tuple(self.factors())
        needed = {Branch.COND} | {branch for pair in self.terms() for branch in pair}
        return tuple(branch for branch in Branch if branch in needed)

    def window(self) -> Combiner:
        """What combines the velocities of one window; projected guidance starts without a past."""
        return Combiner(self)


class Combiner:
    """Velocities of the passes -> the velocity of the step. Lives for one window."""

    def __init__(self, guidance: Guidance) -> None:
        self._guidance = guidance
        self._projected = {pair: ProjectedTerm() for pair in guidance.terms()}

    def __call__(self, velocities: Mapping[Branch, torch.Tensor]) -> torch.Tensor:
        """One (1, 16, T, H, W) fp32 per branch -> the same shape."""
        if not self._guidance.apg:
            factors = iter(self._guidance.factors().items())
            branch, factor = next(factors)
            total = velocities[branch] * factor
            for branch, factor in factors:
                total.add_(velocities[branch], alpha=factor)
            return total
        cond = velocities[Branch.COND]
        total = cond.clone()
        for (plus, minus), weight in self._guidance.terms().items():
            total.add_(self._projected[plus, minus](velocities[plus] - velocities[minus], cond), alpha=weight)
        return total


class ProjectedTerm:
    """P of the module: a running difference, its norm bounded, its part along the condition removed."""

    def __init__(self, momentum: float = APG_MOMENTUM, norm_threshold: float = APG_NORM_THRESHOLD) -> None:
        self._momentum = momentum
        self._norm_threshold = norm_threshold
        self._running: torch.Tensor | None = None

    def __call__(self, difference: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Difference and condition (..., 16, T, H, W) -> the update, same shape and type."""
        if self._running is not None:
            difference = difference + self._momentum * self._running
        self._running = difference
        # A difference of zero has norm zero: infinity bounds to one, and zero stays zero.
        norm = difference.norm(p=2, dim=_SAMPLE_DIMS, keepdim=True)
        bounded = difference * (self._norm_threshold / norm).clamp(max=1.0)
        # The projection subtracts two large equal parts: in fp32 the remainder would be noise.
        wide = bounded.double()
        direction = torch.nn.functional.normalize(condition.double(), dim=_SAMPLE_DIMS)
        along = (wide * direction).sum(dim=_SAMPLE_DIMS, keepdim=True) * direction
        return (wide - along).to(difference.dtype)


def _one(scale: float) -> bool:
    return math.isclose(scale, 1.0)


def _zero(factor: float) -> bool:
    return math.isclose(factor, 0.0, abs_tol=1e-9)
