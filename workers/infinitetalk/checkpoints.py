"""Finished windows that outlive an attempt. Runs in the InfiniteTalk worker.

Flow: everything that went into a film -> fingerprint -> folder of its windows below `checkpoint_dir`. A
window is a video segment; beside the newest ones lies what the next window needs of it: the last MOTION
frames (3, 9, H, W) fp32 as they were before they were encoded, the colours to match, and the state of the
random numbers where the rule has one. So a film that goes on after a crash, a cancel or an OOM is the same
to the bit as one that was made in one go, if the rest of the arithmetic is.

    <checkpoint_dir>/film-<fingerprint>/window-000007.h264 / .safetensors / .json

The note (`.json`) comes last and holds the SHA-256 of the others: without it, or when they differ, the
window does not count, nor does any that follows. Where the weights lay is not in the fingerprint: a film
may go on with less memory, and keeps what it has.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.file_hash import sha256_of

# Raised when the same settings would give another film: everything kept before is then made anew.
FORMAT = 2
# How many windows keep their tensors (44 MB each at 640 x 640): the newest, and the one before it in
# case the newest is damaged. All of them would be tens of gigabytes an hour of film.
TENSORS_KEPT = 2
_NAME_DIGITS = 32
_SEGMENT, _TENSORS, _NOTE, _DRAFT = ".h264", ".safetensors", ".json", ".part"


@dataclass(frozen=True)
class Kept:
    """One finished window."""

    index: int
    segment: Path
    frames: int


@dataclass(frozen=True)
class Resume:
    """Where a film goes on: windows that are done, and the tensors for the next (None: nothing is)."""

    windows: tuple[Kept, ...]
    tensors: Mapping[str, Any] | None

    @property
    def frames(self) -> int:
        return sum(window.frames for window in self.windows)


def fingerprint(settings: Mapping[str, Any], media: Mapping[str, Path]) -> str:
    """All that makes a film what it is. Media count by what is in them, wherever they lie. Raises OSError."""
    text = json.dumps(
        {
            "format": FORMAT,
            "settings": settings,
            "media": {name: sha256_of(path) for name, path in media.items()},
        },
        sort_keys=True,
        ensure_ascii=True,
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class KeptWindows:
    """The finished windows of one film."""

    def __init__(self, folder: Path, film: str) -> None:
        """`film`: its fingerprint. Makes the folder and removes what a killed worker left half written."""
        self._folder = folder / f"film-{film[:_NAME_DIGITS]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        for draft in self._folder.glob(f"*{_DRAFT}"):
            draft.unlink(missing_ok=True)

    def resume(self, check: Callable[[], None]) -> Resume:
        """What is done, whole and without a gap; what follows a gap is removed. Raises OSError.

        Ends with the newest window whose tensors are there too: without them nothing can follow it,
        unless it is the last of the film.
        """
        done: list[tuple[Kept, dict[str, Any]]] = []
        while (found := self._window(len(done), check)) is not None:
            done.append(found)
        tensors = None
        while done:
            kept, note = done[-1]
            if note["last"]:
                break
            tensors = self._tensors(kept.index, note["tensors"])
            if tensors is not None:
                break
            done.pop()
        for note_path in self._folder.glob(f"*{_NOTE}"):
            if int(note_path.stem.split("-")[-1]) >= len(done):
                self._remove(int(note_path.stem.split("-")[-1]))
        return Resume(tuple(kept for kept, _ in done), tensors)

    def segment(self, index: int) -> Path:
        """Where the segment of a window is to be written, before `keep`."""
        return self._path(index, _SEGMENT)

    def keep(self, index: int, frames: int, tensors: Mapping[str, Any] | None) -> Kept:
        """The segment is written: this window is done. `tensors` None: it is the last. Raises OSError."""
        from safetensors.torch import save_file

        note: dict[str, Any] = {
            "frames": frames,
            "last": tensors is None,
            "segment": sha256_of(self.segment(index)),
            "tensors": None,
        }
        if tensors is not None:
            path = self._path(index, _TENSORS)
            draft = path.with_name(path.name + _DRAFT)
            save_file(dict(tensors), draft)
            _settle(draft)
            note["tensors"] = sha256_of(draft)
            draft.replace(path)
        path = self._path(index, _NOTE)
        draft = path.with_name(path.name + _DRAFT)
        draft.write_text(json.dumps(note), encoding="ascii")
        _settle(draft)
        draft.replace(path)
        self._path(index - TENSORS_KEPT, _TENSORS).unlink(missing_ok=True)
        return Kept(index, self.segment(index), frames)

    def _window(self, index: int, check: Callable[[], None]) -> tuple[Kept, dict[str, Any]] | None:
        check()
        segment = self.segment(index)
        try:
            note = json.loads(self._path(index, _NOTE).read_text(encoding="ascii"))
            if (
                isinstance(note, dict)
                and note.keys() >= {"frames", "last", "segment", "tensors"}
                and note["segment"] == sha256_of(segment)
            ):
                return Kept(index, segment, int(note["frames"])), note
        except (FileNotFoundError, ValueError):
            return None
        return None

    def _tensors(self, index: int, digest: str | None) -> Mapping[str, Any] | None:
        from safetensors.torch import load_file

        path = self._path(index, _TENSORS)
        if not path.is_file() or sha256_of(path) != digest:
            return None
        loaded: Mapping[str, Any] = load_file(path)
        return loaded

    def _remove(self, index: int) -> None:
        for suffix in (_NOTE, _TENSORS, _SEGMENT):
            self._path(index, suffix).unlink(missing_ok=True)

    def _path(self, index: int, suffix: str) -> Path:
        return self._folder / f"window-{index:06d}{suffix}"


def _settle(path: Path) -> None:
    """What is called done must survive a loss of power."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
