"""What an engine gives up when the graphics card's memory is not enough, step by step. Pure; service process.

An engine names its steps (`BaseEngineAdapter.rungs`). How many of them a job has taken is read from its hops, so a
crash forgets none: each time the engine ended with `gpu_oom` is one step more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.engines.base import BaseEngineAdapter
from backend.models.codes import ErrorCode, StageName
from backend.models.job import JobCreate
from backend.models.records import AttemptOutcome, JobView

# More steps than this are a mistake of an engine: each costs a try, and a try may take minutes.
MAX_RUNGS = 8


@dataclass(frozen=True)
class Ladder:
    """`rungs`: what each step changes; `taken`: how many this job has taken with the engine."""

    rungs: tuple[str, ...]
    taken: int

    @property
    def change(self) -> str:
        """What the present try does differently than the first one; empty for that."""
        return "; ".join(self.rungs[: self.taken])

    @property
    def next_change(self) -> str | None:
        """What one step more would change, or None at the bottom."""
        return self.rungs[self.taken] if self.taken < len(self.rungs) else None


def request_settings(request: JobCreate) -> dict[str, Any]:
    """The part of `process_job`'s settings that comes from the request."""
    return {
        "aspect": request.output.aspect,
        "resolution": request.output.resolution,
        "face_index": request.face_index,
        "prompt": request.prompt,
        "wangp_model": request.wangp_model,
        "preset": request.preset,
        "speakers": tuple(speaker.model_dump() for speaker in request.speakers),
    }


def ladder_of(view: JobView, request: JobCreate, adapter: BaseEngineAdapter) -> Ladder:
    """Where this job stands with this engine before the hop that is open, if one is."""
    rungs = adapter.rungs(request_settings(request))[:MAX_RUNGS]
    return Ladder(rungs, min(len(rungs), times_out_of_memory(view, view.job.selected_engine)))


def times_out_of_memory(view: JobView, engine: str) -> int:
    """How many tries at the picture ended for want of the card's memory."""
    return sum(
        hop.stage is StageName.VIDEO
        and hop.engine == engine
        and hop.outcome is AttemptOutcome.FAILED
        and hop.error_code is ErrorCode.GPU_OOM
        for hop in view.attempts
    )
