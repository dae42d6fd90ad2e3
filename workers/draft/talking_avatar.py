"""Task `talking_avatar`: a portrait and speech become a silent video. Runs in the draft worker.

Flow: portrait -> face -> frame, matte -> scene; speech -> features -> mouth track -> poses; then frame by frame:
pose -> pixels -> encoder. Progress is frames written over frames to write. Of two people in one picture each follows
a track of its own, which is silent while the other one speaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.draft import faces as face_search
from workers.draft import mouth_track, phonemes, viseme_net
from workers.draft.arrays import F32, F64, Image
from workers.draft.audio_features import AudioFeatures, read_features
from workers.draft.encoder import VideoWriter
from workers.draft.framing import DEFAULT_SIZE, frame_portrait
from workers.draft.image_input import load_picture
from workers.draft.matte import person_matte
from workers.draft.motion import Motion, plan_motion
from workers.draft.orientation import find_upright
from workers.draft.pair import TRACKS, Box, choose_two, read_speakers
from workers.draft.pair_framing import Mat, frame_pair
from workers.draft.portrait_checks import PortraitWarning, check_pair, check_portrait
from workers.draft.poster import poster_frame
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


@dataclass(frozen=True)
class _Cast:
    """Who is in the video: the moving frame, everybody's points in it, what is around it, and what was noticed."""

    frame: Image
    points: tuple[F64, ...]
    mat: Mat | None
    warnings: list[PortraitWarning]


def render_talking_avatar(
    task: Task, context: TaskContext, models: Models, *, ffmpeg_path: str, threads: int
) -> dict[str, Any]:
    """Run the task. Returns frames, fps, size, warnings, the driver and the moment for lists. Raises `TaskError`."""
    options = Options.read(task)
    boxes = read_speakers(task)
    context.progress(0.0, "Preparing the portrait")
    cast = _cast(models, task.inputs["portrait"], options, boxes, context)
    context.raise_if_cancelled()
    scene = _build_scene(models, cast, context)
    context.raise_if_cancelled()
    performances = _perform(task, context, models, ffmpeg_path, options, len(boxes))
    motions = [motion for motion, _ in performances]
    path = task.output_dir / "video.mp4"
    size = cast.mat.size if cast.mat else scene.size
    frames = len(motions[0])
    with VideoWriter(ffmpeg_path, path, size=size, fps=options.fps, frames=frames, threads=threads) as writer:
        _render(scene, motions, cast.mat, writer, context)
    context.artifact(
        "video",
        path,
        media_type="video/mp4",
        width=size[0],
        height=size[1],
        fps=float(options.fps),
        duration_s=frames / options.fps,
    )
    drivers = [driver for _, driver in performances]
    return {
        "frames": frames,
        "fps": options.fps,
        "width": size[0],
        "height": size[1],
        "warnings": cast.warnings,
        "poster_s": poster_frame(motions) / options.fps,
        "driver": drivers[0],
        **({"drivers": drivers} if boxes else {}),
    }


def _cast(
    models: Models, portrait: Path, options: Options, boxes: tuple[Box | None, ...], context: TaskContext
) -> _Cast:
    """The faces that speak and the cut around them. The picture itself is not kept."""
    picture = load_picture(portrait)
    context.raise_if_cancelled()
    upright = find_upright(models, picture, context.raise_if_cancelled)
    picture, found = upright.picture, upright.faces
    if not boxes:
        face = face_search.choose(found, options.face_index)
        warnings = check_portrait(picture, found, face, rotated=upright.rotated)
        framing = frame_portrait(picture, face, options.aspect, options.size)
        return _Cast(framing.frame, (framing.points,), None, warnings)
    pair = choose_two(found, boxes, picture.shape[1], picture.shape[0])
    warnings = check_pair(picture, found, pair, rotated=upright.rotated)
    framed = frame_pair(picture, pair, options.aspect, options.size)
    return _Cast(framed.frame, framed.points, framed.mat, warnings)


def _build_scene(models: Models, cast: _Cast, context: TaskContext) -> Scene:
    mattes: list[Image | None] = []
    for points in cast.points:
        mattes.append(person_matte(models, cast.frame, build_head(points, models.triangles)))
        context.raise_if_cancelled()
    return Scene(cast.frame, models.triangles, list(cast.points), mattes, context.raise_if_cancelled)


def _perform(
    task: Task, context: TaskContext, models: Models, ffmpeg_path: str, options: Options, speakers: int
) -> list[tuple[Motion, str]]:
    """How each speaker moves, and what moved the mouth. Who listens blinks and breathes with shut lips."""
    timings = task.inputs.get("timings")
    whole = read_features(ffmpeg_path, task.inputs["audio"], context.raise_if_cancelled)
    if not speakers:
        mouth, driver = _drive(models, whole, timings, options.fps, context)
        return [(plan_motion(mouth, whole, options.fps, task.seed, options.head_motion), driver)]
    found = []
    for speaker, name in enumerate(TRACKS):
        features = read_features(
            ffmpeg_path, task.inputs[name], context.raise_if_cancelled, levels=whole.levels
        )
        if features.samples != whole.samples:
            raise TaskError(
                "validation_failed", "A speaker's track is not as long as the speech. Make the speech again."
            )
        mouth, driver = _drive(models, features, timings, options.fps, context, speaker)
        # Another seed: two people do not blink and sway in step.
        motion = plan_motion(mouth, features, options.fps, task.seed + speaker, options.head_motion)
        found.append((motion, driver))
    return found


def _drive(
    models: Models,
    features: AudioFeatures,
    timings: Path | None,
    fps: int,
    context: TaskContext,
    speaker: int | None = None,
) -> tuple[F32, str]:
    """Mouth rows (frames, 6) and the name of what drove them."""
    if timings is not None:
        segments = phonemes.read_segments(timings, speaker)
        spoken = [segment for segment in segments if segment.viseme != "sil"]
        if spoken and spoken[-1].end_s <= features.duration_s + _TIMINGS_TOLERANCE_S:
            return mouth_track.from_segments(segments, features, fps), "phonemes"
        if spoken or speaker is None:
            context.log("warning", "The phoneme times do not fit the speech; listening to it instead.")
    heard = viseme_net.posteriors(models.viseme_weights, features)
    return mouth_track.from_posteriors(heard, features, fps), "viseme_net"


def _render(
    scene: Scene, motions: list[Motion], mat: Mat | None, writer: VideoWriter, context: TaskContext
) -> None:
    """Render and write all frames. A cancel between two frames ends the encoder and removes the file."""
    frames = len(motions[0])
    for index in range(frames):
        context.raise_if_cancelled()
        frame = scene.render([motion.pose(index) for motion in motions])
        writer.write(np.ascontiguousarray(mat.around(frame) if mat else frame))
        context.progress((index + 1) / frames, "Rendering", stage="render", step=index + 1, steps=frames)
    writer.finish()
