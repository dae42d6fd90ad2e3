"""Finished parts of videos that are not done yet: data/checkpoints/<job>/<engine>/. Runs in the service process.

An engine puts there what it need not make twice. The folder outlives a failed attempt, a crash and a cancel; a retry
takes it over; it goes with the success or the deletion of its job, and by retention. No rows: the name is the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backend.models.batch_records import Usage
from backend.storage.blobs import make_folder, run_on_thread
from backend.utils.logger import app_logger

# Only names that this service makes are touched.
_JOB = re.compile(r"job_[a-z0-9]{8,32}")
_ENGINE = re.compile(r"[a-z][a-z0-9_]{1,31}")


@dataclass(frozen=True)
class JobParts:
    """What one job has lying there."""

    job_id: str
    usage: Usage


class Checkpoints:
    """Folders by job and engine. Every method works on a thread and may be called at any time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # Opening and taking over must not cross: a retry may be claimed while the request that made it still runs.
        self._lock = asyncio.Lock()

    async def open(self, job_id: str, engine: str, *, retry_of: str | None = None) -> Path:
        """The engine's folder of a job, made when it is missing, with what the job before (`retry_of`) left."""
        async with self._lock:
            if retry_of is not None:
                await run_on_thread(lambda: self._take_over(retry_of, job_id))
            return await run_on_thread(lambda: self._make(job_id, engine))

    async def take_over(self, from_job: str, to_job: str) -> None:
        """Give the parts of an ended job to the one that repeats it. What the new one has already stays."""
        async with self._lock:
            await run_on_thread(lambda: self._take_over(from_job, to_job))

    async def tidy(self, job_id: str) -> None:
        """Remove the folders of a job in which nothing was left."""
        async with self._lock:
            await run_on_thread(lambda: self._drop_empty(self._folder(job_id)))

    async def drop(self, job_id: str) -> Usage:
        """Remove all parts of a job; returns what went."""
        async with self._lock:
            return await run_on_thread(lambda: self._drop(job_id))

    async def all(self) -> tuple[JobParts, ...]:
        """Every job that has parts, those that were written to last come last."""
        return await run_on_thread(self._list)

    # -- on a thread -------------------------------------------------------------------------------
    def _folder(self, job_id: str) -> Path:
        if not _JOB.fullmatch(job_id):
            raise ValueError(f"{job_id!r} is not the id of a job")
        return self._root / job_id

    def _make(self, job_id: str, engine: str) -> Path:
        if not _ENGINE.fullmatch(engine):
            raise ValueError(f"{engine!r} cannot name a folder")
        folder = self._folder(job_id) / engine
        make_folder(folder)
        return folder

    def _take_over(self, from_job: str, to_job: str) -> None:
        source, target = self._folder(from_job), self._folder(to_job)
        for engine in _folders(source):
            place = target / engine
            make_folder(target)
            with contextlib.suppress(OSError):
                # An empty folder may make way; a filled one refuses and keeps what the new job has.
                place.rmdir()
            if place.exists():
                continue
            try:
                (source / engine).replace(place)
            except OSError as error:
                # The parts are made again; the retry itself has lost nothing.
                app_logger.warning("the parts of %s could not be taken over: %s", from_job, error)
        self._drop_empty(source)

    @staticmethod
    def _drop_empty(folder: Path) -> None:
        for path in (*(folder / name for name in _folders(folder)), folder):
            # A folder that is not empty refuses, and that is the check.
            with contextlib.suppress(OSError):
                path.rmdir()

    def _drop(self, job_id: str) -> Usage:
        folder = self._folder(job_id)
        before = _usage(folder)
        shutil.rmtree(folder, ignore_errors=True)
        left = _usage(folder)
        if left.count:
            app_logger.warning("%d parts of %s cannot be deleted yet", left.count, job_id)
        return Usage(before.count - left.count, before.size_bytes - left.size_bytes)

    def _list(self) -> tuple[JobParts, ...]:
        jobs = [name for name in _folders(self._root) if _JOB.fullmatch(name)]
        found = [(_newest(self._root / name), JobParts(name, _usage(self._root / name))) for name in jobs]
        return tuple(parts for _, parts in sorted(found, key=lambda item: item[0]))


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _files(folder: Path) -> Iterable[os.stat_result]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # its owner was faster
                yield (Path(parent) / name).lstat()


def _usage(folder: Path) -> Usage:
    sizes = [found.st_size for found in _files(folder)]
    return Usage(len(sizes), sum(sizes))


def _newest(folder: Path) -> float:
    return max((found.st_mtime for found in _files(folder)), default=0.0)
