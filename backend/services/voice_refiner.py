"""Makes fast matches better while nobody waits for the machine. Runs in the service process, on its loop.

In: voices whose match is fast (rows; they survive a restart). Out: their refined profiles. One at a time, in the
background lane of the speech worker; gives way the moment somebody's work begins, and sleeps without a timer when
there is nothing to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from backend.models.errors import JobCancelled, ProductError
from backend.models.file_records import NewMatch, VoiceRecord
from backend.services.catalog import stable_seed
from backend.services.file_keeper import FileKeeper
from backend.services.quiet import QuietTimes
from backend.services.voice_worker import Matched, VoiceWorker
from backend.storage.store import Store
from backend.utils.ids import new_id
from backend.utils.logger import app_logger

# A refinement that kills its worker or never ends is not begun a fourth time.
MAX_TRIES = 3
WORN_REASON = f"It could not be refined: the service ended in the middle of it {MAX_TRIES} times."
# A store that is busy, or a worker that just failed, is asked again after this pause.
RETRY_S = 30.0
# How soon a stop may be: the worker is asked to cancel, and ended with the others when it does not.
STOP_WITHIN_S = 2.0


class VoiceRefiner:
    """The one background task of voices."""

    def __init__(
        self,
        *,
        store: Store,
        files: FileKeeper,
        worker: VoiceWorker,
        quiet: QuietTimes,
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._files = files
        self._worker = worker
        self._quiet = quiet
        self._on_death = on_death
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._current: str | None = None
        self._dropped = False
        self._fraction = 0.0

    async def start(self) -> None:
        """Begin; what an earlier run of the service left is taken up. Idempotent."""
        if self._task is None:
            self._stopping = False
            self._task = asyncio.create_task(self._loop(), name="voice-refiner")
            self._task.add_done_callback(self._watch)

    async def stop(self) -> None:
        """End; a refinement under way is begun again at the next start. Idempotent."""
        self._stopping = True
        task, self._task = self._task, None
        if task is not None:
            self._wake.set()
            await asyncio.wait({task}, timeout=STOP_WITHIN_S if self._current else 0)
            task.cancel()
            await asyncio.wait({task})

    def wake(self) -> None:
        """A voice may have become refinable."""
        self._wake.set()

    def forget(self, voice_id: str) -> None:
        """This voice is deleted or enrolled again: do not go on with what was there."""
        if self._current == voice_id:
            self._dropped = True

    def progress(self, voice_id: str) -> float | None:
        """0 to 1 while this voice is being refined, else None."""
        return self._fraction if self._current == voice_id else None

    def _watch(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            app_logger.critical("the voice refiner died", exc_info=error)
            self._on_death(error)

    async def _loop(self) -> None:
        is_first = True
        while not self._stopping:
            self._wake.clear()
            try:
                if is_first:
                    await self._store.voices.note_worn(most_tries=MAX_TRIES, reason=WORN_REASON)
                    is_first = False
                voice = await self._store.voices.next_to_refine(most_tries=MAX_TRIES)
                if voice is None:
                    await self._wake.wait()
                    continue
                await self._quiet.wait_quiet()
                # Meanwhile it may have been deleted, or a newer one come.
                voice = await self._store.voices.next_to_refine(most_tries=MAX_TRIES)
                if voice is not None:
                    await self._refine(voice)
            except ProductError as error:
                app_logger.warning("refining voices was put off: %s", error.detail)
                await self._pause()

    async def _pause(self) -> None:
        """A while, or until something changes."""
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=RETRY_S)
        except (TimeoutError, asyncio.TimeoutError):
            return

    def _must_stop(self) -> bool:
        return self._stopping or self._dropped or not self._quiet.is_quiet

    async def _refine(self, voice: VoiceRecord) -> None:
        reference = voice.reference_file_id
        if reference is None or voice.profile_file_id is None:  # the database's triggers hold this
            raise AssertionError("a match without its files")
        await self._store.voices.count_try(voice.voice_id, reference_file_id=reference, change=1)
        ticket = new_id("file")
        self._current, self._dropped, self._fraction = voice.voice_id, False, 0.0
        try:
            matched = await self._worker.refine(
                self._files.path((await self._store.files.get(reference)).rel_path),
                self._files.path((await self._store.files.get(voice.profile_file_id)).rel_path),
                language=voice.language or "auto",
                ticket=ticket,
                work_dir=self._files.path(f"work/{ticket}"),
                seed=stable_seed(voice.voice_id),
                report=self._note,
                cancelled=self._must_stop,
            )
            await self._keep(voice, reference, matched)
        except (JobCancelled, asyncio.CancelledError) as error:
            # It gave way and did nothing wrong.
            await self._store.voices.count_try(voice.voice_id, reference_file_id=reference, change=-1)
            app_logger.info("the refinement of %s gave way", voice.voice_id)
            if isinstance(error, asyncio.CancelledError):
                raise
        except ProductError as error:
            await self._failed(voice, reference, error.detail)
        except Exception as error:  # noqa: BLE001 - a file removed by hand, an answer nobody expects: one voice's trouble
            app_logger.exception("unexpected error while %s was refined", voice.voice_id)
            await self._failed(voice, reference, f"something unexpected went wrong ({type(error).__name__}).")
        finally:
            self._current = None
            await self._files.drop_ticket(ticket)

    async def _failed(self, voice: VoiceRecord, reference: str, detail: str) -> None:
        """Try again later; after the last try the fast match stays and speaks, and that it goes no further is said."""
        if self._stopping or self._dropped:
            # The worker was taken away: that says nothing about the voice.
            await self._store.voices.count_try(voice.voice_id, reference_file_id=reference, change=-1)
            return
        app_logger.warning("%s could not be refined: %s", voice.voice_id, detail)
        if voice.match_tries + 1 < MAX_TRIES:
            await self._pause()
            return
        await self._store.voices.note_reason(
            voice.voice_id,
            reference_file_id=reference,
            reason=f"It could not be refined after {MAX_TRIES} tries: {detail}",
        )

    def _note(self, fraction: float) -> None:
        self._fraction = max(self._fraction, fraction)

    async def _keep(self, voice: VoiceRecord, reference: str, matched: Matched) -> None:
        before = voice.similarity
        if before is not None and matched.similarity["score"] < float(before["score"]):
            # The search found nothing better by the same measure: what speaks stays, and is not searched again.
            match = NewMatch("refined", similarity={**before, "stage": "refined"})
        else:
            profile = await self._files.keep_upload(
                matched.profile, "voice", extension="npz", media_type="application/octet-stream"
            )
            match = NewMatch("refined", profile, matched.similarity, matched.nearest)
        record, freed = await self._store.voices.set_refined(
            voice.voice_id, match, reference_file_id=reference
        )
        if record is None and match.profile is not None:
            await self._files.discard(match.profile)
        await self._files.purge(freed)
        if record is not None:
            app_logger.info("%s is refined: %s", voice.voice_id, record.similarity)
