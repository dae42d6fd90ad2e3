"""What InfiniteTalk can be asked for: presets, the weights each needs, what it takes. Service process side; pure.

Steps and passes are those of `workers/infinitetalk/config.py`, entries those of the catalogue of models; a test holds
both. Which weights lie on the disk comes from the caller.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from backend.models.job import Preset as PresetName

# What brings the encoders, whatever the transformer's format.
ENCODERS = "infinitetalk-encoders"
# Sets of the catalogue that hold the transformer, by the number of speakers; the recommended one first.
SETS: dict[int, tuple[tuple[str, ...], ...]] = {
    1: (("infinitetalk-single", "infinitetalk-base"), ("infinitetalk-bf16",)),
    2: (("infinitetalk-multi", "infinitetalk-base"), ("infinitetalk-multi-bf16",)),
}
# What the planner of the worker can still serve, with the weights streamed: 8 GB cards at 512p, 12 GB cards at 720p.
# Cards tell a little less than they are sold with.
MIN_VRAM_MIB = {"512p": 7_500, "720p": 12_000}

# Rough figures for a 24 GB card, computed and not measured by us: a pass is 1.89 PFLOP at 640 x 640 and 6.86 at
# 960 x 960, at an assumed 95 TFLOP/s; then the window is encoded and decoded.
PASS_S = {"512p": 20.0, "720p": 72.0}
CODEC_S = {"512p": 8.0, "720p": 18.0}
# New frames of a window (81, of which 9 continue the one before), at 25 in a second.
WINDOW_S = (81 - 9) / 25


@dataclass(frozen=True)
class Preset:
    """`steps` that are computed, `passes` of the transformer in each, `lora`: the entry that brings its LoRA."""

    name: PresetName
    steps: int
    passes: int
    lora: str | None

    def s_per_video_s(self, resolution: str) -> float:
        """Seconds of work for a second of video, by the table."""
        return (self.steps * self.passes * PASS_S[resolution] + CODEC_S[resolution]) / WINDOW_S


# By the names that `preset` takes. The distilled ones leave out the last step, which changes nothing to be seen.
PRESETS: dict[PresetName, Preset] = {
    preset.name: preset
    for preset in (
        Preset("quality", 40, 3, None),
        Preset("balanced", 7, 2, "infinitetalk-fusionx"),
        Preset("fast", 3, 2, "infinitetalk-lightx2v"),
        Preset("turbo", 3, 1, "infinitetalk-lightx2v"),
    )
}


@dataclass(frozen=True)
class Rung:
    """One step down after the card's memory ran out: `memory` steps down the worker's plan, at this size."""

    change: str
    resolution: str
    memory: int


# At each size the plan is stepped down before the picture is made smaller: the finished windows of another size are of
# no use. The worker says `gpu_oom` at once where its plan has no such step.
RUNGS: dict[str, tuple[Rung, ...]] = {
    "512p": (
        Rung("memory plan one step down", "512p", 1),
        Rung("two steps down", "512p", 2),
        Rung("three steps down", "512p", 3),
    ),
    "720p": (
        Rung("memory plan one step down", "720p", 1),
        Rung("two steps down", "720p", 2),
        Rung("512p instead of 720p", "512p", 0),
        Rung("memory plan at 512p one step down", "512p", 1),
        Rung("two steps down at 512p", "512p", 2),
    ),
}


def demand(resolution: str, rung: int) -> tuple[str, int]:
    """Resolution and step of the worker's plan after so many steps down."""
    if rung <= 0:
        return resolution, 0
    taken = RUNGS[resolution][min(rung, len(RUNGS[resolution])) - 1]
    return taken.resolution, taken.memory


def missing(preset: Preset, speakers: int, has_weights: Callable[[str], bool]) -> tuple[str, ...]:
    """Entries of the catalogue to fetch for a film with this preset, none where all are here: of a set that is here,
    else of one that is partly here, else of the recommended one."""
    here = functools.cache(has_weights)
    sets = SETS[speakers]
    # A set whose sibling for another number of speakers is here shares its files and its format with that.
    kin = [[entry for group in SETS.values() for entry in group[place]] for place in range(len(sets))]
    whole = [entries for entries in sets if all(map(here, entries))]
    begun = [entries for entries, related in zip(sets, kin, strict=True) if any(map(here, related))]
    best = (*whole, *begun, sets[0])[0]
    shared = (ENCODERS, *((preset.lora,) if preset.lora else ()))
    return tuple(entry for entry in best if not here(entry)) + tuple(
        entry for entry in shared if not here(entry)
    )


def any_ready(has_weights: Callable[[str], bool]) -> bool:
    """Whether at least one preset can be made, for one speaker or for two."""
    return any(not missing(preset, speakers, has_weights) for preset in PRESETS.values() for speakers in SETS)
