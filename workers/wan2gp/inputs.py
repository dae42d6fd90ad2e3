"""A task's files and parameters, checked before upstream sees any of them. Runs in the wan2gp worker.

Flow: task -> types, ranges, existence, decodability -> `Facts` for the plan. Upstream finds a missing file only after
loading a model for minutes, and a value of the wrong type ends the thread that watches its work.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskError
from workers.task_params import input_file, text, whole
from workers.wan2gp.framing import Face
from workers.wan2gp.media import audio_seconds, portrait_size
from workers.wan2gp.parts import Facts
from workers.wan2gp.plain_prompt import plain_prompt
from workers.wan2gp.table import ASPECTS, RESOLUTIONS, Table

_ASPECTS = (*ASPECTS, "source")
_SEED_BITS = 0x7FFF_FFFF
_MAX_RUNG = 10
_STEPS = (1, 100)
# Tracks are made from the speech by adding silence: more than this apart and they belong to another speech.
_TRACK_TOLERANCE_S = 0.5


def facts_of(task: Task, table: Table, *, scratch: Path, ffmpeg: str) -> Facts:
    """Check the task. Raises TaskError(validation_failed, image_unreadable, audio_unreadable)."""
    params = task.params
    model = table.video(text(params, "model"))
    faces = _faces(params.get("speakers"))
    audio = input_file(task, "audio", "audio_unreadable", "The job has no speech.")
    tracks = tuple(
        input_file(task, name, "audio_unreadable", "The speech of one of the two speakers is missing.")
        for name in (("track_1", "track_2") if faces else ())
    )
    portrait = None
    if model.portrait != "none":
        portrait = input_file(task, "portrait", "image_unreadable", f"{model.name} needs a portrait.")
    facts = Facts(
        model=model,
        resolution=_choice(params, "resolution", RESOLUTIONS, RESOLUTIONS[0]),
        aspect=_choice(params, "aspect", _ASPECTS, ASPECTS[0]),
        prompt=plain_prompt(text(params, "prompt")),
        script=plain_prompt(text(params, "script")),
        portrait=portrait,
        portrait_size=None if portrait is None else portrait_size(portrait),
        audio=audio,
        audio_s=audio_seconds(audio),
        timings=_timings(task),
        tracks=tracks,
        faces=faces,
        face=None if faces else _box(params.get("face")),
        rung=whole(params, "rung", 0, _MAX_RUNG) or 0,
        steps=whole(params, "steps", *_STEPS),
        seed=task.seed & _SEED_BITS,
        scratch=scratch,
        ffmpeg=ffmpeg,
    )
    for track in tracks:
        if abs(audio_seconds(track) - facts.audio_s) > _TRACK_TOLERANCE_S:
            raise TaskError(
                "validation_failed", "The tracks of the two speakers are not as long as the speech."
            )
    return facts


def on_rung(facts: Facts, rung: int, scratch: Path) -> Facts:
    """The same job with less given up."""
    return replace(facts, rung=rung, scratch=scratch)


def _timings(task: Task) -> Path | None:
    """Timings are help, not need: the plan finds pauses in the sound when there are none."""
    path = task.inputs.get("timings")
    if path is None or not path.is_file():
        return None
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError(
            "validation_failed", "The timings of the speech cannot be read.", detail=repr(error)
        ) from error
    return path.resolve()


def _choice(params: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = params.get(name, default)
    if value not in allowed:
        raise TaskError(
            "validation_failed", f"{name} must be one of {', '.join(allowed)}.", detail=f"{name}: {value!r}"
        )
    return str(value)


def _faces(given: Any) -> tuple[Face | None, ...]:
    if given in (None, [], ()):
        return ()
    if not isinstance(given, (list, tuple)) or len(given) != 2:
        raise TaskError("validation_failed", "There must be no speakers or exactly two.")
    return tuple(_face(speaker) for speaker in given)


def _face(speaker: Any) -> Face | None:
    if not isinstance(speaker, Mapping):
        raise TaskError("validation_failed", "A speaker must be an object with a face.")
    return _box(speaker.get("face"))


def _box(box: Any) -> Face | None:
    if box is None:
        return None
    sides = [_fraction(box.get(side)) for side in ("x", "y", "w", "h")] if isinstance(box, Mapping) else []
    x, y, width, height = sides or [None] * 4
    if x is None or y is None or width is None or height is None:
        raise TaskError("validation_failed", "A speaker's face must have x, y, w and h between 0 and 1.")
    if not (width > 0 and height > 0 and x + width <= 1.001 and y + height <= 1.001):
        raise TaskError("validation_failed", "A speaker's face must lie inside the portrait.")
    return Face(x, y, width, height)


def _fraction(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= 1 else None
