"""Task `talking_avatar`: a portrait and speech become a film, in parts. Runs in the wan2gp worker.

Flow: task -> facts (checked) -> plan (parts with complete settings) -> for each part: a kept file of an earlier attempt,
or one generation of upstream, kept -> joined into one H.264 film -> artifact. Progress is that of all parts and all
sliding windows. Everything that upstream writes lies below the attempt's own folder until it is whole.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskContext, TaskError
from workers.task_params import folder_of
from workers.wan2gp import parts
from workers.wan2gp.checkpoints import Continued, Fingerprints, KeptParts
from workers.wan2gp.generation import empty_folder, generate
from workers.wan2gp.inputs import facts_of, on_rung
from workers.wan2gp.join import MISSING_ALLOWED, join
from workers.wan2gp.media import VideoInfo, probe_video
from workers.wan2gp.parts import Facts, Part, Plan
from workers.wan2gp.previews import PREVIEW_NAME
from workers.wan2gp.progress import Overall, Step
from workers.wan2gp.session import Engine
from workers.wan2gp.table import Table

_STAGE = "video"
_FILM_NAME = "video.mp4"
# Below the attempt's folder: where upstream writes, where cut speech and framed portraits lie, and where finished
# parts stay when the task names no better place.
_UPSTREAM_FOLDER = "upstream"
_SCRATCH_FOLDER = "scratch"
_KEPT_FOLDER = "parts"


@dataclass(frozen=True)
class Setting:
    """What stays the same for every task of a worker. `upstream` is the version that draws."""

    engine: Engine
    table: Table
    ffmpeg: str
    upstream: str


def make_talking_avatar(task: Task, context: TaskContext, setting: Setting) -> dict[str, Any]:
    """Run the task and return the result's data. Raises TaskError, TaskCancelled."""
    work = task.output_dir.resolve()
    scratch = work / _SCRATCH_FOLDER
    context.progress(0.0, "Preparing the parts", stage=_STAGE)
    empty_folder(scratch)  # an attempt before this one may have been killed in the same folder
    kept_folder = folder_of(task.params.get("checkpoint_dir")) or work / _KEPT_FOLDER
    facts = facts_of(task, setting.table, scratch=scratch / "rung-0", ffmpeg=setting.ffmpeg)
    plans = _plans(facts, scratch, context)
    plan = plans[0]
    loaded_before = setting.engine.load_s
    making = _Making(context, setting, plans, KeptParts(kept_folder), work)
    files = [making.part(part) for part in plan.parts]
    context.progress(making.overall.fraction, "Joining the parts", stage=_STAGE)
    film = work / _FILM_NAME
    info = join(
        plan,
        files,
        film,
        audio_s=facts.audio_s,
        ffmpeg=setting.ffmpeg,
        check=context.raise_if_cancelled,
    )
    _hand_over(film, info, context)
    shutil.rmtree(scratch)
    return {
        "model": facts.model.name,
        "model_type": plan.model_type,
        "parts": len(plan.parts),
        "parts_reused": making.reused,
        "width": info.width,
        "height": info.height,
        "fps": info.fps,
        "seed": facts.seed,
        "rung": facts.rung,
        "changes": list(plan.changes),
        "load_s": round(setting.engine.load_s - loaded_before, 3),
        "upstream": setting.upstream,
    }


def _plans(facts: Facts, scratch: Path, context: TaskContext) -> list[Plan]:
    """The plan of the rung that was asked for, then those of the rungs above it, the nearest first.

    Parts begin and end at the same places on every rung, and one that was made with less given up is at least as good.
    """
    plans = []
    for rung in range(facts.rung, -1, -1):
        folder = scratch / f"rung-{rung}"
        folder.mkdir(parents=True, exist_ok=True)
        plans.append(parts.plan(on_rung(facts, rung, folder), check=context.raise_if_cancelled))
    return plans


def _hand_over(film: Path, info: VideoInfo, context: TaskContext) -> None:
    context.artifact(
        "video",
        film,
        media_type="video/mp4",
        width=info.width,
        height=info.height,
        fps=info.fps,
        duration_s=info.duration_s,
    )


def _spans(plan: Plan) -> list[tuple[int, int]]:
    return [(part.first_frame, part.frames) for part in plan.parts]


class _Making:
    """The parts of one task, made or taken up one after the other."""

    def __init__(
        self, context: TaskContext, setting: Setting, plans: list[Plan], kept: KeptParts, work: Path
    ) -> None:
        self._context = context
        self._setting = setting
        self._plans = plans
        self._kept = kept
        self._work = work
        self._fingerprints = Fingerprints(f"{setting.table.upstream.commit} {setting.upstream}")
        self._previous: Path | None = None
        self.reused = 0
        self.overall = Overall([part.windows * part.steps for part in plans[0].parts])

    def part(self, part: Part) -> Path:
        """The finished file of `part`; the parts before it are done."""
        self._context.raise_if_cancelled()
        self.overall.begin(part.index)
        found = self._found(part.index)
        path = found or self._made(part)
        if found is not None:
            self.reused += 1
        self.overall.finish(part.index, reused=found is not None)
        self._tell(f"Part {part.index + 1} of {len(self._plans[0].parts)} is done")
        self._previous = path
        return path

    def _found(self, index: int) -> Path | None:
        """What an earlier attempt made of this part, on this rung or on one above."""
        for plan in self._plans:
            # A rung may make parts shorter: then the others cut elsewhere, and their numbers mean other pieces.
            if _spans(plan) == _spans(self._plans[0]):
                kept = self._kept.find(self._fingerprint(plan.parts[index]))
                if kept is not None:
                    return kept
        return None

    def _made(self, part: Part) -> Path:
        previous = self._previous if part.chained else None
        settings = parts.settings_of(
            part,
            previous=previous,
            scratch=self._work / _SCRATCH_FOLDER,
            ffmpeg=self._setting.ffmpeg,
            check=self._context.raise_if_cancelled,
        )
        made = generate(
            self._setting.engine,
            settings,
            folder=self._work / _UPSTREAM_FOLDER,
            name=f"part-{part.index:04d}",
            context=self._context,
            on_step=self._on_step,
            preview=self._work / PREVIEW_NAME,
        )
        # Looked at before it is kept: what cannot be played or is too short must not be found by the next attempt.
        info = probe_video(made, ffmpeg=self._setting.ffmpeg, check=self._context.raise_if_cancelled)
        if part.lead + part.frames - info.frames > MISSING_ALLOWED:
            raise TaskError(
                "no_output",
                f"Part {part.index + 1} of the video is shorter than its speech. Start the job again.",
                detail=f"{info.frames} of {part.lead + part.frames} frames",
            )
        return self._kept.keep(self._fingerprint(part), made)

    def _fingerprint(self, part: Part) -> str:
        continued = None
        if part.chained and self._previous is not None:
            continued = Continued(self._previous, part.source_end, part.lead)
        return self._fingerprints.of(part.settings, part.media, continued)

    def _on_step(self, step: Step) -> None:
        fraction = self.overall.at(step)
        self._context.progress(
            fraction,
            self.overall.message(step),
            stage=_STAGE,
            step=step.step,
            steps=step.steps,
            eta_s=self.overall.eta_s(),
        )

    def _tell(self, message: str) -> None:
        self._context.progress(self.overall.fraction, message, stage=_STAGE, eta_s=self.overall.eta_s())
