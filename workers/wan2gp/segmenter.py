"""The Chinese word list that Chatterbox wants at every start. Runs in the wan2gp worker.

Upstream's Chatterbox makes a segmenter of the package spacy_pkuseg when it loads, for every language, and that package
fetches its list from GitHub when it does not lie in its home. This worker fetches nothing by the way: the list comes
with the model's weights (`pkuseg/spacy_ontonotes.zip`), is unpacked once into the cache and named by PKUSEG_HOME. Without it the
package is kept from loading, which upstream is prepared for: Chinese is then spoken without word boundaries.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from workers.handler import TaskContext, TaskError, WorkerSetup

MODEL_TYPE = "chatterbox"
PACKAGE = "spacy_pkuseg"
LIST = "spacy_ontonotes"
ARCHIVE = Path("pkuseg") / f"{LIST}.zip"
# The list unpacked is about 100 MB; more than this is something else.
_MAX_BYTES = 1 << 30


def provide_segmenter(model_type: str, setup: WorkerSetup, context: TaskContext) -> None:
    """Call before a generation. Raises TaskError(model_missing) for an archive that is damaged."""
    if model_type != MODEL_TYPE or PACKAGE in sys.modules:
        return
    archive = next((path for path in _places(setup) if path.is_file()), None)
    if archive is None:
        context.log(
            "warning", f"{ARCHIVE.as_posix()} is not there: Chinese is spoken without word boundaries."
        )
        sys.modules[PACKAGE] = None  # type: ignore[assignment]  # Python's own way to say "not installed"
        return
    os.environ["PKUSEG_HOME"] = str(unpacked(archive, setup.cache_dir.parent / "wan2gp" / "pkuseg"))


def _places(setup: WorkerSetup) -> list[Path]:
    folders = setup.options.get("checkpoints") or [setup.models_dir / "wan2gp"]
    return [Path(str(folder)) / ARCHIVE for folder in folders]


def unpacked(archive: Path, home: Path) -> Path:
    """A home of the package with the list in it. Raises TaskError(model_missing, disk_full through OSError)."""
    marker = home / archive.name  # the package looks for the archive by its name only
    if marker.exists() and (home / LIST).is_dir():
        return home
    home.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="new-", dir=home))
    try:
        with zipfile.ZipFile(archive) as stream:
            if sum(entry.file_size for entry in stream.infolist()) > _MAX_BYTES:
                raise zipfile.BadZipFile("it is too large")
            stream.extractall(draft)
        try:
            draft.replace(home / LIST)
        except OSError:
            if not (home / LIST).is_dir():  # else another worker was faster
                raise
        marker.touch()
    except zipfile.BadZipFile as error:
        raise TaskError(
            "model_missing",
            "The word list of Chatterbox is damaged. Verify the model “wan2gp-chatterbox” under Models in the page.",
            detail=repr(error),
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return home
