"""What Wan2GP offers us, as one checked table. Runs in the wan2gp worker, inside upstream's Python.

Flow: assets/wan2gp/models.json -> typed, frozen descriptions of the video models. The same file is read by the
service. Nothing of upstream is asked: every setting that we send stands in this table, so that neither a default of
upstream's nor a setting that somebody saved in its page can change what we make.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import TaskError

TABLE_PATH = Path("wan2gp", "models.json")
TABLE_VERSION = 1
ASPECTS = ("1:1", "16:9", "9:16")
RESOLUTIONS = ("512p", "720p")
DRIVES = ("speech", "text")
PORTRAITS = ("start", "refs", "none")
# How a following part begins: from the last frames of the part before, from the portrait again, or as a new scene.
CONTINUES = ("video", "portrait", "cut")
RUNG_CODES = ("window", "offload", "resolution")


@dataclass(frozen=True)
class Upstream:
    """The state of upstream for which the table was made."""

    home: str
    commit: str
    version: str
    settings_version: float


@dataclass(frozen=True)
class Window:
    """Upstream's sliding window: `size` frames at once, `overlap` of them shared with the window before."""

    size: int
    overlap: int
    discard: int
    fixed: bool


@dataclass(frozen=True)
class Rung:
    """One step down the ladder. `scale` shrinks both sides of the frame; `frames_max_part` shortens the parts."""

    code: str
    change: str
    settings: Mapping[str, Any]
    scale: float
    frames_max_part: int | None


@dataclass(frozen=True)
class SizeClass:
    """The frame sizes of one resolution: a size for each aspect, and the pixels that a free aspect may use."""

    pixels: int
    sizes: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class VideoModel:
    """One model as a user chooses it. `types` and `types_720p` map the number of speakers to upstream's name."""

    name: str
    title: str
    drive: str
    types: Mapping[int, str]
    types_720p: Mapping[int, str]
    sizes: Mapping[str, SizeClass]
    fps: int
    frame_step: int
    frame_offset: int
    frames_min: int
    frames_max_part: int
    portrait: str
    continues: str
    window: Window | None
    prompt: str
    prompt_two: str
    rungs: tuple[Rung, ...]
    settings: Mapping[str, Any]

    @property
    def two_speakers(self) -> bool:
        """Whether two people in one picture can speak in turns."""
        return 2 in self.types

    def model_type(self, speakers: int, resolution: str) -> str:
        """Upstream's name of the weights. Raises `TaskError` when the model knows one speaker only."""
        types = self.types_720p if resolution == "720p" and self.types_720p else self.types
        if speakers not in types:
            raise TaskError(
                "validation_failed",
                f"{self.name} cannot animate two speakers. Choose Wan Multitalk, InfiniteTalk (Wan2GP) or "
                "LongCat Avatar 1.5, or let one person speak.",
            )
        return types[speakers]

    def legal_frames(self, frames: int) -> int:
        """The smallest number of frames that upstream can make and that holds `frames`."""
        steps = -(-max(0, frames - self.frame_offset) // self.frame_step)
        return max(self.frames_min, steps * self.frame_step + self.frame_offset)


@dataclass(frozen=True)
class Table:
    """The whole video part of the table."""

    upstream: Upstream
    models: tuple[VideoModel, ...]

    def video(self, name: str) -> VideoModel:
        """The model of that name on the wire. Raises `TaskError` `validation_failed`."""
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models)
        raise TaskError("validation_failed", f"Unknown Wan2GP model {name!r}. Use one of: {known}.")


class _Broken(Exception):
    """The file does not hold what the table promises."""


def load_table(assets_dir: Path) -> Table:
    """Read and check the table. Raises `TaskError` `internal_error`: the installation is broken, not the job."""
    path = assets_dir / TABLE_PATH
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return _table(raw)
    except (OSError, ValueError, KeyError, TypeError, _Broken) as error:
        raise TaskError(
            "internal_error",
            "The table of the Wan2GP models cannot be read. Install the product again.",
            detail=f"{path}: {type(error).__name__}: {error}",
        ) from error


def _table(raw: Mapping[str, Any]) -> Table:
    if raw["version"] != TABLE_VERSION:
        raise _Broken(f"version {raw['version']!r}")
    sizes = {name: _size_class(raw["sizes"][name]) for name in RESOLUTIONS}
    common = raw["common_settings"]
    models = tuple(_model(entry, common, sizes) for entry in raw["video"])
    names = [model.name for model in models]
    if not names or len(set(names)) != len(names):
        raise _Broken("the models' names are not unique")
    return Table(_upstream(raw["upstream"]), models)


def _upstream(raw: Mapping[str, Any]) -> Upstream:
    return Upstream(raw["home"], raw["commit"], raw["version"], float(raw["settings_version"]))


def _size_class(raw: Mapping[str, Any]) -> SizeClass:
    sizes = {}
    for aspect in ASPECTS:
        width, height = raw[aspect]
        if width % 16 or height % 16 or width <= 0 or height <= 0:
            raise _Broken(f"{width}x{height} is not made of blocks of 16 pixels")
        sizes[aspect] = (int(width), int(height))
    return SizeClass(int(raw["pixels"]), sizes)


def _model(raw: Mapping[str, Any], common: Mapping[str, Any], sizes: Mapping[str, SizeClass]) -> VideoModel:
    model = VideoModel(
        name=raw["name"],
        title=raw["title"],
        drive=_one_of(raw["drive"], DRIVES),
        types=_types(raw["model_type"]),
        types_720p=_types(raw["model_type_720p"] or {}),
        sizes=sizes,
        fps=int(raw["fps"]),
        frame_step=int(raw["frame_step"]),
        frame_offset=int(raw["frame_offset"]),
        frames_min=int(raw["frames_min"]),
        frames_max_part=int(raw["frames_max_part"]),
        portrait=_one_of(raw["portrait"], PORTRAITS),
        continues=_one_of(raw["continues"], CONTINUES),
        window=_window(raw["window"]),
        prompt=raw["prompt"],
        prompt_two=raw["prompt_two"],
        rungs=tuple(_rung(rung) for rung in raw["rungs"]),
        settings={**common, **raw["settings"]},
    )
    _check(model)
    return model


def _check(model: VideoModel) -> None:
    """What the planning relies on."""
    if 1 not in model.types or not model.fps > 0:
        raise _Broken(f"{model.name}: no model type for one speaker, or no frame rate")
    if model.frames_max_part < model.fps:
        raise _Broken(f"{model.name}: parts of less than a second")
    if model.drive == "speech" and (model.portrait == "none" or not model.prompt):
        raise _Broken(f"{model.name}: a talking model without a portrait or a prompt")
    if model.two_speakers and not model.prompt_two:
        raise _Broken(f"{model.name}: no prompt for two speakers")
    if model.continues == "video" and model.window is None:
        raise _Broken(f"{model.name}: continues a video without a window")
    if model.window is not None and (
        model.settings["sliding_window_size"] != model.window.size
        or model.settings["sliding_window_overlap"] != model.window.overlap
        or model.settings["sliding_window_discard_last_frames"] != model.window.discard
    ):
        raise _Broken(f"{model.name}: the window and the settings disagree")
    for rung in model.rungs:
        if rung.code == "window" and model.window is not None and model.window.fixed:
            raise _Broken(f"{model.name}: a fixed window cannot be made shorter")


def _types(raw: Mapping[str, str]) -> dict[int, str]:
    types = {int(speakers): name for speakers, name in raw.items()}
    if not set(types) <= {1, 2}:
        raise _Broken(f"unknown numbers of speakers: {sorted(types)}")
    return types


def _window(raw: Mapping[str, Any] | None) -> Window | None:
    if raw is None:
        return None
    return Window(int(raw["size"]), int(raw["overlap"]), int(raw["discard"]), bool(raw["fixed"]))


def _rung(raw: Mapping[str, Any]) -> Rung:
    scale = float(raw.get("scale", 1.0))
    if not 0.25 <= scale <= 1.0 or not raw["change"]:
        raise _Broken(f"the rung {raw!r}")
    shorter = raw.get("frames_max_part")
    return Rung(
        code=_one_of(raw["code"], RUNG_CODES),
        change=raw["change"],
        settings=dict(raw.get("settings", {})),
        scale=scale,
        frames_max_part=None if shorter is None else int(shorter),
    )


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _Broken(f"{value!r} is none of {', '.join(allowed)}")
    return str(value)
