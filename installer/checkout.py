"""What lies in an engine's folder of the program that it runs: a user's own copy, or the files that we put there.

Runs in the start script's Python. Our files lie beside the environment, the caches and whatever the program itself
makes, so a list says which they are (`all-in-one-source.json`, written before the first of them is put in place). Only
files of that list are ever replaced or removed, and one that somebody changed is kept under another name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from installer.engines import Upstream
from installer.git_tree import Blob, blob_digest

MANIFEST_NAME = "all-in-one-source.json"
CHANGED_SUFFIX = ".changed"
_BLOCK = 1 << 20
# A file that says its version says it near its top; nobody's file is read to its end for that.
_VERSION_BYTES = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """Our files by path, and the commit that they are. `is_whole`: the last of them is in place."""

    commit: str
    is_whole: bool
    files: Mapping[str, Blob]


def read_manifest(core: Path) -> Manifest | None:
    """The list in `core`; None when there is none or it cannot be read."""
    try:
        data = json.loads((core / MANIFEST_NAME).read_text("utf-8"))
        files = {
            str(path): Blob(str(blob["digest"]), bool(blob["is_executable"]))
            for path, blob in data["files"].items()
        }
        if not all(_is_inside(path) for path in files):
            return None
        return Manifest(str(data["commit"]), bool(data["is_whole"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_manifest(core: Path, manifest: Manifest) -> None:
    """Replace the list in one step."""
    data: dict[str, Any] = {
        "note": "Files of Wan2GP that the installer of All-in-one put here; it replaces and removes no others.",
        "commit": manifest.commit,
        "is_whole": manifest.is_whole,
        "files": {path: asdict(blob) for path, blob in manifest.files.items()},
    }
    fresh = core / (MANIFEST_NAME + ".new")
    fresh.write_text(json.dumps(data, ensure_ascii=False, indent=0), encoding="utf-8")
    fresh.replace(core / MANIFEST_NAME)


def is_own(core: Path, upstream: Upstream) -> bool:
    """Whether a user put the program there: it is used as it is and never changed."""
    return (core / upstream.marker).is_file() and not (core / MANIFEST_NAME).exists()


def version_of(core: Path, upstream: Upstream) -> str | None:
    """The version that the program in `core` says it is."""
    try:
        with (core / upstream.marker).open("rb") as file:
            text = file.read(_VERSION_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(upstream.version_pattern, text, re.MULTILINE)
    return found[1] if found else None


def damaged(core: Path, files: Mapping[str, Blob]) -> Iterator[str]:
    """The paths of `files` that are gone or not what was put there."""
    for path, blob in files.items():
        if file_id(core / path) != blob.digest:
            yield path


def file_id(path: Path) -> str | None:
    """git's id of a file; None when it is not there, not a file of its own, or cannot be read."""
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            digest = blob_digest(path.stat().st_size)
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def foreign(core: Path, files: Mapping[str, Blob], ours: Mapping[str, Blob]) -> list[str]:
    """What stands where `files` go and was not put there by us: other files, and links instead of folders."""
    found = []
    folders: dict[str, bool] = {}
    for path, blob in files.items():
        if path not in ours and (core / path).exists() and file_id(core / path) != blob.digest:
            found.append(path)
        for folder in list(PurePosixPath(path).parents)[:-1]:
            name = str(folder)
            if name not in folders:
                folders[name] = _is_in_the_way(core / name)
    return sorted({*found, *(name for name, is_there in folders.items() if is_there)})


def put_in_place(core: Path, staged: Path, manifest: Manifest, old: Mapping[str, Blob]) -> list[str]:
    """Move the files of `manifest` from `staged` into `core`, and remove those of `old` that are in it no more.

    Returns the changed files that were kept under another name. The list is written first: a run that is cut short
    leaves files that the next one knows as ours.
    """
    write_manifest(core, Manifest(manifest.commit, False, {**manifest.files, **old}))
    kept = [
        path for path, blob in old.items() if _keep_if_changed(core / path, blob, manifest.files.get(path))
    ]
    for path in manifest.files:
        target = core / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (staged / path).replace(target)
    for path in old.keys() - manifest.files.keys():
        (core / path).unlink(missing_ok=True)
        _remove_empty(core, PurePosixPath(path))
    write_manifest(core, manifest)
    return kept


def _keep_if_changed(file: Path, before: Blob, after: Blob | None) -> bool:
    there = file_id(file)
    if there is None or there == before.digest or (after is not None and there == after.digest):
        return False
    file.replace(file.with_name(file.name + CHANGED_SUFFIX))
    return True


def _is_in_the_way(folder: Path) -> bool:
    return folder.is_symlink() or (folder.exists() and not folder.is_dir())


def _remove_empty(core: Path, path: PurePosixPath) -> None:
    """Remove the folders of a removed file as far as nothing is left in them."""
    for folder in list(path.parents)[:-1]:
        place = core / folder
        if not place.is_dir() or any(place.iterdir()):
            return
        place.rmdir()


def _is_inside(path: str) -> bool:
    """Whether a path of the list stays in the folder: the list is a file that anybody can edit."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") and "\\" not in part and ":" not in part for part in parts)
