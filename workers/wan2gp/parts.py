"""Which generations make a video, and with which settings. Runs in the wan2gp worker, inside upstream's Python.

Flow: what was asked + the model's row of the table -> parts that tile the speech -> for each part the complete
settings for upstream, with its slice of the sound cut and the portrait framed.

How parts are joined without a jump, and why:
* Models with a sliding window continue a video: the next part is given the last frames of the part before, as many
  as upstream's own windows share. It is then the very input of upstream's next window, with the movement in it, so
  a part's end is no worse than any window's. (A single last frame would keep the picture but stop the movement.)
* Hunyuan Avatar can only start from a reference picture and fades after three segments. Starting from its own last
  frame would carry the decay on, so it starts from the portrait again, in a pause, and a few frames are cross-faded.
* Text-to-video models know no picture: another scene with another seed, joined by a plain cut at a sentence's end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import TaskError
from workers.wan2gp import clips, cuts, framing
from workers.wan2gp.framing import Face
from workers.wan2gp.media import cut_wave
from workers.wan2gp.plain_prompt import plain_prompt
from workers.wan2gp.table import RESOLUTIONS, Rung, VideoModel

# Upstream adds four frames to what the sound needs before it rounds; one more covers its rounding of the seconds.
SPARE_FRAMES = 5
# Cross-fade of parts that begin anew: a fifth of a second reads as a blink, longer shows two heads.
FADE_FRAMES = 5
# A part shorter than this is avoided: the models need a moment to find into a movement.
_SHORTEST_S = 2.0
# A scene of fewer frames is a still picture: more are made and left out.
_LEAST_SCENE_FRAMES = 33
# Upstream's seeds are 32-bit and signed in places.
_SEEDS = 2**31
# A sentence that only touches a part by less than this belongs to its neighbour.
_TOUCH_S = 0.3
_MAX_STEPS = 100
# One sample at 8 kHz, in frames of 25 a second, with room to spare.
_ROUNDED_FRAMES = 0.01


@dataclass(frozen=True)
class Facts:
    """What was asked for, with types checked and files opened. `tracks` and `faces` are empty or two."""

    model: VideoModel
    resolution: str
    aspect: str
    prompt: str
    script: str
    portrait: Path | None
    portrait_size: tuple[int, int] | None
    audio: Path
    audio_s: float
    timings: Path | None
    tracks: tuple[Path, ...]
    faces: tuple[Face | None, ...]
    rung: int
    steps: int | None
    seed: int
    scratch: Path
    ffmpeg: str
    # Of one speaker: what the cut of the portrait is made around.
    face: Face | None = None


@dataclass(frozen=True)
class Part:
    """One generation. `settings` are complete but for what a `chained` part takes from the part before it.

    `first_frame` and `frames` are its place in the film. Of upstream's file the first `lead` frames come before that
    place: they repeat the part before and are left out, or are its last `fade` frames once more, to be cross-faded.
    A chained part continues the file before it, of which the first `source_end` frames are used.
    """

    index: int
    settings: Mapping[str, Any]
    media: tuple[str, ...]
    chained: bool
    windows: int
    steps: int
    first_frame: int
    frames: int
    lead: int
    fade: int
    source_end: int
    fps: int


@dataclass(frozen=True)
class Plan:
    """All parts of a video, in order. `changes`: what the rungs of the ladder changed, in words."""

    parts: tuple[Part, ...]
    model_type: str
    fps: int
    width: int
    height: int
    total_frames: int
    changes: tuple[str, ...]


def plan(facts: Facts, *, check: Callable[[], None]) -> Plan:
    """Plan a video and write what its parts need into `facts.scratch`. Deterministic for equal facts.

    Raises `TaskError` `validation_failed` for what the model cannot do.
    """
    model = facts.model
    speakers = 2 if facts.tracks else 1
    model_type = model.model_type(speakers, facts.resolution)
    _validate(facts)
    rungs = model.rungs[: facts.rung]
    width, height = framing.frame_size(
        model.sizes[facts.resolution], facts.aspect, facts.portrait_size, math.prod(r.scale for r in rungs)
    )
    settings = _common_settings(facts, rungs, model_type, (width, height))
    total = math.ceil(facts.audio_s * model.fps - 1e-6)
    check()
    sentences = cuts.read_sentences(facts.timings)
    spans = _spans(facts, rungs, sentences, total)
    check()
    if model.portrait != "none":
        settings.update(_pictures(facts, (width, height), speakers))
    parts: list[Part] = []
    for span in spans:
        check()
        before = parts[-1] if parts else None
        parts.append(_part(facts, settings, sentences, span, total, before))
    return Plan(
        tuple(parts), model_type, model.fps, width, height, total, tuple(rung.change for rung in rungs)
    )


def _validate(facts: Facts) -> None:
    model = facts.model
    if facts.resolution not in RESOLUTIONS:
        known = ", ".join(RESOLUTIONS)
        raise TaskError("validation_failed", f"Unknown resolution {facts.resolution!r}. Use one of: {known}.")
    if model.portrait != "none" and (facts.portrait is None or facts.portrait_size is None):
        raise TaskError(
            "validation_failed", f"{model.name} animates a portrait. Add one, or choose a text model."
        )
    if len(facts.tracks) not in (0, 2) or len(facts.faces) != len(facts.tracks):
        raise TaskError(
            "validation_failed", "Two speakers need two tracks and two faces, one speaker needs none."
        )
    if not 0 <= facts.rung <= len(model.rungs):
        raise TaskError(
            "validation_failed", f"{model.name} can be made lighter {len(model.rungs)} times at most."
        )
    if facts.steps is not None and not 1 <= facts.steps <= _MAX_STEPS:
        raise TaskError("validation_failed", f"The number of steps must lie between 1 and {_MAX_STEPS}.")
    if model.drive == "text" and not (facts.prompt or facts.script):
        raise TaskError("validation_failed", f"{model.name} needs a prompt or a script to make pictures for.")


def _common_settings(
    facts: Facts, rungs: Sequence[Rung], model_type: str, size: tuple[int, int]
) -> dict[str, Any]:
    """What all parts share: the table's row, then the rungs in order, then what was asked for."""
    settings = dict(facts.model.settings)
    for rung in rungs:
        settings.update(rung.settings)
    settings["model_type"] = model_type
    settings["resolution"] = f"{size[0]}x{size[1]}"
    if facts.steps is not None:
        settings["num_inference_steps"] = facts.steps
    return settings


def _spans(
    facts: Facts, rungs: Sequence[Rung], sentences: Sequence[cuts.Sentence], total: int
) -> list[cuts.Span]:
    model = facts.model
    limit = model.frames_max_part
    for rung in rungs:
        limit = min(limit, rung.frames_max_part or limit)
    if model.continues == "portrait":
        limit -= FADE_FRAMES
    if total <= limit:
        return [cuts.Span(0, total)]
    loudness = cuts.measure(facts.audio)
    found = cuts.places(loudness.pauses(), sentences, loudness, frames=total, fps=model.fps, limit=limit)
    return cuts.split(total, found, limit=limit, shortest=round(_SHORTEST_S * model.fps))


def _pictures(facts: Facts, size: tuple[int, int], speakers: int) -> dict[str, Any]:
    """The framed portrait under the model's own name for it, and where two speakers sit in it."""
    if facts.portrait is None or facts.portrait_size is None:
        raise AssertionError("checked before")
    cut = (
        framing.cut_of(facts.portrait_size, size, facts.faces)
        if facts.face is None
        else framing.cut_around(facts.portrait_size, size, facts.face)
    )
    framed = facts.scratch / "portrait.png"
    framing.write_framed(facts.portrait, framed, cut, size)
    path = str(framed.resolve())
    found: dict[str, Any] = (
        {"image_start": path} if facts.model.portrait == "start" else {"image_refs": [path]}
    )
    if speakers == 2:
        boxes = framing.speaker_boxes(facts.faces, facts.portrait_size, cut)
        # Both tracks play at once; each is silent while the other one speaks.
        found["audio_prompt_type"] = "PAB"
        found["speakers_locations"] = framing.locations(boxes)
    return found


def _part(
    facts: Facts,
    common: Mapping[str, Any],
    sentences: Sequence[cuts.Sentence],
    span: cuts.Span,
    total: int,
    before: Part | None,
) -> Part:
    model = facts.model
    index = 0 if before is None else before.index + 1
    settings = {**common, "seed": (facts.seed + index) % _SEEDS, "prompt": _prompt(facts, sentences, span)}
    lead = _lead(model, settings) if index else 0
    chained = index > 0 and model.continues == "video"
    if chained:
        # What it continues is known only when the part before is finished: see settings_of.
        settings.pop("image_start", None)
    commanded = chained and lead > 1
    made = 0
    if model.drive == "speech":
        # The last part hears the sound to its very end; upstream fills up with silence behind it.
        begin = (span.first - lead) / model.fps
        end = facts.audio_s if span.first + span.frames == total else (span.first + span.frames) / model.fps
        if commanded:
            # Upstream cuts a continued video where its sound ends: let it hear a little more than is used.
            end += SPARE_FRAMES / model.fps
        settings.update(_sounds(facts, index, begin, end))
        # A slice is rounded to samples: at 23 frames a second it can be a hair longer than its frames.
        heard = math.ceil((end - begin) * model.fps + _ROUNDED_FRAMES)
        settings["video_length"] = model.legal_frames(heard + SPARE_FRAMES)
        made = model.legal_frames(int((end - begin) * model.fps) + SPARE_FRAMES - 1)
    else:
        settings["video_length"] = model.legal_frames(max(span.frames, _LEAST_SCENE_FRAMES))
    names = ("image_start", "image_refs", "audio_guide", "audio_guide2")
    return Part(
        index=index,
        settings=settings,
        media=tuple(name for name in names if name in settings),
        chained=chained,
        windows=_windows(model, settings, made, commanded=commanded),
        steps=int(settings["num_inference_steps"]),
        first_frame=span.first,
        frames=span.frames,
        lead=lead,
        fade=lead if model.continues == "portrait" else 0,
        fps=model.fps,
        source_end=before.lead + before.frames if before is not None and chained else 0,
    )


def _lead(model: VideoModel, settings: Mapping[str, Any]) -> int:
    """How many frames of a following part lie before its place in the film."""
    if model.continues == "video":
        return int(settings["sliding_window_overlap"])
    return FADE_FRAMES if model.continues == "portrait" else 0


def _sounds(facts: Facts, index: int, begin_s: float, end_s: float) -> dict[str, str]:
    """Cut the part's slice out of every track; two tracks come out equally long."""
    sounds = {}
    for number, track in enumerate(facts.tracks or (facts.audio,)):
        target = facts.scratch / f"part-{index:03d}-{number + 1}.wav"
        cut_wave(track, target, start_s=begin_s, end_s=end_s)
        sounds["audio_guide" if number == 0 else "audio_guide2"] = str(target.resolve())
    return sounds


def _prompt(facts: Facts, sentences: Sequence[cuts.Sentence], span: cuts.Span) -> str:
    model = facts.model
    if facts.prompt:
        return facts.prompt
    if model.drive == "speech":
        return model.prompt_two if facts.tracks else model.prompt
    begin, end = span.first / model.fps, (span.first + span.frames) / model.fps
    # A sentence that is longer than a part goes on in the next: it then describes both scenes.
    said = [
        one.text
        for one in sentences or cuts.estimated_sentences(facts.script, facts.audio_s)
        if min(end, one.end_s) - max(begin, one.start_s) >= min(_TOUCH_S, one.end_s - one.start_s)
    ]
    return plain_prompt(" ".join(said)) or facts.script


def _windows(model: VideoModel, settings: Mapping[str, Any], sounding: int, *, commanded: bool) -> int:
    """How many sliding windows upstream will make of a part.

    Usually the sound says how many frames there will be: `sounding`. Where the prompt commands an overlap, upstream
    makes `video_length` new frames whatever the sound says.
    """
    if model.window is None:
        return 1
    size = int(settings["sliding_window_size"])
    discard = int(settings["sliding_window_discard_last_frames"])
    advance = size - int(settings["sliding_window_overlap"]) - discard
    if commanded:
        return math.ceil(int(settings["video_length"]) / advance)
    if sounding <= size:
        return 1
    return 1 + math.ceil((sounding - size + discard) / advance)


def settings_of(
    part: Part, *, previous: Path | None, scratch: Path, ffmpeg: str, check: Callable[[], None]
) -> dict[str, Any]:
    """The settings of a part with what it takes from the finished part before it, `previous`."""
    settings = dict(part.settings)
    if not part.chained:
        return settings
    if previous is None:
        raise ValueError(f"part {part.index} continues a part that is not there")
    width, height = (int(side) for side in str(settings["resolution"]).split("x"))
    return {
        **settings,
        **clips.continuation(previous, part, (width, height), scratch, ffmpeg=ffmpeg, check=check),
    }
