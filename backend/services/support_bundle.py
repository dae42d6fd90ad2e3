"""One file for whoever helps: versions, the system check, settings, logs and how the last jobs went. Service process.

What people made stays at home: no script, title, voice, picture or sound goes in, no key, no password, and of folders
only which of ours it is. Names of voices, portraits and jobs are taken out of the logs, too.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backend.models.job import JobView
from backend.services.doctor import Doctor
from backend.services.job_view import wire_view
from backend.services.log_service import LOG_FILES
from backend.services.page_settings import PageSettings
from backend.services.system_service import SystemService
from backend.storage.store import Store
from backend.utils.redact import Redactor

JOBS = 50
# The end of each log; more would make the file too large for a mail.
LOG_TAIL_BYTES = 1 << 20
# A shorter name may be an ordinary word, and would take it out of every line.
_MIN_NAME_CHARS = 6
_MIN_FOREIGN_NAME_CHARS = 2
_SENTENCE_ENDS = re.compile(r"[.!?。！？\n]+")
_README = """Support file of All-in-one.

Inside: versions and the state of this computer (system.json), the system check (doctor.json), settings without
secrets (settings.json), how the last jobs went (jobs.json), and the ends of the logs (logs/).
Not inside: scripts, titles, names and files of voices and portraits, videos, keys. Look through it before you send it.
"""


class SupportBundle:
    """Packs the file. `redactor` is made anew for each, because secrets may have changed; it is given names to hide."""

    def __init__(
        self,
        *,
        store: Store,
        system: SystemService,
        doctor: Doctor,
        settings: PageSettings,
        logs_dir: Path,
        redactor: Callable[[tuple[str, ...]], Redactor],
    ) -> None:
        self._store = store
        self._system = system
        self._doctor = doctor
        self._settings = settings
        self._logs_dir = logs_dir
        self._redactor = redactor
        # A bundle is a few MiB in memory.
        self._slot = asyncio.Semaphore(1)

    async def pack(self) -> bytes:
        """The ZIP."""
        async with self._slot:
            found = await self._store.jobs.list_page(limit=JOBS)
            jobs = [wire_view(await self._store.jobs.get_view(job.job_id)) for job in found.jobs]
            system = (await self._system.view()).model_dump(mode="json")
            system["data"]["path"] = "data"
            parts = {
                "system.json": system,
                "doctor.json": (await self._doctor.check()).model_dump(mode="json"),
                "settings.json": self._settings.all().model_dump(mode="json"),
                "jobs.json": [_job_facts(job) for job in jobs],
            }
            return await asyncio.to_thread(self._zip, parts, self._redactor(await self._names(jobs)))

    async def _names(self, jobs: list[JobView]) -> tuple[str, ...]:
        """What people called their things."""
        voices = [record.name for record in await self._store.voices.list_all()]
        avatars = [record.name for record in await self._store.avatars.list_all()]
        folders = [record.name for record in await self._store.folders.list_all()]
        titles = [job.title for job in jobs]
        # Portraits and voices are called as their files until somebody renames them.
        stems = [name.rpartition(".")[0] for name in (*voices, *avatars)]
        # As engines print them: sentence by sentence.
        said = [part.strip() for job in jobs for part in _SENTENCE_ENDS.split(job.script_input)]
        found = {name for name in (*voices, *avatars, *stems, *folders, *titles, *said) if _is_telling(name)}
        return tuple(sorted(found, key=len, reverse=True))

    def _zip(self, parts: Mapping[str, Any], redactor: Redactor) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("README.txt", _README)
            for name, part in parts.items():
                text = json.dumps(part, ensure_ascii=False, indent=1)
                bundle.writestr(name, redactor.clean(text))
            for name in LOG_FILES.values():
                bundle.writestr(f"logs/{name}", redactor.clean(_tail(self._logs_dir / name)))
        return packed.getvalue()


def _job_facts(job: JobView) -> dict[str, Any]:
    """How a job went: words of ours only."""
    return {
        "job_id": job.job_id,
        "status": job.status,
        "stage": job.stage,
        "progress": job.progress,
        "requested_engine": job.requested_engine,
        "selected_engine": job.selected_engine,
        "wangp_model": job.wangp_model,
        "speech_engine": job.speech_engine,
        "notice_codes": job.notice_codes,
        "script_chars": len(job.script_input),
        "speakers": len(job.speakers),
        "output": job.output.model_dump(),
        "error": job.error.code if job.error is not None else None,
        "attempts": [
            {"engine": hop.engine, "stage": hop.stage, "outcome": hop.outcome, "code": hop.code}
            for hop in job.attempts
        ],
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
    }


def _is_telling(name: str) -> bool:
    return len(name) >= (_MIN_NAME_CHARS if name.isascii() else _MIN_FOREIGN_NAME_CHARS)


def _tail(path: Path) -> str:
    """The end of a log, from the beginning of a line."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            start = max(0, size - LOG_TAIL_BYTES)
            file.seek(start)
            raw = file.read(LOG_TAIL_BYTES)
    except FileNotFoundError:
        return ""  # nothing was written yet
    if start:
        raw = raw.partition(b"\n")[2]
    return raw.decode("utf-8", "replace")
