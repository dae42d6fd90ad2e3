"""The public extension point: how the service asks an engine for a video. Runs in the service process.

A new engine is a subclass of `BaseEngineAdapter` with `name` and `process_job`, registered in
`backend/services/engine_router.py`. Everything else here has a default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backend.models.codes import ErrorCode

EngineKind = Literal["gpu", "cpu", "plugin"]
EngineState = Literal["READY", "STARTING", "BUSY", "NOT_INSTALLED", "UNAVAILABLE"]


@dataclass(frozen=True)
class Readiness:
    """Whether an engine can be asked right now, and if not, why and what to do about it."""

    state: EngineState
    code: ErrorCode | None = None
    reason: str | None = None
    fix: str | None = None

    @property
    def is_ready(self) -> bool:
        return self.state in {"READY", "STARTING", "BUSY"}

    @property
    def is_installed(self) -> bool:
        return self.state != "NOT_INSTALLED"


READY = Readiness("READY")


@dataclass(frozen=True)
class EngineModel:
    """One of the models that an engine lets callers choose. `speakers`: how many people it can animate in one picture;
    `missing`: entries of the catalogue of models to fetch before it works for one."""

    name: str
    title: str
    drive: Literal["speech", "text"]
    speakers: int
    missing: tuple[str, ...]
    min_vram_mib: int
    licence: str
    licence_url: str


class BaseEngineAdapter(ABC):
    """One video engine as the service sees it."""

    kind: EngineKind = "plugin"
    title: str | None = None
    disclosure: str | None = None
    # Whether `process_job` ends in time by itself, which the tasks of a worker do. Others are stopped from outside soon
    # after `deadline_s`; for these, waiting for a GPU would count.
    keeps_deadline: bool = False

    @property
    @abstractmethod
    def name(self) -> str:
        """The engine's name on the wire: lower case, a valid `preferred_engine`."""

    @abstractmethod
    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        """Make the video of one job and leave it at `output_path`.

        Keyword arguments, all given by the executor: `audio_path` (WAV of the speech, 24 kHz mono),
        `avatar_path` (PNG, RGB, upright), `output_path` (where the MP4 must lie when this returns),
        `settings` (dict: aspect, resolution, seed, face_index, face, timings_path, reference_path, wangp_model, preset,
        prompt, attempt, work_dir, deadline_s, speakers, rung, checkpoint_dir, ran), `report(fraction, message)` (fraction 0..1 or None)
        and `cancelled()`.

        `face` is where the one who speaks is, as that of a speaker; None with two speakers, and when it is not known.
        `speakers` is empty, or for each of two speakers a dict: `name`, `face` (x, y, w, h as fractions of the upright
        portrait, or None) and `track` (WAV as long as `audio_path`, silent where the other one speaks). `rung`: see
        `rungs`. `checkpoint_dir`: a folder that outlives this attempt, for finished parts that the next attempt at
        this video need not make again. `reference_path`: the video that the portrait was taken from, or None. A picture
        called `preview.jpg` in `work_dir/<name>/` is shown while the job runs. `ran`: an empty dict, in which the
        engine may note what it ran with, for the times that are learned: model, gpu (product name), waited_s (for a
        GPU), peak_vram_mib, parts_reused; and made_by (a sentence for the job's last message) and thumbnail_s (the
        moment of the video that is shown in lists, where the engine knows a good one).

        The returned URL is only a name. Raise `EngineFailure` for a failure with a code,
        `JobCancelled` when `cancelled()` turned true; any other exception becomes `internal_error`.
        """

    def models(self) -> tuple[EngineModel, ...]:
        """The models that callers may choose, with what is missing of each. A few looks at the disk; most have none."""
        return ()

    def rungs(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """What the engine gives up, step by step, when the graphics card's memory is not enough, in words.

        After `gpu_oom` it is asked again with `settings["rung"]` one higher, which means that the first so many
        steps are to be taken. Without steps it is asked once more as it was. `settings` are those of
        `process_job` that come from the request.
        """
        return ()

    async def warm(self) -> None:  # noqa: B027 - optional by design
        """Get ready for a job that will come in a moment: called while its speech is made. Optional.

        An error here is logged and otherwise ignored; `process_job` will meet it again.
        """

    def readiness(self) -> Readiness:
        """Looks, quickly and without blocking, whether the engine could take a job now."""
        return READY

    def readiness_for(self, settings: Mapping[str, Any]) -> Readiness:
        """The same for a job with these settings, see `rungs`; only an engine with several ways has to look at them."""
        return self.readiness()
