"""Wires everything about voices and speech; a part of `container.py`. Runs in the service process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.engines.speech.base import BaseSpeechEngine
from backend.engines.speech.builtin import BuiltinSpeechEngine
from backend.engines.speech.registry import SpeechRegistry
from backend.engines.worker_port import EngineWorker
from backend.services.catalog import Catalog
from backend.services.file_keeper import FileKeeper
from backend.services.quiet import QuietTimes
from backend.services.speech_router import SpeechRouter
from backend.services.speech_service import SpeechService
from backend.services.voice_enrolment import VoiceEnrolment
from backend.services.voice_refiner import VoiceRefiner
from backend.services.voice_service import VoiceService
from backend.services.voice_speaker import VoiceSpeaker
from backend.services.voice_worker import VoiceWorker
from backend.storage.store import Store
from backend.utils.clock import Clock


@dataclass(frozen=True)
class VoiceServices:
    """What others need of it. `refiner` has still to be started."""

    library: VoiceService
    enrolment: VoiceEnrolment
    speaker: VoiceSpeaker
    router: SpeechRouter
    speech: SpeechService
    quiet: QuietTimes
    refiner: VoiceRefiner


def wire_voices(
    store: Store,
    *,
    catalog: Catalog,
    files: FileKeeper,
    worker: EngineWorker,
    speech_engines: Sequence[BaseSpeechEngine],
    clock: Clock,
    cache_dir: Path,
    max_bytes: int,
    on_death: Callable[[BaseException], None],
) -> VoiceServices:
    """`speech_engines`: those beside the built-in one, best first; `worker`: the built-in engine's."""
    # Best first, the one that is always there last: this order is that of every automatic plan.
    router = SpeechRouter(SpeechRegistry((*speech_engines, BuiltinSpeechEngine(worker))))
    quiet = QuietTimes()
    speech = SpeechService(router, quiet)
    voice_worker = VoiceWorker(worker)
    previews_dir = cache_dir / "previews"
    refiner = VoiceRefiner(store=store, files=files, worker=voice_worker, quiet=quiet, on_death=on_death)
    library = VoiceService(
        store=store,
        catalog=catalog,
        files=files,
        router=router,
        clock=clock,
        refining=refiner.progress,
        on_delete=refiner.forget,
        previews_dir=previews_dir,
    )

    def changed(voice_id: str) -> None:
        refiner.forget(voice_id)
        refiner.wake()

    enrolment = VoiceEnrolment(
        store=store,
        catalog=catalog,
        files=files,
        voices=library,
        worker=voice_worker,
        router=router,
        quiet=quiet,
        max_bytes=max_bytes,
        on_enrol=changed,
    )
    speaker = VoiceSpeaker(
        store=store,
        catalog=catalog,
        files=files,
        voices=library,
        speech=speech,
        router=router,
        quiet=quiet,
        previews_dir=previews_dir,
    )
    return VoiceServices(library, enrolment, speaker, router, speech, quiet, refiner)
