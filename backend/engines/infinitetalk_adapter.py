"""InfiniteTalk (our implementation on diffusers, in its own environment). Service process side."""

from __future__ import annotations

from backend.engines.gpu_adapter import GpuEngineAdapter


class InfiniteTalkAdapter(GpuEngineAdapter):
    """`preferred_engine: "infinitetalk"`."""

    title = "InfiniteTalk"

    @property
    def name(self) -> str:
        return "infinitetalk"
