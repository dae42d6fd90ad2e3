"""What will be said for a script, before it is said. Runs in the service process; the speech worker looks.

In: a text and the project's dictionary. Out: its sentences as they will be spoken, with doubtful readings marked.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import TaskRequest
from backend.models.codes import ErrorCode
from backend.models.dictionary import ScriptCheck, ScriptCheckOrder
from backend.models.errors import EngineFailure, FieldError, RequestError
from backend.services.file_keeper import FileKeeper
from backend.services.script_turns import without_names
from backend.services.voice_service import VoiceService
from backend.storage.dictionary import DictionaryRepository
from backend.utils.ids import new_id

# Reading 10,000 characters takes about 3 s; the rest is for a worker that starts or speaks a preview.
DEADLINE_S = 60.0


class ScriptCheckService:
    """Asks the speech worker; owns no state."""

    def __init__(
        self,
        *,
        worker: EngineWorker,
        entries: DictionaryRepository,
        voices: VoiceService,
        files: FileKeeper,
        max_chars: int,
    ) -> None:
        self._worker = worker
        self._entries = entries
        self._voices = voices
        self._files = files
        self._max_chars = max_chars

    async def check(self, order: ScriptCheckOrder) -> ScriptCheck:
        """Look at a script. Raises `validation_failed`, `voice_not_found`, EngineFailure."""
        if len(order.text) > self._max_chars:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                f"The script has {len(order.text)} characters; at most {self._max_chars} are accepted.",
                hint="Split it, or raise MAX_SCRIPT_CHARS in .env.",
                fields=(FieldError("text", f"at most {self._max_chars} characters"),),
            )
        if not any(char.isalnum() for char in without_names(order.text, order.speakers)):
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                "The script holds no word that could be spoken.",
                hint="Write at least one word.",
                fields=(FieldError("text", "needs at least one letter or digit"),),
            )
        if order.voice_id is not None:
            await self._voices.get(order.voice_id)
        ticket = new_id("file")
        work_dir = self._files.path(f"work/{ticket}")
        try:
            return await self._look(order, ticket, work_dir)
        finally:
            await self._files.drop_ticket(ticket)

    async def _look(self, order: ScriptCheckOrder, ticket: str, work_dir: Path) -> ScriptCheck:
        entries = await self._entries.list_all()
        dictionary = [{"term": entry.term, "reading": entry.reading} for entry in entries]
        # Names are not spoken; spaces in their place keep the places of all other words.
        text = without_names(order.text, order.speakers)
        payload = {"text": text, "language": order.language, "dictionary": dictionary}
        script, output_dir = work_dir / "script-input.json", work_dir / "check"
        await asyncio.to_thread(_prepare, output_dir, script, json.dumps(payload, ensure_ascii=False))
        result = await self._worker.run(
            TaskRequest(
                job_id=ticket,
                attempt=1,
                task="script_check",
                inputs={"script": script},
                params={},
                output_dir=output_dir,
                deadline_s=DEADLINE_S,
            ),
            report=None,
            cancelled=lambda: False,
        )
        for artifact in result.artifacts:
            if artifact.role == "check":
                return ScriptCheck.model_validate_json(await asyncio.to_thread(artifact.path.read_bytes))
        raise EngineFailure(
            ErrorCode.NO_OUTPUT, "The speech engine ended without the file that was asked for."
        )


def _prepare(output_dir: Path, script: Path, payload: str) -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    script.write_text(payload, encoding="utf-8")
