"""What the store returns of the library of videos: folders, drafts of what is typed, and what a list is limited to.

Runs in the service process; no I/O. Times end in `_at` and are ms since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.models.codes import JobStatus

# In place of a folder's id: jobs that lie in none.
NO_FOLDER: Final = ""


@dataclass(frozen=True)
class JobFilter:
    """Which jobs a list shows; None leaves a field open.

    `q` is a part of the title, the script or the id, in any case and width. `folder_id` may be NO_FOLDER.
    `draft`: made by the draft engine. `voice_id`: a voice that speaks in the job, also beside another one.
    """

    statuses: tuple[JobStatus, ...] | None = None
    engine: str | None = None
    batch_id: str | None = None
    owner: str | None = None
    q: str | None = None
    starred: bool | None = None
    folder_id: str | None = None
    draft: bool | None = None
    voice_id: str | None = None


@dataclass(frozen=True)
class JobChange:
    """What a person changes of a job; None leaves it. `folder_id` counts only with `moves`; None is then no folder."""

    priority: int | None = None
    title: str | None = None
    starred: bool | None = None
    moves: bool = False
    folder_id: str | None = None


@dataclass(frozen=True)
class FolderRecord:
    """A folder, and how many jobs that are not deleted lie in it."""

    folder_id: str
    name: str
    jobs: int
    created_at: int


@dataclass(frozen=True)
class DraftHead:
    """A draft without its body."""

    name: str
    revision: int
    saved_at: int


@dataclass(frozen=True)
class DraftRecord:
    """What a page keeps of unfinished work. `revision` counts the times it was saved, from 1."""

    name: str
    body: Mapping[str, Any]
    revision: int
    saved_at: int
