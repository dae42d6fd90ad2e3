"""Finished parts that outlive an attempt. Runs in the wan2gp worker.

Flow: settings of a part -> fingerprint -> kept file of an earlier attempt, or the file of this one, moved in. A part is
hours of work on a small card: it survives a failed attempt, a crash and a cancel, and is taken again only if everything
that went into it is the same, byte for byte, and the file itself is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.file_hash import sha256_of

# Raised when the same settings would give another film: everything kept before is then made anew.
FORMAT = 1
_NAME_DIGITS = 32
_PART_SUFFIX = ".mp4"
_NOTE_SUFFIX = ".json"
_DRAFT_SUFFIX = ".part"


@dataclass(frozen=True)
class Continued:
    """Where a part goes on: after frame `end` of `file`, of which it sees the last `lead` frames."""

    file: Path
    end: int
    lead: int


class Fingerprints:
    """What went into a part, as one number. Media count by what is in them, wherever they lie."""

    def __init__(self, upstream: str) -> None:
        """`upstream`: the state of upstream that draws."""
        self._upstream = upstream
        self._known: dict[Path, str] = {}

    def of(self, settings: Mapping[str, Any], media: Sequence[str], continued: Continued | None) -> str:
        """`media` names the settings that are paths; `continued` is where a chained part goes on."""
        content = {
            name: self._by_content(value) if name in media else value for name, value in settings.items()
        }
        goes_on = None
        if continued is not None:
            goes_on = [self.of_file(continued.file), continued.end, continued.lead]
        text = json.dumps(
            {"format": FORMAT, "upstream": self._upstream, "settings": content, "continued": goes_on},
            sort_keys=True,
            ensure_ascii=True,
        )
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def of_file(self, path: Path) -> str:
        """The SHA-256 of a file; read once, since nothing changes these files while a task runs."""
        if path not in self._known:
            self._known[path] = sha256_of(path)
        return self._known[path]

    def _by_content(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._by_content(one) for one in value]
        return None if value in (None, "") else self.of_file(Path(value))


class KeptParts:
    """The finished parts below one folder, each with a note of what its file must be."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder if need be and removes what a killed worker left half written."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        for draft in folder.glob(f"*{_DRAFT_SUFFIX}"):
            draft.unlink(missing_ok=True)

    def find(self, fingerprint: str) -> Path | None:
        """The kept file, if it is there and whole; a damaged one is removed."""
        path, note = self._paths(fingerprint)
        try:
            expected = json.loads(note.read_text(encoding="utf-8"))
            is_whole = isinstance(expected, dict) and expected.get("sha256") == sha256_of(path)
        except FileNotFoundError:
            return None
        except ValueError:
            is_whole = False
        if is_whole:
            return path
        note.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return None

    def keep(self, fingerprint: str, made: Path) -> Path:
        """Move `made` in. The note comes last: without it the file does not count. Raises OSError."""
        path, note = self._paths(fingerprint)
        draft = path.with_suffix(_DRAFT_SUFFIX)
        shutil.copyfile(made, draft)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        digest = sha256_of(draft)
        draft.replace(path)
        note_draft = note.with_name(note.name + _DRAFT_SUFFIX)
        note_draft.write_text(json.dumps({"sha256": digest}), encoding="utf-8")
        note_draft.replace(note)
        made.unlink()
        return path

    def _paths(self, fingerprint: str) -> tuple[Path, Path]:
        stem = f"part-{fingerprint[:_NAME_DIGITS]}"
        return self._folder / f"{stem}{_PART_SUFFIX}", self._folder / f"{stem}{_NOTE_SUFFIX}"
