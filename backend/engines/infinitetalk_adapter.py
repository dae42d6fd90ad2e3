"""InfiniteTalk (our implementation on diffusers, in an environment of its own). Service process side.

Flow: a job -> preset and its weights -> the portrait cut to the shape of the video -> one task of the worker
`infinitetalk` on one GPU -> the middle of its picture, in exactly that shape, at `output_path`. The worker knows the
sizes for which the model was trained and no others; see docs/infinitetalk.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.engines.base import READY, BaseEngineAdapter, Readiness
from backend.engines.infinitetalk_home import infinitetalk_readiness
from backend.engines.infinitetalk_models import (
    MIN_VRAM_MIB,
    PRESETS,
    RUNGS,
    Preset,
    any_ready,
    demand,
    missing,
)
from backend.engines.video_task import media_inputs, require_ready, resting, task_folder, video_of, what_ran
from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import TaskRequest
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.utils.media.cut import RATIOS, cut_around, cut_of, cut_picture, cut_video, png_size, shown_size
from backend.utils.media.ffmpeg import Ffmpeg
from backend.utils.media.probe import probe

TITLE = "InfiniteTalk"
# Folder of the attempt in which the worker writes; its preview.jpg is shown while the job runs.
TASK_FOLDER = "infinitetalk"
# A picture narrower or flatter than every size of the model: the worker shows its middle, and that is what stays.
MOST_CUT = 0.3


@dataclass(frozen=True)
class _Scene:
    """What the worker is shown. `ratio`: width / height of the finished video; `face`: of one speaker, in a video."""

    role: Literal["portrait", "reference"]
    shown: Path
    faces: tuple[Mapping[str, float] | None, ...]
    ratio: float
    face: Mapping[str, float] | None = None


class InfiniteTalkAdapter(BaseEngineAdapter):
    """`preferred_engine: "infinitetalk"`. Drives the `infinitetalk` worker's task `talking_avatar`."""

    kind = "gpu"
    title = TITLE
    keeps_deadline = True

    def __init__(
        self, worker: EngineWorker, *, core_dir: Path, has_weights: Callable[[str], bool], ffmpeg: Ffmpeg
    ) -> None:
        """`has_weights` looks whether an entry of the catalogue is here, whole and checked; it is quick."""
        self._worker = worker
        self._core_dir = core_dir
        self._has_weights = has_weights
        self._ffmpeg = ffmpeg

    @property
    def name(self) -> str:
        return "infinitetalk"

    def readiness(self) -> Readiness:
        environment = infinitetalk_readiness(self._core_dir)
        if not environment.is_ready:
            return environment
        if not any_ready(self._has_weights):
            return Readiness(
                "NOT_INSTALLED",
                ErrorCode.MODEL_MISSING,
                "InfiniteTalk is installed, but its weights are not on this computer.",
                "Download InfiniteTalk, one speaker, in the page under Models; GET /api/models lists the sets. The "
                "environment itself needs no second run of install_infinitetalk.bat or install_infinitetalk.sh.",
            )
        look = (
            "Look at logs/worker.log for the cause; it is tried again by itself. If a package is missing, run "
            "install_infinitetalk.bat (Windows) or install_infinitetalk.sh (Linux) again."
        )
        return resting(self._worker, TITLE, look) or READY

    async def warm(self) -> None:
        if (await asyncio.to_thread(self.readiness)).is_ready:
            await self._worker.warm()

    def rungs(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(rung.change for rung in RUNGS[settings["resolution"]])

    def choose(self, settings: Mapping[str, Any]) -> Preset:
        """The preset of a job with these settings. Raises EngineFailure(model_missing) without its weights."""
        preset = PRESETS[settings["preset"]]
        speakers = len(settings.get("speakers") or ()) or 1
        lacking = missing(preset, speakers, self._has_weights)
        if not lacking:
            return preset
        others = [name for name, one in PRESETS.items() if not missing(one, speakers, self._has_weights)]
        raise EngineFailure(
            ErrorCode.MODEL_MISSING,
            f"Weights of InfiniteTalk for the preset {preset.name}"
            f"{' with two speakers' if speakers == 2 else ''} are not on this computer: {', '.join(lacking)}.",
            hint="Download them in the page under Models, or by POST /api/models/<id>/download"
            + (f"; the preset {others[0]} works with what is here." if others else "."),
        )

    async def process_job(
        self, job_id: str, voice_id: str, avatar_url: str, script_text: str, **kwargs: Any
    ) -> str:
        require_ready(await asyncio.to_thread(self.readiness), TITLE)
        settings = kwargs["settings"]
        preset = await asyncio.to_thread(self.choose, settings)
        kwargs["report"](None, f"InfiniteTalk with the preset {preset.name}")
        task_dir = await task_folder(settings, TASK_FOLDER)
        scene = await asyncio.to_thread(self._scene, kwargs)
        request = _request(job_id, preset, scene, task_dir, kwargs)
        result, video = await video_of(self._worker.run, request, kwargs, TITLE)
        kwargs["report"](None, "Bringing the video into its shape")
        await asyncio.to_thread(self._deliver, video.path, scene.ratio, kwargs)
        settings.get("ran", {}).update(
            what_ran(preset.name, result),
            made_by=f"InfiniteTalk made it with the preset {preset.name}.",
        )
        return f"/api/jobs/{job_id}/result"

    def _scene(self, given: Mapping[str, Any]) -> _Scene:
        """The portrait in the shape of the video, and where the speakers sit in it. Blocks."""
        settings, portrait = given["settings"], given["avatar_path"]
        picture = png_size(portrait)
        faces = tuple(speaker["face"] for speaker in settings.get("speakers") or ())
        ratio = RATIOS.get(settings["aspect"])
        if settings.get("reference_path") is not None:
            # The worker cuts every picture of a video by itself.
            shape, face = ratio or picture[0] / picture[1], None if faces else settings.get("face")
            return _Scene("reference", settings["reference_path"], faces, shape, face)
        if ratio is None:
            return _Scene("portrait", portrait, faces, picture[0] / picture[1])
        alone = None if faces else settings.get("face")
        cut = (
            cut_of(picture, ratio, [face for face in faces if face is not None])
            if alone is None
            else cut_around(picture, ratio, alone)
        )
        # Beside what the worker writes, not in it.
        shown = settings["work_dir"] / "portrait.png"
        cut_picture(self._ffmpeg, portrait, shown, cut, cancelled=given["cancelled"])
        moved = tuple(None if face is None else cut.face(face, picture) for face in faces)
        return _Scene("portrait", shown, moved, ratio)

    def _deliver(self, made: Path, ratio: float, given: Mapping[str, Any]) -> None:
        """The video to `output_path`, in its shape. Blocks."""
        output_path: Path = given["output_path"]
        info = probe(self._ffmpeg, made, cancelled=given["cancelled"]).video
        if info is None:
            raise EngineFailure(ErrorCode.NO_OUTPUT, "InfiniteTalk's file holds no picture.")
        size = shown_size(info.width, info.height, ratio)
        kept = size[0] * size[1] / (info.width * info.height)
        if size == (info.width, info.height) or kept < 1 - MOST_CUT:
            made.replace(output_path)
            return
        cut_video(self._ffmpeg, made, info, output_path, size, cancelled=given["cancelled"])


def _request(
    job_id: str, preset: Preset, scene: _Scene, task_dir: Path, given: Mapping[str, Any]
) -> TaskRequest:
    settings = given["settings"]
    resolution, memory = demand(settings["resolution"], settings["rung"])
    return TaskRequest(
        job_id=job_id,
        attempt=settings["attempt"],
        task="talking_avatar",
        inputs={**media_inputs(given), scene.role: scene.shown},
        params={
            "preset": preset.name,
            "resolution": resolution,
            "aspect": settings["aspect"],
            "prompt": settings["prompt"],
            "speakers": [{"face": face} for face in scene.faces],
            "face": scene.face,
            "rung": memory,
            "checkpoint_dir": str(settings["checkpoint_dir"]),
        },
        output_dir=task_dir,
        seed=settings["seed"],
        deadline_s=settings["deadline_s"],
        # A small card takes hours for what a large one does in minutes.
        deadline_moves=True,
        # A GPU that has these weights already is asked first.
        model=f"{'two' if scene.faces else 'one'}/{preset.lora or 'plain'}",
        min_vram_mib=MIN_VRAM_MIB[resolution],
    )
