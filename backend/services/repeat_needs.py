"""What a repeated job takes over, and what it still needs of the library. Runs in the service process.

A retry or a promotion shares what its source holds. Files may have been removed from the disk by hand, and the
portrait and the voices belong to the library, where they may have been deleted since: a job that lacks them would be
accepted, wait for its turn and fail then.
"""

from __future__ import annotations

import asyncio

from backend.models.codes import StageName
from backend.models.job import JobCreate
from backend.models.records import JobView
from backend.services.avatar_service import AvatarService
from backend.services.file_keeper import FileKeeper
from backend.services.stage_io import PORTRAIT_INPUT
from backend.services.voice_service import REFERENCE_ROLE, VoiceService, pinned_of
from backend.storage.job_lifecycle import reusable_stages


class RepeatNeeds:
    """Finds where a repeat can begin, and refuses one that could not be made."""

    def __init__(self, *, voices: VoiceService, avatars: AvatarService, files: FileKeeper) -> None:
        self._voices = voices
        self._avatars = avatars
        self._files = files

    async def begin(
        self, source: JobView, request: JobCreate, from_stage: StageName | None
    ) -> StageName | None:
        """Where a repeat of `source` that was to begin at `from_stage` begins: there, or where files are missing.

        Raises `voice_not_found`, `avatar_not_found`, `fetch_refused`, `too_large`, as the same new job would, when a
        stage that is made anew would miss its voice or portrait.
        """
        reused = reusable_stages(source, from_stage)
        damaged = await asyncio.to_thread(self._first_damaged, source, reused)
        if damaged is not None:
            from_stage, reused = damaged, reused[: reused.index(damaged)]
        if StageName.SPEECH not in reused:
            for place, voice_id in enumerate(request.voice_ids):
                held = pinned_of(source.inputs, place).get(REFERENCE_ROLE)
                if held is None or held.deleted_at is not None:
                    await self._voices.inputs(voice_id)
        if StageName.VIDEO not in reused and not self._holds_portrait(source, request, reused):
            await self._avatars.check(request.avatar_url)
        return from_stage

    def _first_damaged(self, source: JobView, stages: list[StageName]) -> StageName | None:
        """The first of these stages one of whose files is not there, or not whole. Blocks."""
        for stage in stages:
            files = [artifact.file for artifact in source.artifacts if artifact.stage is stage]
            if not all(self._files.is_whole(file) for file in files):
                return stage
        return None

    def _holds_portrait(self, source: JobView, request: JobCreate, reused: list[StageName]) -> bool:
        """Whether the picture comes along, however it fares in the library."""
        if not self._avatars.is_stored(request.avatar_url):
            # Fetched or looked at by the first stage, whose files were all found when it is reused.
            return StageName.SCRIPT in reused
        held = source.inputs.get(PORTRAIT_INPUT)
        return held is not None and held.deleted_at is None
