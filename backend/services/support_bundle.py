"""One file for whoever helps: versions, the system check, settings, logs and how the last jobs went. Service process.

What people made stays at home: no script, title, prompt, voice, picture or sound goes in, no key, no password, and of
folders only which of ours it is. Names of voices, portraits and jobs, and what the last jobs said, are taken out of the
logs, too. What could not be looked through in time stays at home as well.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from backend.models.job import JobView
from backend.models.records import JobView as StoredView
from backend.models.settings import SettingView
from backend.services.doctor import Doctor
from backend.services.job_view import wire_view
from backend.services.log_service import LOG_FILES
from backend.services.page_settings import PageSettings
from backend.services.stage_io import SCRIPT_FILE
from backend.services.system_service import SystemService
from backend.storage.store import Store
from backend.utils.page_config import BY_NAME
from backend.utils.redact import Redactor

JOBS = 50
# The end of each log; more would make the file too large for a mail.
LOG_TAIL_BYTES = 1 << 20
# A shorter name may be an ordinary word, and would take it out of every line.
_MIN_NAME_CHARS = 6
_MIN_FOREIGN_NAME_CHARS = 2
# Looked for in the logs one by one: of scripts so many, those of the newest jobs first, and none that are mere words.
MAX_SENTENCES = 2000
_MIN_SENTENCE_CHARS = 8
# Looking through the logs may take so long (s); the system check before it has a bound of its own.
CLEAN_WITHIN_S = 20.0
# A piece of a log that is cleaned at once; other threads get their turn in between.
_PIECE_CHARS = 64 << 10
_LEFT_OUT = "(what stood before was left out: cleaning it took too long)\n"
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
            stored = [await self._store.jobs.get_view(job.job_id) for job in found.jobs]
            system = (await self._system.view()).model_dump(mode="json")
            system["data"]["path"] = "data"
            parts = {
                "system.json": system,
                "doctor.json": (await self._doctor.check()).model_dump(mode="json"),
                "settings.json": {"data": [_setting_facts(one) for one in self._settings.all().data]},
                "jobs.json": [_job_facts(wire_view(view)) for view in stored],
            }
            names = await self._names(stored)
            return await asyncio.to_thread(self._zip, parts, names, stored)

    async def _names(self, jobs: list[StoredView]) -> set[str]:
        """What people called their things."""
        voices = [record.name for record in await self._store.voices.list_all()]
        avatars = [record.name for record in await self._store.avatars.list_all()]
        folders = [record.name for record in await self._store.folders.list_all()]
        titles = [view.job.title for view in jobs]
        # Portraits and voices are called as their files until somebody renames them.
        stems = [name.rpartition(".")[0] for name in (*voices, *avatars)]
        # Folders of other programs, as they were typed.
        typed = self._settings.now.model_folders.split(";")
        places = [folder.strip() for folder in typed]
        return {name for name in (*voices, *avatars, *stems, *folders, *titles, *places) if _is_telling(name)}

    def _said(self, jobs: Iterable[StoredView]) -> Iterator[str]:
        """What people wrote, and had written, as engines print it: sentence by sentence. The newest job first."""
        for view in jobs:
            request = view.job.request
            texts = [request["script_input"], request.get("prompt", "")]
            if request.get("script_mode") == "auto":
                texts.append(self._written(view))
            for text in texts:
                for part in _SENTENCE_ENDS.split(text):
                    sentence = part.strip()
                    if _is_telling(sentence, _MIN_SENTENCE_CHARS):
                        yield sentence

    def _written(self, view: StoredView) -> str:
        """The text that a language model wrote; empty when there is none, or none any more."""
        script = view.artifact(SCRIPT_FILE)
        if script is None:
            return ""
        try:
            told = json.loads(self._store.blobs.path_of(script.file.rel_path).read_bytes())
        except (OSError, ValueError):
            return ""
        return str(told.get("text", ""))

    def _zip(self, parts: Mapping[str, Any], names: set[str], jobs: list[StoredView]) -> bytes:
        deadline = time.monotonic() + CLEAN_WITHIN_S
        words = [*names, *islice(dict.fromkeys(self._said(jobs)), MAX_SENTENCES)]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("README.txt", _README)
            for name, part in parts.items():
                text = json.dumps(part, ensure_ascii=False, indent=1)
                # Bounded by what they tell, not by what somebody made an engine print.
                bundle.writestr(name, self._redactor(_those_in(text, words)).clean(text))
            for name in LOG_FILES.values():
                text = _tail(self._logs_dir / name)
                bundle.writestr(f"logs/{name}", self._clean(text, words, deadline))
        return packed.getvalue()

    def _clean(self, text: str, words: list[str], deadline: float) -> str:
        """A log without what nobody should read; what cannot be looked through in time is left out, the oldest first."""
        # Most are not there, and what is there need not be looked for in each piece again.
        redactor = self._redactor(_those_in(text, words))
        cleaned: list[str] = []
        for piece in _pieces_backwards(text):
            if time.monotonic() >= deadline:
                cleaned.append(_LEFT_OUT)
                break
            cleaned.append(redactor.clean(piece))
        return "".join(reversed(cleaned))


def _those_in(text: str, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word in text)


def _pieces_backwards(text: str) -> Iterator[str]:
    """The last piece first. Each begins with a line at the margin, so a line and what follows it indented stay one."""
    end = len(text)
    while end > 0:
        start = max(0, end - _PIECE_CHARS)
        start = text.rfind("\n", 0, start) + 1
        while start > 0 and text[start] == " ":
            start = text.rfind("\n", 0, start - 1) + 1
        yield text[start:end]
        end = start


def _setting_facts(setting: SettingView) -> dict[str, Any]:
    """A setting; of folders and addresses only whether there is one."""
    facts = setting.model_dump(mode="json")
    if setting.set and (setting.kind == "path" or BY_NAME[setting.name].is_address):
        facts["value"] = None
    return facts


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


def _is_telling(name: str, min_chars: int = _MIN_NAME_CHARS) -> bool:
    return len(name) >= (min_chars if name.isascii() else _MIN_FOREIGN_NAME_CHARS)


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
