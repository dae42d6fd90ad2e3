"""Task `text_to_video`: a script becomes scenes as long as its speech. Runs in the InfiniteTalk worker.

The second backend of `Wan t2v 1.3B` and `Wan t2v 14B`, for who has not installed Wan2GP: the same request, the
same table (assets/wan2gp/models.json), the same cuts at the ends of sentences, the same steps down; only the
drawing is diffusers'. Sees neither portrait nor speech: the speech is laid under the film afterwards.

Flow: task -> facts (checked) -> scenes with their prompts -> texts encoded -> plan of the memory -> for each
scene: the kept film of an earlier attempt, or one drawn now and kept -> joined at 16 frames/s -> artifact.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from workers.handler import Task, TaskContext, TaskError
from workers.infinitetalk import machine, memory
from workers.infinitetalk.config import token_count
from workers.infinitetalk.latent_preview import LatentPreview
from workers.infinitetalk.model_folder import CATALOGUE
from workers.infinitetalk.pipeline import Setting
from workers.infinitetalk.text_video import Shot, TextToVideo, chart
from workers.infinitetalk.video_file import join_segments, write_segment
from workers.task_params import folder_of
from workers.wan2gp import parts
from workers.wan2gp.checkpoints import Fingerprints, KeptParts
from workers.wan2gp.inputs import facts_of, on_rung
from workers.wan2gp.join import join
from workers.wan2gp.parts import Facts, Part, Plan
from workers.wan2gp.previews import PREVIEW_NAME
from workers.wan2gp.progress import Overall, Step
from workers.wan2gp.table import load_table

# Name on the wire -> role of the weights' folder.
MODELS = {"Wan t2v 1.3B": "t2v_1_3b", "Wan t2v 14B": "t2v_14b"}
_ENCODERS = ("text_encoder", "vae")
_STAGE = "video"
_FILM_NAME = "video.mp4"
_SCRATCH_FOLDER, _KEPT_FOLDER = "scratch", "parts"
# Width of the model that the planner's bytes of a token are about.
_PLANNED_DIM = 5120
# What the model is led away from.
_NEGATIVE = (
    "overexposed, washed out, blurred, still image, painting, subtitles, lettering, low quality, JPEG artefacts, "
    "deformed, extra fingers, extra limbs, cluttered background"
)
# What the steps down the ladder are here; the table's words are about Wan2GP.
_CHANGES = {
    "offload": "weights streamed to the GPU block by block, video decoded in tiles",
    "window": "shorter scenes",
    "resolution": "a lower resolution",
}


@dataclass(frozen=True)
class Scenes:
    """What was asked for, planned: the scenes of this rung, then of those above it, the nearest first."""

    facts: Facts
    plans: list[Plan]

    @property
    def plan(self) -> Plan:
        return self.plans[0]

    @cached_property
    def changes(self) -> list[str]:
        return [_CHANGES[rung.code] for rung in self.facts.model.rungs[: self.facts.rung]]


def make_scenes(task: Task, context: TaskContext, setting: Setting) -> dict[str, Any]:
    """Do the task and return the result's data. Raises TaskError, TaskCancelled."""
    context.progress(0.0, "Preparing the scenes", stage=_STAGE)
    work = task.output_dir.resolve()
    scratch = work / _SCRATCH_FOLDER
    shutil.rmtree(scratch, ignore_errors=True)
    scenes = _planned(task, context, setting, scratch)
    role = MODELS[scenes.facts.model.name]
    setting.folder.require((role, *_ENCODERS), entry=CATALOGUE[role])
    kept = KeptParts(folder_of(task.params.get("checkpoint_dir")) or work / _KEPT_FOLDER)
    making = _Making(scenes, setting, context, kept, work)
    files = making.files()
    context.progress(making.overall.fraction, "Joining the scenes", stage=_STAGE)
    film = work / _FILM_NAME
    check = context.raise_if_cancelled
    info = join(scenes.plan, files, film, audio_s=scenes.facts.audio_s, ffmpeg=setting.ffmpeg, check=check)
    context.artifact(
        "video",
        film,
        media_type="video/mp4",
        width=info.width,
        height=info.height,
        fps=info.fps,
        duration_s=info.duration_s,
    )
    shutil.rmtree(scratch)
    return {
        "model": scenes.facts.model.name,
        "backend": "diffusers",
        "width": info.width,
        "height": info.height,
        "fps": info.fps,
        "seed": scenes.facts.seed,
        "rung": scenes.facts.rung,
        "changes": scenes.changes,
        "parts": len(files),
        "parts_reused": making.reused,
        "load_s": round(making.load_s, 3),
        "plan": None if making.memory is None else making.memory.record(),
    }


def _planned(task: Task, context: TaskContext, setting: Setting, scratch: Path) -> Scenes:
    table = load_table(setting.assets)
    name = task.params.get("model")
    if name not in MODELS:
        raise TaskError(
            "validation_failed",
            f"InfiniteTalk's environment draws {' and '.join(MODELS)} from text, nothing else.",
            detail=f"model: {name!r}",
        )
    facts = facts_of(task, table, scratch=scratch / "rung-0", ffmpeg=setting.ffmpeg)
    plans = []
    for rung in range(facts.rung, -1, -1):
        folder = scratch / f"rung-{rung}"
        folder.mkdir(parents=True, exist_ok=True)
        plans.append(parts.plan(on_rung(facts, rung, folder), check=context.raise_if_cancelled))
    return Scenes(facts, plans)


def _drawn(part: Part) -> dict[str, Any]:
    """All that a scene's pictures depend on, but for the weights."""
    width, height = (int(side) for side in str(part.settings["resolution"]).split("x"))
    return {
        "prompt": part.settings["prompt"],
        "negative": part.settings["negative_prompt"] or _NEGATIVE,
        "width": width,
        "height": height,
        "frames": int(part.settings["video_length"]),
        "steps": part.steps,
        "guidance_scale": float(part.settings["guidance_scale"]),
        "shift": float(part.settings["flow_shift"]),
        "seed": int(part.settings["seed"]),
    }


class _Making:
    """The scenes of one task, drawn or taken up one after the other."""

    def __init__(
        self, scenes: Scenes, setting: Setting, context: TaskContext, kept: KeptParts, work: Path
    ) -> None:
        self._scenes = scenes
        self._setting = setting
        self._context = context
        self._kept = kept
        self._work = work
        self._role = MODELS[scenes.facts.model.name]
        identity = setting.folder.identity((self._role, *_ENCODERS))
        self._fingerprints = Fingerprints(f"diffusers {version('diffusers')} {identity}")
        self._painter: TextToVideo | None = None
        self._texts: Mapping[str, torch.Tensor] = {}
        self._preview: LatentPreview | None = None
        self.memory: memory.Plan | None = None
        self.reused = 0
        self.load_s = 0.0
        self.overall = Overall([part.steps for part in scenes.plan.parts])

    def files(self) -> list[Path]:
        """The finished films of all scenes, in order."""
        files = []
        for part in self._scenes.plan.parts:
            self._context.raise_if_cancelled()
            self.overall.begin(part.index)
            found = self._found(part.index)
            files.append(found or self._made(part))
            self.reused += found is not None
            self.overall.finish(part.index, reused=found is not None)
            message = f"Scene {part.index + 1} of {len(self._scenes.plan.parts)} is done"
            self._context.progress(self.overall.fraction, message, stage=_STAGE, eta_s=self.overall.eta_s())
        return files

    def _found(self, index: int) -> Path | None:
        """What an earlier attempt drew of this scene, on this rung or on one above."""
        own = [(part.first_frame, part.frames) for part in self._scenes.plan.parts]
        for plan in self._scenes.plans:
            # A rung may make scenes shorter: then the others are cut elsewhere.
            if [(part.first_frame, part.frames) for part in plan.parts] == own:
                kept = self._kept.find(self._fingerprints.of(_drawn(plan.parts[index]), (), None))
                if kept is not None:
                    return kept
        return None

    def _made(self, part: Part) -> Path:
        painter = self._ready()
        drawn = _drawn(part)
        shot = Shot(
            text=self._texts[drawn["prompt"]].to(self._setting.store.device),
            null_text=self._texts[drawn["negative"]].to(self._setting.store.device),
            **{name: value for name, value in drawn.items() if name not in ("prompt", "negative")},
        )
        frames = painter.draw(shot, partial(self._on_step, part.steps))
        self._tell(Step("saving"))
        check, ffmpeg = self._context.raise_if_cancelled, self._setting.ffmpeg
        segment = self._work / _SCRATCH_FOLDER / "scene.h264"
        write_segment(frames, segment, fps=part.fps, ffmpeg=ffmpeg, check=check)
        film = segment.with_suffix(".mp4")
        join_segments([segment], film, fps=part.fps, ffmpeg=ffmpeg, check=check)
        return self._kept.keep(self._fingerprints.of(drawn, (), None), film)

    def _ready(self) -> TextToVideo:
        """Everything loaded, in the order that needs the least memory; once."""
        if self._painter is not None:
            return self._painter
        began = time.monotonic()
        store = self._setting.store
        wanted = [_drawn(part) for part in self._scenes.plan.parts]
        sentences = tuple(
            dict.fromkeys([one["prompt"] for one in wanted] + [one["negative"] for one in wanted])
        )
        self._texts = dict(zip(sentences, store.texts(sentences, self._loading()), strict=True))
        self.memory = self._plan(wanted[0])
        self._context.log("info", self.memory.sentence())
        transformer = store.scene_transformer(self._role, self.memory, self._loading())
        codec = store.codec(self.memory)
        picture = chart()
        self._preview = LatentPreview(
            self._work / PREVIEW_NAME, codec.encode(picture[None, :, None]).float(), picture
        )
        self._painter = TextToVideo(transformer, codec)
        self.load_s = time.monotonic() - began
        return self._painter

    def _plan(self, drawn: Mapping[str, Any]) -> memory.Plan:
        store = self._setting.store
        stored, weights, dim = store.scene_sizes(self._role)
        tokens = token_count(drawn["height"], drawn["width"], drawn["frames"])
        facts = memory.Facts(
            free_vram=machine.free_vram(store.device),
            free_ram=machine.free_ram() + store.host_bytes(),
            # Activations grow with the width of the model too.
            tokens=round(tokens * dim / _PLANNED_DIM),
            pixels=drawn["height"] * drawn["width"],
            weights=weights,
            stored=stored,
        )
        return memory.plan(facts) if not self._scenes.facts.rung else memory.smallest(facts)

    def _on_step(self, steps: int, done: int, latents: torch.Tensor) -> None:
        self._context.raise_if_cancelled()
        self._tell(Step("denoising", step=done, steps=steps))
        if self._preview is not None:
            self._preview.show(latents)

    def _tell(self, step: Step) -> None:
        fraction = self.overall.at(step)
        self._context.progress(
            fraction,
            self.overall.message(step).replace("Part ", "Scene "),
            stage=_STAGE,
            step=step.step,
            steps=step.steps,
            eta_s=self.overall.eta_s(),
        )

    def _loading(self) -> Callable[[int, int], None]:
        def on_progress(_done: int, _total: int) -> None:
            self._context.raise_if_cancelled()
            self._tell(Step("loading"))

        return on_progress
