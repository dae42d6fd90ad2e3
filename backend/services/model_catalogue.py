"""Reads `assets/catalogue/*.json`: one file per model, named by its id. Runs in the service process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from backend.models.model_catalogue import CatalogueFile, CatalogueModel


class ModelCatalogue:
    """The entries, in the order of their ids, and who shares a file with whom."""

    def __init__(self, models: Iterable[CatalogueModel]) -> None:
        """Raises ValueError when two entries contradict each other."""
        self._models = {model.id: model for model in sorted(models, key=lambda model: model.id)}
        shared: dict[tuple[str, str], CatalogueFile] = {}
        for model in self._models.values():
            for file in model.files:
                # Lower case: on Windows and macOS both would be the same file.
                other = shared.setdefault((model.folder.lower(), file.path.lower()), file)
                if (other.path, other.bytes, other.sha256) != (file.path, file.bytes, file.sha256):
                    raise ValueError(
                        f"{model.id}: {file.path} is another file in another entry of this folder"
                    )
            for required in model.requires:
                # One level: what is required stands alone.
                if required == model.id or required not in self._models or self._models[required].requires:
                    raise ValueError(f"{model.id}: {required} cannot be required")

    def get(self, model_id: str) -> CatalogueModel | None:
        return self._models.get(model_id)

    def all(self) -> tuple[CatalogueModel, ...]:
        return tuple(self._models.values())

    def sharing(self, model: CatalogueModel, file: CatalogueFile) -> tuple[CatalogueModel, ...]:
        """The other entries that need this very file in the same folder."""
        return tuple(
            other
            for other in self._models.values()
            if other.id != model.id
            and other.folder == model.folder
            and any(theirs.path == file.path for theirs in other.files)
        )

    def requirements(self, model: CatalogueModel) -> tuple[CatalogueModel, ...]:
        """The entries that must be here too."""
        return tuple(self._models[required] for required in model.requires)

    def needing(self, model: CatalogueModel) -> tuple[CatalogueModel, ...]:
        """The entries that are of no use without this one."""
        return tuple(other for other in self._models.values() if model.id in other.requires)


def load_catalogue(folder: Path) -> ModelCatalogue:
    """The entries of a folder. Raises OSError or ValueError when the installation is damaged."""
    models = []
    for path in sorted(folder.glob("*.json")):
        try:
            model = CatalogueModel.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{path.name} is not a catalogue entry: {error}") from error
        if model.id != path.stem:
            raise ValueError(f"{path.name}: the file is named by the id, {model.id!r}")
        models.append(model)
    return ModelCatalogue(models)
