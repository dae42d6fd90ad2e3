"""Where the weights are, and which are missing. Runs in the InfiniteTalk worker; reads names and headers only.

    <models>/infinitetalk/base/           Wan2.1-I2V-14B: one file, shards, or a diffusers directory
                         /single/, multi/ the InfiniteTalk adapter for one and for two speakers
                         /text_encoder/   umT5-XXL and its tokenizer
                         /image_encoder/  CLIP-H, the vision tower
                         /vae/            Wan2.1's VAE
                         /wav2vec2/       chinese-wav2vec2-base
                         /lightx2v/, fusionx/  the LoRAs of the presets
                         /t2v_1_3b/, t2v_14b/  Wan2.1's text-to-video transformers

Every folder holds one model in any of its published formats; `weights/formats.py` looks into the files.
`base/model.json` is there only beside models of other dimensions, such as the self-test's: `transformer`
(fields of `ModelConfig`), `window`, `motion` and `sides` (picture sizes [[height, width], …] by "480").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.handler import TaskError
from workers.infinitetalk.config import BUCKETS, MOTION, WINDOW, ModelConfig

FOLDER = "infinitetalk"
_DESCRIPTION = "model.json"
_SAFETENSORS = ".safetensors"
_WEIGHTS = (_SAFETENSORS, ".gguf", ".pth", ".pt", ".bin")
# Role -> entry of the product's catalogue that brings it.
CATALOGUE = {
    "base": "infinitetalk-base",
    "single": "infinitetalk-single",
    "multi": "infinitetalk-multi",
    "text_encoder": "infinitetalk-encoders",
    "image_encoder": "infinitetalk-encoders",
    "vae": "infinitetalk-encoders",
    "wav2vec2": "infinitetalk-encoders",
    "lightx2v": "infinitetalk-lightx2v",
    "fusionx": "infinitetalk-fusionx",
    "t2v_1_3b": "infinitetalk-t2v-1.3b",
    "t2v_14b": "infinitetalk-t2v-14b",
}
# The same for who has the transformer in 16 bits.
CATALOGUE_FULL = {
    **CATALOGUE,
    "base": "infinitetalk-bf16",
    "single": "infinitetalk-bf16",
    "multi": "infinitetalk-multi-bf16",
}
# Parts of the transformer: their format says which set of the catalogue somebody has.
_HALVES = ("base", "single", "multi")
ALWAYS = ("base", "text_encoder", "image_encoder", "vae", "wav2vec2")


@dataclass(frozen=True)
class Description:
    """Dimensions of the network, and of the films it makes."""

    config: ModelConfig = field(default_factory=ModelConfig.full)
    window: int = WINDOW
    motion: int = MOTION
    sides: Mapping[int, tuple[tuple[int, int], ...]] | None = None

    @property
    def is_full(self) -> bool:
        return self.config == ModelConfig.full()

    def size(self, ratio: float, resolution: int) -> tuple[int, int]:
        """Height and width in pixels for a picture of this height / width."""
        if self.sides is None:
            table = BUCKETS[resolution]
            return table[min(table, key=lambda key: abs(key - ratio))]
        return min(self.sides[resolution], key=lambda size: abs(size[0] / size[1] - ratio))


class ModelFolder:
    """The folder of the engine below the product's models."""

    def __init__(self, models_dir: Path) -> None:
        self.root = models_dir / FOLDER

    def require(self, roles: tuple[str, ...], *, entry: str | None = None) -> None:
        """Raises TaskError(model_missing) that names what to download, of the set that is partly there.

        `entry`: the one entry of the catalogue that brings all of them.
        """
        absent = [role for role in roles if not self.files(role)]
        if not absent:
            return
        catalogue = CATALOGUE_FULL if entry is None and self._is_full() else CATALOGUE
        entries = sorted({entry or catalogue[role] for role in absent})
        raise TaskError(
            "model_missing",
            f"Weights are missing: {', '.join(entries)}. Download them under Models in the page.",
            detail=f"nothing in {', '.join(str(self.root / role) for role in absent)}",
        )

    def _is_full(self) -> bool:
        """Whether the transformer's files that are there have 16 bits or more. Reads headers."""
        # Here, because only the engine's own environment can read them.
        from workers.infinitetalk.weights.formats import precision_of

        there = [role for role in _HALVES if self.files(role)]
        return bool(there) and precision_of(self.path(there[0])) == "full"

    def path(self, role: str) -> Path:
        """What the transformer's loader is given: the folder of safetensors, or the file of another kind."""
        files = self.files(role)
        return self.root / role if files[0].suffix.lower() == _SAFETENSORS else files[0]

    def file(self, role: str) -> Path:
        """The one file of an encoder; safetensors before pickles of the same."""
        return self.files(role)[0]

    def config(self, role: str) -> dict[str, Any] | None:
        """`config.json` beside the weights, None when there is none. Raises TaskError(model_missing)."""
        path = self.root / role / "config.json"
        if not path.is_file():
            return None
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise TaskError(
                "model_missing",
                "A configuration beside the weights cannot be read. Download the model again.",
                detail=f"{path}: {error}",
            ) from error

    def folder(self, role: str) -> Path:
        """Where a role's tokenizer is."""
        return self.root / role

    def files(self, role: str) -> list[Path]:
        """Weight files of a role, also those of a diffusers directory."""
        folder = self.root / role
        found = [*folder.glob("*"), *folder.glob("transformer/*")]
        weights = (path for path in found if path.suffix.lower() in _WEIGHTS and path.is_file())
        return sorted(weights, key=lambda path: (path.suffix.lower() != _SAFETENSORS, path))

    def identity(self, roles: tuple[str, ...]) -> dict[str, Any]:
        """Names and sizes of the files: other weights make another film. Hashing them would take minutes."""
        return {role: [[path.name, path.stat().st_size] for path in self.files(role)] for role in roles}

    def description(self) -> Description:
        """Raises TaskError(model_missing) when `model.json` is there and cannot be read."""
        path = self.root / "base" / _DESCRIPTION
        if not path.is_file():
            return Description()
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            sides = given.get("sides")
            return Description(
                config=ModelConfig(**given["transformer"]),
                window=int(given.get("window", WINDOW)),
                motion=int(given.get("motion", MOTION)),
                sides=None if sides is None else _sides(sides),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TaskError(
                "model_missing",
                f"{_DESCRIPTION} beside the weights cannot be read. Remove it or download the model again.",
                detail=f"{path}: {error!r}",
            ) from error


def _sides(given: Mapping[str, Any]) -> dict[int, tuple[tuple[int, int], ...]]:
    sides = {
        int(key): tuple((int(height), int(width)) for height, width in value) for key, value in given.items()
    }
    if set(sides) != set(BUCKETS) or not all(sides.values()):
        raise ValueError(f"sides must be given for {sorted(BUCKETS)}")
    return sides
