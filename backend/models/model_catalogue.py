"""What can be downloaded: the entries of `assets/catalogue/*.json`. Pure types, no I/O.

One file of JSON per model, its name is the id. Sizes and hashes are pinned where they are known; a file of a hub
that has no pinned hash is held to the hash that the hub itself states for it, and the result says so.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MODEL_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}[a-z0-9]", re.ASCII)
# Of each part of a path; Windows refuses more than this list does, and `..` cannot be written with it.
_PATH_PART = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,127}", re.ASCII)
# Names that Windows keeps for devices, with any extension.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)
MAX_PATH_PARTS = 8
# Folders of data/models that the install step fills.
_TAKEN_FOLDERS = frozenset({"kokoro"})

ModelPurpose = Literal["voice", "video", "writing", "listening", "other"]
SourceName = Literal["huggingface", "modelscope", "url"]


def _checked_path(value: str) -> str:
    """`a/b.bin`: relative, forward slashes, nothing that any system reads as more than a name."""
    parts = value.split("/")
    if len(parts) > MAX_PATH_PARTS:
        raise ValueError("too many folders")
    for part in parts:
        if not _PATH_PART.fullmatch(part) or part.endswith(".") or part.split(".")[0].lower() in _DEVICES:
            raise ValueError(f"{part!r} is not a file name that works everywhere")
        if part.endswith((".part", ".verified")):
            raise ValueError("names ending with .part and .verified are the service's own")
    return value


def _checked_repo(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", value, re.ASCII) or ".." in value:
        raise ValueError("a repository is owner/name")
    return value


def _checked_revision(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}", value, re.ASCII) or ".." in value:
        raise ValueError("a revision is a commit, a tag or a branch")
    return value


def _checked_hub_path(value: str) -> str:
    """A path inside a hub's repository: it becomes part of an address only, and is quoted there."""
    if not value or value.startswith("/") or any(part in ("", ".", "..") for part in value.split("/")):
        raise ValueError("a path inside a repository is relative and has no empty parts")
    return value


def _checked_url(value: str) -> str:
    if not re.fullmatch(r"https://[^\s@#]+", value):
        raise ValueError("an address begins with https:// and holds no user name")
    return value


RelativePath = Annotated[str, AfterValidator(_checked_path), Field(max_length=300)]
Repo = Annotated[str, AfterValidator(_checked_repo)]
Revision = Annotated[str, AfterValidator(_checked_revision)]
HubPath = Annotated[str, AfterValidator(_checked_hub_path), Field(max_length=300)]
HttpsUrl = Annotated[str, AfterValidator(_checked_url), Field(max_length=500)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    """A word that is not known is a mistake of whoever wrote the entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HubPlace(_Strict):
    """Where a file lies on a hub. `revision` should be a commit: then the hub cannot change it."""

    repo: Repo
    revision: Revision = "main"
    path: HubPath | None = None  # of the file's own when it has the same


class FileSources(_Strict):
    """The places of one file. Those of the entry hold for every file that names none of that kind."""

    huggingface: HubPlace | None = None
    modelscope: HubPlace | None = None
    url: HttpsUrl | None = None


class CatalogueFile(_Strict):
    """One file. `bytes` exact, or null with `about_bytes`; `sha256` null: the hub's own is asked for."""

    path: RelativePath
    bytes: int | None = Field(None, ge=1, le=1 << 40)
    about_bytes: int | None = Field(None, ge=1, le=1 << 40)
    sha256: Sha256 | None = None
    sources: FileSources = FileSources()

    @model_validator(mode="after")
    def _known_well_enough(self) -> CatalogueFile:
        if self.bytes is None and self.about_bytes is None:
            raise ValueError(f"{self.path}: bytes, or about_bytes while the size is not known")
        if self.sha256 is not None and self.bytes is None:
            raise ValueError(f"{self.path}: whoever knows the hash knows the size")
        return self

    @property
    def expected_bytes(self) -> int:
        """For sums and for the look at the disk."""
        return self.bytes or self.about_bytes or 0


class CatalogueModel(_Strict):
    """One model: what it is for, whose, under which licence, and its files."""

    id: str = Field(pattern=rf"^{MODEL_ID.pattern}$")
    name_en: str = Field(min_length=1, max_length=100)
    name_zh: str = Field(min_length=1, max_length=100)
    purpose: ModelPurpose
    # The engine that needs it (voxcpm, moss_nano, writer, listen, wan2gp, ...).
    engine: str = Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")
    licence: str = Field(min_length=1, max_length=60)
    licence_url: HttpsUrl
    # Folder below data/models. Entries of one engine may share one: a file of the same path is then one file.
    folder: str = Field("", max_length=64)
    # Ids of entries that must be here too before this one is of use; whoever fetches this one fetches them.
    requires: tuple[str, ...] = Field((), max_length=8)
    sources: FileSources = FileSources()
    files: tuple[CatalogueFile, ...] = Field(min_length=1, max_length=500)
    note: str = Field("", max_length=500)

    @model_validator(mode="before")
    @classmethod
    def _own_folder(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("folder"):
            return {**data, "folder": data.get("id", "")}
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> CatalogueModel:
        if not MODEL_ID.fullmatch(self.folder) or self.folder.split(".")[0] in _DEVICES | _TAKEN_FOLDERS:
            raise ValueError("folder is written like an id, and is nobody else's")
        names = [file.path.lower() for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError("a path stands there twice (upper and lower case are the same on Windows)")
        for file in self.files:
            places = self.places(file)
            if places == FileSources():
                raise ValueError(f"{file.path}: no source")
            if file.sha256 is None and places.huggingface is None and places.modelscope is None:
                raise ValueError(f"{file.path}: a plain address needs a pinned sha256")
        return self

    def places(self, file: CatalogueFile) -> FileSources:
        """Where `file` lies, with the entry's places filled in and each path written out.

        An entry's own `url` is a folder: the path of the file is put after it.
        """

        def hub(own: HubPlace | None, common: HubPlace | None) -> HubPlace | None:
            place = own or common
            if place is None:
                return None
            if own is None and place.path is not None:  # the entry's path is a folder of the repository
                return place.model_copy(update={"path": f"{place.path}/{file.path}"})
            return place.model_copy(update={"path": place.path or file.path})

        url = file.sources.url
        if url is None and self.sources.url is not None:
            url = f"{self.sources.url.rstrip('/')}/{file.path}"
        return FileSources(
            huggingface=hub(file.sources.huggingface, self.sources.huggingface),
            modelscope=hub(file.sources.modelscope, self.sources.modelscope),
            url=url,
        )

    @property
    def expected_bytes(self) -> int:
        return sum(file.expected_bytes for file in self.files)
