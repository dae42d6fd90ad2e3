"""What a job would take, before it is made: the answer on the wire, and what past runs taught. Pure types, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from backend.models.codes import ErrorCode
from backend.models.job import Preset, WireModel

# `measured`: past runs on this machine. `table`: figures that came with the program.
EstimateBasis = Literal["measured", "table"]


@dataclass(frozen=True)
class RunTime:
    """One video stage that succeeded. `model` and `gpu` are empty where there is none.

    `resolution` is what the request asked for; `wall_ms` the successful attempt alone, without waiting for a GPU.
    """

    engine: str
    model: str
    resolution: str
    gpu: str
    speech_ms: int
    wall_ms: int
    peak_vram_mib: int | None = None


class EstimateReason(WireModel):
    """Something that stands in the way of the job, or that its answer depends on."""

    code: ErrorCode
    message: str


class PresetEstimate(WireModel):
    """What one preset of InfiniteTalk would take."""

    preset: Preset
    # Computed steps, and passes of the network in each: what the time depends on.
    steps: int
    passes: int
    minutes: float
    basis: EstimateBasis
    runs: int
    missing_models: list[str] = Field(default_factory=list)


class JobEstimate(WireModel):
    """Body of the answer to `POST /api/jobs/estimate`. Null means that it is not known."""

    # False: it cannot be made as things are now, and `reasons` says why. Null: nothing is known about its memory.
    fits: bool | None
    engine: str
    wangp_model: str | None
    # The one that would run; null for other engines than InfiniteTalk.
    preset: Preset | None
    # Who takes over when it fails; null when nobody does.
    falls_back_to: str | None
    reasons: list[EstimateReason] = Field(default_factory=list)
    vram_needed_mib: int | None
    vram_free_mib: int | None
    disk_needed_bytes: int
    disk_free_bytes: int
    speech_seconds: float
    minutes: float | None
    basis: EstimateBasis | None
    # How many past runs `minutes` rests on.
    runs: int
    missing_models: list[str] = Field(default_factory=list)
    # All presets, the dearest first; empty for other engines than InfiniteTalk.
    presets: list[PresetEstimate] = Field(default_factory=list)
