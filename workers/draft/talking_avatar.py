"""Task `talking_avatar`: a portrait and speech become a silent video. Runs in the draft worker.

Flow: portrait -> face -> frame, matte -> scene; speech -> features -> mouth track -> poses; then frame by frame:
pose -> pixels -> encoder. Progress is frames written over frames to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.draft import faces as face_search
from workers.draft import mouth_track, phonemes, viseme_net
from workers.draft.arrays import F32, Image
from workers.draft.audio_features import AudioFeatures, read_features
from workers.draft.encoder import VideoWriter
from workers.draft.framing import DEFAULT_SIZE, Framing, frame_portrait
from workers.draft.image_input import load_picture
from workers.draft.matte import person_matte
from workers.draft.motion import Motion, plan_motion
from workers.draft.orientation import find_upright
from workers.draft.portrait_checks import PortraitWarning, check_portrait
from workers.draft.renderer import Scene
from workers.draft.rig import build_head
from workers.draft.sessions import Models
from workers.handler import Task, TaskContext, TaskError

DEFAULT_FPS = 25
_FPS_RANGE = (10, 60)
_HEAD_MOTION_RANGE = (0.0, 2.0)
# Timings that end this much before or after the speech belong to another recording.
_TIMINGS_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Options:
    """Parameters of the task after checking."""

    size: int
    aspect: str
    face_index: int | None
    fps: int
    head_motion: float

    @classmethod
    def read(cls, task: Task) -> Options:
        """Raises `TaskError` `validation_failed` when a parameter is outside its range."""
        params = task.params
        face_index = params.get("face_index")
        try:
            options = cls(
                size=int(params.get("size", DEFAULT_SIZE)),
                aspect=str(params.get("aspect", "1:1")),
                face_index=None if face_index is None else int(face_index),
                fps=int(params.get("fps", DEFAULT_FPS)),
                head_motion=float(params.get("head_motion", 1.0)),
            )
        except (TypeError, ValueError) as error:
            raise TaskError("validation_failed", "A parameter of the video is not a number.") from error
        if not _FPS_RANGE[0] <= options.fps <= _FPS_RANGE[1]:
            raise TaskError("validation_failed", f"fps must lie between {_FPS_RANGE[0]} and {_FPS_RANGE[1]}.")
        if not _HEAD_MOTION_RANGE[0] <= options.head_motion <= _HEAD_MOTION_RANGE[1]:
            raise TaskError("validation_failed", "head_motion must lie between 0 and 2.")
        return options


def render_talking_avatar(
    task: Task, context: TaskContext, models: Models, *, ffmpeg_path: str, threads: int
) -> dict[str, Any]:
    """Run the task. Returns frames, fps, size, warnings and the driver. Raises `TaskError`."""
    options = Options.read(task)
    context.progress(0.0, "Preparing the portrait")
    picture = load_picture(task.inputs["portrait"])
    context.raise_if_cancelled()
    upright = find_upright(models, picture, context.raise_if_cancelled)
    picture, found = upright.picture, upright.faces
    face = face_search.choose(found, options.face_index)
    warnings = check_portrait(picture, found, face, rotated=upright.rotated)
    framing = frame_portrait(picture, face, options.aspect, options.size)
    del picture, upright
    context.raise_if_cancelled()
    scene = _build_scene(models, framing, context)
    context.raise_if_cancelled()
    features = read_features(ffmpeg_path, task.inputs["audio"], context.raise_if_cancelled)
    mouth, driver = _drive(models, features, task.inputs.get("timings"), options.fps, context)
    motion = plan_motion(mouth, features, options.fps, task.seed, options.head_motion)
    path = task.output_dir / "video.mp4"
    _encode(scene, motion, path, context, ffmpeg_path=ffmpeg_path, fps=options.fps, threads=threads)
    width, height = scene.size
    context.artifact(
        "video",
        path,
        media_type="video/mp4",
        width=width,
        height=height,
        fps=float(options.fps),
        duration_s=len(motion) / options.fps,
    )
    return _result(scene, motion, options, warnings, driver)


def _result(
    scene: Scene, motion: Motion, options: Options, warnings: list[PortraitWarning], driver: str
) -> dict[str, Any]:
    width, height = scene.size
    return {
        "frames": len(motion),
        "fps": options.fps,
        "width": width,
        "height": height,
        "warnings": warnings,
        "driver": driver,
    }


def _build_scene(models: Models, framing: Framing, context: TaskContext) -> Scene:
    head = build_head(framing.points, models.triangles)
    matte: Image | None = person_matte(models, framing.frame, head)
    context.raise_if_cancelled()
    return Scene(framing.frame, models.triangles, [framing.points], [matte], context.raise_if_cancelled)


def _drive(
    models: Models, features: AudioFeatures, timings: Path | None, fps: int, context: TaskContext
) -> tuple[F32, str]:
    """Mouth rows (frames, 6) and the name of what drove them."""
    if timings is not None:
        segments = phonemes.read_segments(timings)
        spoken = [segment for segment in segments if segment.viseme != "sil"]
        if spoken and spoken[-1].end_s <= features.duration_s + _TIMINGS_TOLERANCE_S:
            return mouth_track.from_segments(segments, features, fps), "phonemes"
        context.log("warning", "The phoneme times do not fit the speech; listening to it instead.")
    heard = viseme_net.posteriors(models.viseme_weights, features)
    return mouth_track.from_posteriors(heard, features, fps), "viseme_net"


def _encode(
    scene: Scene,
    motion: Motion,
    path: Path,
    context: TaskContext,
    *,
    ffmpeg_path: str,
    fps: int,
    threads: int,
) -> None:
    """Render and write all frames. A cancel between two frames ends the encoder and removes the file."""
    frames = len(motion)
    with VideoWriter(ffmpeg_path, path, size=scene.size, fps=fps, frames=frames, threads=threads) as writer:
        for index in range(frames):
            context.raise_if_cancelled()
            writer.write(np.ascontiguousarray(scene.render([motion.pose(index)])))
            context.progress((index + 1) / frames, "Rendering", stage="render", step=index + 1, steps=frames)
        writer.finish()
