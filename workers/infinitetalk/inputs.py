"""A task's files and parameters, checked before weights are loaded. Runs in the InfiniteTalk worker.

Flow: task -> types, ranges, existence -> `Facts`. Pictures and sound are decoded later, by those who use
them; what is wrong with a value is found here, at once and not after minutes of loading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import Task, TaskError
from workers.infinitetalk.config import PRESETS, Preset
from workers.task_params import folder_of, input_file, text, whole

# The product's names for the two sizes; the published ones are understood too.
RESOLUTIONS = {"512p": 480, "480p": 480, "720p": 720}
ASPECTS = {"1:1": 1.0, "16:9": 9 / 16, "9:16": 16 / 9, "source": None}
DEFAULT_PRESET = "balanced"
_SEED_BITS = 0x7FFF_FFFF
_MAX_RUNG = 10
_STEPS = (1, 100)
_MOST_GPUS = 8
# The first one is the default: without a cache every pass is run, as published.
CACHES = ("off", "teacache")


@dataclass(frozen=True)
class Facts:
    """One film, as it was asked for. `ratio` is height / width, None: the reference's own shape."""

    reference: Path
    is_video: bool
    audio: Path
    speech: tuple[Path, ...]
    preset: Preset
    steps: int
    resolution: int
    ratio: float | None
    prompt: str
    faces: tuple[Mapping[str, float] | None, ...]
    rung: int
    seed: int
    checkpoint_dir: Path | None
    gpus: int | None  # that share every pass; None: all that this process sees
    cache: str  # one of CACHES
    # Of one speaker, in fractions of the reference: around it a video is cut to the shape.
    face: Mapping[str, float] | None = None

    @property
    def adapter(self) -> str:
        """Role of the adapter's folder."""
        return "multi" if self.faces else "single"


def facts_of(task: Task) -> Facts:
    """Check the task. Raises TaskError(validation_failed, image_unreadable, audio_unreadable)."""
    params = task.params
    preset = PRESETS[_choice(params, "preset", tuple(PRESETS), DEFAULT_PRESET)]
    faces = _faces(params.get("speakers"))
    audio = input_file(task, "audio", "audio_unreadable", "The job has no speech.")
    tracks = tuple(
        input_file(task, name, "audio_unreadable", "The speech of one of the two speakers is missing.")
        for name in (("track_1", "track_2") if faces else ())
    )
    is_video = "reference" in task.inputs
    return Facts(
        reference=input_file(
            task,
            "reference" if is_video else "portrait",
            "image_unreadable",
            "InfiniteTalk needs a portrait or a video of the person.",
        ),
        is_video=is_video,
        audio=audio,
        speech=tracks or (audio,),
        preset=preset,
        steps=whole(params, "steps", *_STEPS) or preset.steps,
        resolution=RESOLUTIONS[_choice(params, "resolution", tuple(RESOLUTIONS), "512p")],
        ratio=ASPECTS[_choice(params, "aspect", tuple(ASPECTS), "1:1")],
        prompt=text(params, "prompt").strip(),
        faces=faces,
        rung=whole(params, "rung", 0, _MAX_RUNG) or 0,
        seed=task.seed & _SEED_BITS,
        checkpoint_dir=folder_of(params.get("checkpoint_dir"), "windows"),
        gpus=whole(params, "gpus", 1, _MOST_GPUS),
        cache=_choice(params, "cache", CACHES, CACHES[0]),
        face=None if faces else _box(params.get("face")),
    )


def _choice(params: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value not in allowed:
        raise TaskError(
            "validation_failed", f"{name} must be one of {', '.join(allowed)}.", detail=f"{name}: {value!r}"
        )
    return value


def _faces(given: Any) -> tuple[Mapping[str, float] | None, ...]:
    if given in (None, [], ()):
        return ()
    if not isinstance(given, (list, tuple)) or len(given) != 2:
        raise TaskError("validation_failed", "There must be no speakers or exactly two.")
    return tuple(_face(speaker) for speaker in given)


def _face(speaker: Any) -> Mapping[str, float] | None:
    if not isinstance(speaker, Mapping):
        raise TaskError("validation_failed", "A speaker must be an object with a face.")
    return _box(speaker.get("face"))


def _box(box: Any) -> Mapping[str, float] | None:
    if box is None:
        return None
    sides = {side: _fraction(box.get(side)) for side in "xywh"} if isinstance(box, Mapping) else {}
    known = {side: value for side, value in sides.items() if value is not None}
    if len(known) != len("xywh"):
        raise TaskError("validation_failed", "A speaker's face must have x, y, w and h between 0 and 1.")
    inside = known["x"] + known["w"] <= 1.001 and known["y"] + known["h"] <= 1.001
    if not (known["w"] > 0 and known["h"] > 0 and inside):
        raise TaskError("validation_failed", "A speaker's face must lie inside the portrait.")
    return known


def _fraction(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= 1 else None
