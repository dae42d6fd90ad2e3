"""Saves transformer passes that would repeat the last one: TeaCache, or diffusers' FirstBlockCache.

Runs in the InfiniteTalk worker. A cache lives for a run; the sampler tells it where a window begins, and
every pass runs inside `branch(...)`. Each pass has memory of its own, whether a step has one, two or
three of them, and nothing survives a window: the next one begins from noise again.

TeaCache (Liu et al., "Timestep Embedding Tells: It's Time to Cache for Video Diffusion Model",
arXiv 2411.19108): the blocks' whole effect, residual (1, L, dim) = leaving - entering tokens, is used
again while the accumulated change of the timestep's modulation (1, 6, dim) stays below a threshold. A
fitted polynomial says how far the output moves for a given change of modulation. Memory: one residual
per pass, 0.34 GB at 480p and 0.77 GB at 720p in bf16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from diffusers.hooks import FirstBlockCacheConfig

from workers.infinitetalk.guidance import Branch

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.infinitetalk.transformer import AroundBlocks

# Published fit for Wan2.1-I2V-14B at each size, highest power first: relative change of the modulation
# -> relative change of the output. They were fitted to be used after `WARM_STEPS` full steps.
COEFFICIENTS: dict[int, tuple[float, ...]] = {
    480: (2.57151496e05, -3.54229917e04, 1.40286849e03, -1.35890334e01, 1.32517977e-01),
    720: (8.10705460e03, 2.13393892e03, -3.72934672e02, 1.66203073e01, -4.17769401e-02),
}
# The first steps decide the composition and are always run.
WARM_STEPS = 5
# InfiniteTalk's default.
THRESHOLD = 0.2


class BlockCache(Protocol):
    """What the sampler needs of a cache."""

    def start_window(self) -> None:
        """Forget everything."""

    def branch(self, branch: Branch, step: int) -> AbstractContextManager[AroundBlocks | None]:
        """Wraps the pass `branch` of `step` (from 0); yields what the transformer calls around its blocks."""


class NoCache:
    """Every pass is run."""

    def start_window(self) -> None:
        """Nothing is remembered."""

    def branch(self, branch: Branch, step: int) -> AbstractContextManager[AroundBlocks | None]:
        return nullcontext()


def cache_of(kind: str, size: int) -> BlockCache:
    """One of `inputs.CACHES`, for pictures of `size` 480 or 720."""
    return TeaCache(size) if kind == "teacache" else NoCache()


def settings_of(cache: BlockCache) -> dict[str, Any] | None:
    """What another process needs to make the same cache; None for one that keeps nothing."""
    return cache.settings if isinstance(cache, TeaCache) else None


def cache_like(settings: Mapping[str, Any] | None) -> BlockCache:
    """The cache whose settings these are, empty."""
    return NoCache() if settings is None else TeaCache(**settings)


@dataclass
class _Slot:
    """What TeaCache knows of one pass."""

    modulation: torch.Tensor | None = None
    residual: torch.Tensor | None = None
    accumulated: float = 0.0


class TeaCache:
    """See the module. `threshold` 0 runs everything: exact."""

    def __init__(
        self, size: int = 480, threshold: float = THRESHOLD, *, warm_steps: int = WARM_STEPS
    ) -> None:
        self.settings = {"size": size, "threshold": threshold, "warm_steps": warm_steps}
        self._coefficients = COEFFICIENTS[size]
        self._threshold = threshold
        self._warm_steps = warm_steps
        self._slots: dict[Branch, _Slot] = {}
        self.computed = 0  # passes whose blocks ran, over the cache's life
        self.reused = 0

    def start_window(self) -> None:
        self._slots.clear()

    @contextmanager
    def branch(self, branch: Branch, step: int) -> Iterator[AroundBlocks | None]:
        slot = self._slots.setdefault(branch, _Slot())

        def around(
            tokens: torch.Tensor,
            _embedding: torch.Tensor,
            modulation: torch.Tensor,
            run: Callable[[torch.Tensor], torch.Tensor],
        ) -> torch.Tensor:
            # Asked of every pass: each one's modulation is what the next is compared with.
            small = self._is_small(slot, modulation, step)
            if small and slot.residual is not None:
                self.reused += 1
                return tokens + slot.residual
            self.computed += 1
            slot.accumulated = 0.0
            # The old residual and the new one need not be in memory together.
            slot.residual = None
            leaving = run(tokens)
            if self._threshold > 0:
                slot.residual = leaving - tokens
            return leaving

        yield around

    def _is_small(self, slot: _Slot, modulation: torch.Tensor, step: int) -> bool:
        """Whether the output may be taken to have moved less than the threshold since the last full pass.

        The modulation depends on the timestep alone: under context parallelism every rank decides alike.
        """
        before, slot.modulation = slot.modulation, modulation.float().clone()
        if step < self._warm_steps or before is None:
            return False
        change = ((slot.modulation - before).abs().mean() / before.abs().mean()).item()
        estimate = 0.0
        for coefficient in self._coefficients:
            estimate = estimate * change + coefficient
        slot.accumulated += estimate
        return slot.accumulated < self._threshold


class FirstBlockCache:
    """diffusers' FirstBlockCache: all blocks but the first are skipped while the first one's effect stays."""

    def __init__(self, transformer: Any, threshold: float) -> None:
        self._transformer = transformer
        transformer.enable_cache(FirstBlockCacheConfig(threshold=threshold))

    def start_window(self) -> None:
        # diffusers offers no public name for this; its own pipelines call it the same way.
        self._transformer._reset_stateful_cache()

    @contextmanager
    def branch(self, branch: Branch, step: int) -> Iterator[AroundBlocks | None]:
        with self._transformer.cache_context(branch.value):
            yield None

    def close(self) -> None:
        """Give the transformer back as it was."""
        self._transformer.disable_cache()
