"""What concerns the reading of texts, wired. Runs in the service process."""

from __future__ import annotations

from dataclasses import dataclass

from backend.engines.worker_port import EngineWorker
from backend.services.dictionary_service import DictionaryService
from backend.services.file_keeper import FileKeeper
from backend.services.script_check import ScriptCheckService
from backend.services.voice_service import VoiceService
from backend.storage.store import Store


@dataclass(frozen=True)
class TextServices:
    """The project's dictionary, and the look at a script before it is spoken."""

    dictionary: DictionaryService
    check: ScriptCheckService


def wire_texts(
    store: Store, worker: EngineWorker, voices: VoiceService, files: FileKeeper, *, max_chars: int
) -> TextServices:
    """`worker`: the speech worker."""
    check = ScriptCheckService(
        worker=worker, entries=store.dictionary, voices=voices, files=files, max_chars=max_chars
    )
    return TextServices(DictionaryService(store.dictionary), check)
