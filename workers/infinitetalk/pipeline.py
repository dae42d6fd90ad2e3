"""One film: speech and a portrait in, MP4 out. Runs in the InfiniteTalk worker.

Flow: checked facts -> speech tracks, picture size -> fingerprint -> windows of an earlier attempt -> texts
encoded -> plan of the memory -> transformer, VAE, CLIP -> window by window: drawn (F, H, W, 3), encoded to a
segment, kept with what the next one needs -> all segments joined -> artifact.

Whatever ends this early (cancel, crash, OOM) leaves the finished windows; the next attempt goes on there.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskContext, TaskError
from workers.infinitetalk import machine, memory
from workers.infinitetalk.audio import SpeechTrack, open_tracks
from workers.infinitetalk.audio_windows import audio_windows
from workers.infinitetalk.cache import BlockCache, TeaCache, cache_of
from workers.infinitetalk.checkpoints import KeptWindows, Resume, fingerprint
from workers.infinitetalk.conditioning import Conditioner
from workers.infinitetalk.config import FPS, token_count
from workers.infinitetalk.film_progress import FilmProgress
from workers.infinitetalk.frames import CutSource, FrameSource, ImageSource, VideoSource
from workers.infinitetalk.guidance import Guidance
from workers.infinitetalk.inputs import Facts, facts_of
from workers.infinitetalk.latent_preview import LatentPreview
from workers.infinitetalk.masks import people, speaker_masks
from workers.infinitetalk.model_folder import ALWAYS, Description, ModelFolder
from workers.infinitetalk.models import ModelStore
from workers.infinitetalk.parallel import gpus_for
from workers.infinitetalk.ranks import SharedTransformer
from workers.infinitetalk.resample import WavFile
from workers.infinitetalk.sampler import Models, Progress, Request, generate
from workers.infinitetalk.video_file import Film, join_segments, probe, write_segment
from workers.infinitetalk.windows import Checkpoint, Window, WindowPlan
from workers.wan2gp.previews import PREVIEW_NAME

_STAGE = "video"
_FILM_NAME = "video.mp4"
# Where finished windows stay when the task names no better place.
_KEPT_FOLDER = "windows"
# Tracks are made from the speech by adding silence: more than this apart and they belong to another speech.
_TRACK_TOLERANCE_S = 0.5
# Of a frame: what a length in seconds is wrong by.
_ROUNDING = 1e-6
# What is drawn when the request says nothing.
_PROMPT = "A person speaks to the camera, with natural movements of head, face and hands."
_PROMPT_TWO = "Two people talk to each other, with natural movements of heads, faces and hands."
# What the undistilled model is led away from.
_NEGATIVE = (
    "overexposed, washed out, blurred, still image, painting, subtitles, lettering, low quality, JPEG artefacts, "
    "deformed face, deformed hands, extra fingers, extra limbs, cluttered background"
)


@dataclass(frozen=True)
class Setting:
    """What stays the same for every task of a worker."""

    folder: ModelFolder
    store: ModelStore
    ffmpeg: str
    assets: Path


@dataclass(frozen=True)
class Scene:
    """A film before anything heavy is loaded."""

    facts: Facts
    description: Description
    source: FrameSource
    tracks: list[SpeechTrack]
    picture: tuple[int, int]  # height and width of the reference
    size: tuple[int, int]  # of the film
    frames: int  # of the film, at least as long as the speech

    @property
    def plan(self) -> WindowPlan:
        return WindowPlan(self.frames, self.description.window, self.description.motion)

    @property
    def tokens(self) -> int:
        """Of a window."""
        return token_count(*self.size, self.description.window)


def make_film(task: Task, context: TaskContext, setting: Setting) -> dict[str, Any]:
    """Do the task and return the result's data. Raises TaskError, TaskCancelled."""
    context.progress(0.0, "Preparing", stage=_STAGE)
    facts = facts_of(task)
    lora = facts.preset.lora
    roles = (*ALWAYS, facts.adapter, *((lora,) if lora else ()))
    setting.folder.require(roles)
    scene = _scene(facts, setting)
    work = task.output_dir.resolve()
    kept = KeptWindows(facts.checkpoint_dir or work / _KEPT_FOLDER, _film_number(scene, roles, setting))
    resume = kept.resume(context.raise_if_cancelled)
    made = _Making(scene, setting, context, kept, resume, work / PREVIEW_NAME).make()
    film = _joined(scene, kept, work, setting, context)
    context.artifact(
        "video",
        film.path,
        media_type="video/mp4",
        width=film.width,
        height=film.height,
        fps=float(FPS),
        duration_s=film.frames / FPS,
    )
    if facts.checkpoint_dir is None:
        shutil.rmtree(work / _KEPT_FOLDER)
    return {
        "model": "InfiniteTalk",
        "preset": facts.preset.name,
        "width": film.width,
        "height": film.height,
        "fps": FPS,
        "frames": film.frames,
        "seed": facts.seed,
        "rung": facts.rung,
        "cache": facts.cache,
        "parts": scene.plan.count,
        "parts_reused": len(resume.windows),
        **made,
    }


def _scene(facts: Facts, setting: Setting) -> Scene:
    source: FrameSource = (
        VideoSource(facts.reference, setting.ffmpeg) if facts.is_video else ImageSource(facts.reference)
    )
    if facts.is_video and facts.face is not None and facts.ratio is not None:
        source = CutSource(source, facts.face, facts.ratio)
    height, width = source.frame(0).shape[:2]
    description = setting.folder.description()
    ratio = height / width if facts.ratio is None else facts.ratio
    return Scene(
        facts,
        description,
        source,
        open_tracks(facts.speech, setting.store.speech()),
        (height, width),
        description.size(ratio, facts.resolution),
        frames_of(facts.audio, facts.speech),
    )


def frames_of(speech: Path, tracks: Sequence[Path]) -> int:
    """Frames that last as long as the speech, less than one longer.

    `tracks`: of the speakers. Raises TaskError(validation_failed, audio_unreadable).
    """
    seconds = _seconds(speech)
    if abs(max(_seconds(track) for track in tracks) - seconds) > _TRACK_TOLERANCE_S:
        raise TaskError("validation_failed", "The tracks of the two speakers are not as long as the speech.")
    return max(1, math.ceil(seconds * FPS - _ROUNDING))


def _seconds(speech: Path) -> float:
    sound = WavFile(speech)
    return sound.length / sound.rate


def _film_number(scene: Scene, roles: tuple[str, ...], setting: Setting) -> str:
    """The fingerprint: all that the pictures depend on, except for where the weights lie."""
    facts, preset = scene.facts, scene.facts.preset
    settings = {
        "preset": [preset.name, preset.text_scale, preset.audio_scale, preset.lora, preset.skip_last_step],
        "steps": facts.steps,
        "shift": preset.shift(facts.resolution),
        "size": scene.size,
        "frames": scene.frames,
        "windows": [scene.description.window, scene.description.motion],
        "prompt": _sentences(facts),
        "faces": facts.faces,
        **({} if facts.face is None else {"face": facts.face}),
        "seed": facts.seed,
        "cache": facts.cache,
        "weights": setting.folder.identity(roles),
    }
    media = {"reference": facts.reference}
    media.update({f"speech_{number}": path for number, path in enumerate(facts.speech)})
    return fingerprint(settings, media)


def _masks(scene: Scene) -> Any:
    """(3, h, w): where the two people are."""
    return speaker_masks(scene.picture, scene.size, people(scene.facts.faces, scene.picture))


def _sentences(facts: Facts) -> tuple[str, str]:
    """What is drawn and what is not."""
    return facts.prompt or (_PROMPT_TWO if facts.faces else _PROMPT), _NEGATIVE


def _joined(scene: Scene, kept: KeptWindows, work: Path, setting: Setting, context: TaskContext) -> Film:
    context.progress(0.98, "Joining the windows", stage=_STAGE)
    path = work / _FILM_NAME
    segments = [kept.segment(index) for index in range(scene.plan.count)]
    check = context.raise_if_cancelled
    join_segments(segments, path, fps=FPS, ffmpeg=setting.ffmpeg, check=check)
    film = probe(path, fps=FPS, ffmpeg=setting.ffmpeg, check=check)
    if film.frames != scene.frames or (film.height, film.width) != scene.size:
        raise TaskError(
            "no_output",
            "The film is not as long as the speech. Start the job again.",
            detail=f"{film} instead of {scene.frames} frames of {scene.size}",
        )
    return film


class _Making:
    """The windows of one film that are not there yet."""

    def __init__(
        self,
        scene: Scene,
        setting: Setting,
        context: TaskContext,
        kept: KeptWindows,
        resume: Resume,
        preview: Path,
    ) -> None:
        self._scene = scene
        self._setting = setting
        self._context = context
        self._kept = kept
        self._resume = resume
        self._preview_path = preview
        self._preview: LatentPreview | None = None
        self._cache = cache_of(scene.facts.cache, scene.facts.resolution)
        self._progress = FilmProgress(scene.plan.count, len(resume.windows))

    def make(self) -> dict[str, Any]:
        """Draw and keep them; returns what the result says about it."""
        if len(self._resume.windows) == self._scene.plan.count:
            return {"plan": None, "load_s": 0.0, "gpus": 0, "passes_reused": 0}
        began = time.monotonic()
        models, request, plan = self._ready()
        loaded = time.monotonic() - began
        resume = self._resume.tensors
        self._progress.begin()
        for window in generate(
            models,
            request,
            on_step=self._on_step,
            cancelled=lambda: self._context.cancelled,
            resume=None if resume is None else Checkpoint.from_tensors(resume),
        ):
            self._keep(window)
        return {
            "plan": plan.record(),
            "load_s": round(loaded, 3),
            "gpus": plan.gpus,
            "passes_reused": self._cache.reused if isinstance(self._cache, TeaCache) else 0,
        }

    def _ready(self) -> tuple[Models, Request, memory.Plan]:
        """Everything loaded, in the order that needs the least memory."""
        scene, store, facts = self._scene, self._setting.store, self._scene.facts
        guidance = Guidance(facts.preset.text_scale, facts.preset.audio_scale)
        positive, negative = _sentences(facts)
        # Without a pass that has no text nobody reads the second sentence.
        wanted = (positive, negative if any(not one.has_text for one in guidance.branches()) else positive)
        text, null_text = store.texts(wanted, self._loading("Reading the prompt", 0.0, 0.3))
        gpus, least = self._gpus()
        plan = self._plan(gpus, least, len(guidance.branches()))
        self._context.log("info", plan.sentence())
        self._context.progress(self._progress.fraction, plan.sentence(), stage=_STAGE)
        transformer = store.transformer(
            scene.description,
            facts.adapter,
            facts.preset.lora,
            plan,
            self._loading("Loading the model", 0.3, 0.9),
        )
        codec = store.codec(plan)
        conditioner = Conditioner(
            scene.source, scene.size, codec, store.image_encoder(plan), frames=scene.description.window
        )
        first = conditioner.at(0)
        picture = first.pixels[0, :, 0]
        self._preview = LatentPreview(self._preview_path, first.y[:, 4:, :1], picture)
        request = Request(
            speech=partial(audio_windows, scene.tracks),
            condition=conditioner.at,
            reference=lambda: picture,
            text=text,
            null_text=null_text,
            frames=scene.frames,
            seed=facts.seed,
            steps=facts.steps,
            shift=facts.preset.shift(facts.resolution),
            guidance=guidance,
            masks=_masks(scene) if facts.faces else None,
            skip_last_step=facts.preset.skip_last_step,
            window=scene.description.window,
            motion=scene.description.motion,
        )
        cache: BlockCache = self._cache
        if isinstance(transformer, SharedTransformer):
            cache = transformer.cache(cache)
        models = Models(
            transformer, codec.encode, codec.decode, device=store.device, dtype=store.dtype, cache=cache
        )
        return models, request, plan

    def _gpus(self) -> tuple[int, int | None]:
        """How many GPUs share the passes, and the least free memory of the others."""
        scene, store = self._scene, self._setting.store
        heads = scene.description.config.heads
        gpus = gpus_for(scene.facts.gpus, store.device, heads, scene.tokens)
        check = self._context.raise_if_cancelled
        try:
            return gpus, store.join(gpus, check)
        except TaskError as error:
            # One works as well, only slower: no reason to make no film.
            self._context.log("warning", f"{gpus} GPUs cannot share the work, one is used. {error.detail}")
            return 1, store.join(1, check)

    def _plan(self, gpus: int, least: int | None, passes: int) -> memory.Plan:
        scene, store = self._scene, self._setting.store
        height, width = scene.size
        stored, weights = store.stored(scene.facts.adapter)
        own = machine.free_vram(store.device)
        cached = passes * scene.tokens * scene.description.config.dim * store.dtype.itemsize // gpus
        facts = memory.Facts(
            free_vram=own if own is None or least is None else min(own, least),
            free_ram=machine.free_ram() + gpus * store.host_bytes(),
            tokens=scene.tokens,
            pixels=height * width,
            weights=weights,
            stored=stored,
            gpus=gpus,
            kept_bytes=cached if isinstance(self._cache, TeaCache) else 0,
        )
        return memory.plan(facts, rung=scene.facts.rung)

    def _keep(self, window: Window) -> None:
        """A window is done when it is on the disk with what the next one needs."""
        write_segment(
            window.to_uint8(),
            self._kept.segment(window.index),
            fps=FPS,
            ffmpeg=self._setting.ffmpeg,
            check=self._context.raise_if_cancelled,
        )
        tensors = None if window.checkpoint is None else window.checkpoint.to_tensors()
        self._kept.keep(window.index, int(window.pixels.shape[1]), tensors)
        fraction = self._progress.window(window.index + 1)
        message = f"Window {window.index + 1} of {window.windows} is done"
        self._context.progress(fraction, message, stage=_STAGE, eta_s=self._progress.eta_s())

    def _on_step(self, step: Progress) -> None:
        fraction = self._progress.step(step.window, step.step, step.steps)
        self._context.progress(
            fraction,
            self._progress.message(step.window, step.step, step.steps),
            stage=_STAGE,
            step=step.step,
            steps=step.steps,
            eta_s=self._progress.eta_s(),
        )
        if self._preview is not None:
            self._preview.show(step.latents)

    def _loading(self, message: str, start: float, end: float) -> Callable[[int, int], None]:
        def on_progress(done: int, total: int) -> None:
            self._context.raise_if_cancelled()
            share = start + (end - start) * done / max(1, total)
            self._context.progress(self._progress.loading(share), message, stage=_STAGE)

        return on_progress
