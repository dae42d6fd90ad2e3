"""What Wan2GP can be asked for, as the service sees it, and which model a job gets. Service process side; pure.

Flow: assets/wan2gp/models.json (the worker reads the same file) -> typed models -> the choice for one job. Which weights
lie on the disk and how large the card is come from the caller.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure

TABLE_PATH = Path("wan2gp", "models.json")
TABLE_VERSION = 1
# What speaks best, by what upstream itself recommends and by what each was trained for; the first that is here is taken
# when nobody names one. Models driven by text see neither portrait nor speech, so they are only ever named.
BEST_FIRST = (
    "LongCat Avatar 1.5",
    "InfiniteTalk (Wan2GP)",
    "Wan Multitalk",
    "Hunyuan Avatar",
    "Fantasy",
)


@dataclass(frozen=True)
class Upstream:
    """Whose work it is, and the state of it for which the table was made."""

    home: str
    commit: str
    version: str


@dataclass(frozen=True)
class Wan2GPModel:
    """One value of `wangp_model`. `rungs`: what each step down the ladder changes, in words."""

    name: str
    title: str
    drive: Literal["speech", "text"]
    catalogue: tuple[str, ...]
    catalogue_two: tuple[str, ...]
    catalogue_720p: tuple[str, ...]
    min_vram_mib: int
    table_s_per_video_s: Mapping[str, float]
    rungs: tuple[str, ...]
    licence: str
    licence_url: str

    @property
    def two_speakers(self) -> bool:
        """Whether two people in one picture can speak in turns."""
        return bool(self.catalogue_two)

    def needs(self, speakers: int, resolution: str) -> tuple[str, ...]:
        """Entries of the catalogue of models that must be here; empty when it cannot do so many speakers."""
        if speakers == 2 and not self.two_speakers:
            return ()
        if resolution == "720p" and self.catalogue_720p:
            return self.catalogue_720p
        return self.catalogue_two if speakers == 2 else self.catalogue


class Wan2GPModels:
    """The table. `all` in its order."""

    def __init__(self, upstream: Upstream, models: tuple[Wan2GPModel, ...]) -> None:
        """Raises ValueError when two models have one name."""
        self.upstream = upstream
        self.all = models
        self._by_name = {model.name: model for model in models}
        if len(self._by_name) != len(models):
            raise ValueError("two models of Wan2GP have the same name")

    def get(self, name: str) -> Wan2GPModel | None:
        return self._by_name.get(name)

    def any_ready(self, has_weights: Callable[[str], bool]) -> bool:
        """Whether the weights of at least one model are here, for one speaker at least."""
        look = functools.cache(has_weights)
        return any(_is_here(model, 1, resolution, look) for model in self.all for resolution in _SIZES)

    def choose(
        self,
        named: str | None,
        *,
        speakers: int,
        resolution: str,
        has_weights: Callable[[str], bool],
        largest_mib: int | None,
    ) -> Wan2GPModel:
        """The model of a job: the one that was named, else the best audio-driven one that is here and fits the card.

        `speakers` is 1 or 2, `has_weights` looks for an entry of the catalogue, `largest_mib` is the memory of the
        largest card, None when unknown. Raises EngineFailure: `model_missing`, or `engine_unavailable` for two speakers
        with a model that knows one.
        """
        # One entry serves several models, and each look costs some calls of the disk.
        has_weights = functools.cache(has_weights)
        if named is not None:
            return self._named(named, speakers, resolution, has_weights)
        able = [
            model for name in BEST_FIRST if (model := self.get(name)) and model.needs(speakers, resolution)
        ]
        here = [model for model in able if _is_here(model, speakers, resolution, has_weights)]
        if not here:
            best = able[0] if able else None
            raise EngineFailure(
                ErrorCode.MODEL_MISSING,
                "No model of Wan2GP that can speak"
                f"{' for two people' if speakers == 2 else ''} at {resolution} is on this computer.",
                hint=_how_to_fetch(best.needs(speakers, resolution), has_weights) if best else None,
            )
        fitting = [model for model in here if largest_mib is None or model.min_vram_mib <= largest_mib]
        # None fits: the least demanding one may still do it, a step down the ladder.
        return fitting[0] if fitting else min(here, key=lambda model: model.min_vram_mib)

    def _named(
        self, name: str, speakers: int, resolution: str, has_weights: Callable[[str], bool]
    ) -> Wan2GPModel:
        model = self.get(name)
        if model is None:
            raise EngineFailure(
                ErrorCode.MODEL_MISSING,
                f"This release has no model {name} of Wan2GP.",
                hint=f"Name one of {', '.join(known.name for known in self.all)}.",
            )
        if speakers == 2 and not model.two_speakers:
            able = ", ".join(other.name for other in self.all if other.two_speakers)
            raise EngineFailure(
                ErrorCode.ENGINE_UNAVAILABLE,
                f"The model {name} animates one speaker only.",
                hint=f"For two speakers choose one of {able}, or leave the model open.",
            )
        if not _is_here(model, speakers, resolution, has_weights):
            raise EngineFailure(
                ErrorCode.MODEL_MISSING,
                f"The model {name} is not on this computer.",
                hint=_how_to_fetch(model.needs(speakers, resolution), has_weights),
            )
        return model


_SIZES = ("512p", "720p")


def load_wan2gp_models(assets_dir: Path) -> Wan2GPModels:
    """Read the table. Raises OSError or ValueError when the installation is damaged."""
    path = assets_dir / TABLE_PATH
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["version"] != TABLE_VERSION:
            raise ValueError(f"version {raw['version']!r}")
        upstream = raw["upstream"]
        return Wan2GPModels(
            Upstream(str(upstream["home"]), str(upstream["commit"]), str(upstream["version"])),
            tuple(_model(entry) for entry in raw["video"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a table of models: {type(error).__name__}: {error}") from error


def _model(raw: Mapping[str, Any]) -> Wan2GPModel:
    if raw["drive"] not in ("speech", "text"):
        raise ValueError(f"{raw['name']}: driven by {raw['drive']!r}")
    return Wan2GPModel(
        name=str(raw["name"]),
        title=str(raw["title"]),
        drive=raw["drive"],
        catalogue=tuple(raw["catalogue"]),
        catalogue_two=tuple(raw["catalogue_two"] or ()),
        catalogue_720p=tuple(raw["catalogue_720p"] or ()),
        min_vram_mib=int(raw["min_vram_mib"]),
        table_s_per_video_s={size: float(seconds) for size, seconds in raw["table_s_per_video_s"].items()},
        rungs=tuple(str(rung["change"]) for rung in raw["rungs"]),
        licence=str(raw["licence"]),
        licence_url=str(raw["licence_url"]),
    )


def _is_here(model: Wan2GPModel, speakers: int, resolution: str, has_weights: Callable[[str], bool]) -> bool:
    needed = model.needs(speakers, resolution)
    return bool(needed) and all(has_weights(model_id) for model_id in needed)


def _how_to_fetch(needed: tuple[str, ...], has_weights: Callable[[str], bool]) -> str:
    missing = [model_id for model_id in needed if not has_weights(model_id)]
    calls = ", ".join(missing)
    return (
        f"Download {calls} in the page under Models, or by POST /api/models/<id>/download; "
        "a damaged file is found there by Verify."
    )
