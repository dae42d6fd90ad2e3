"""What a repeated job still needs of the library. Pure but for look-ups; runs in the service process.

A retry or a promotion shares what its source holds. The portrait and the voices belong to the library, where they may
have been deleted since; a job that lacks them would be accepted, wait for its turn and fail then.
"""

from __future__ import annotations

from backend.models.codes import StageName
from backend.models.job import JobCreate
from backend.models.records import JobView
from backend.services.avatar_service import AvatarService
from backend.services.stage_io import PORTRAIT_INPUT
from backend.services.voice_service import REFERENCE_ROLE, VoiceService, pinned_of
from backend.storage.job_lifecycle import reusable_stages


class RepeatNeeds:
    """Refuses a repeat that could not be made."""

    def __init__(self, *, voices: VoiceService, avatars: AvatarService) -> None:
        self._voices = voices
        self._avatars = avatars

    async def check(self, source: JobView, request: JobCreate, from_stage: StageName | None) -> None:
        """Refuse a repeat of `source` from `from_stage` on whose stages would miss their voice or portrait.

        Raises `voice_not_found`, `avatar_not_found`, `fetch_refused`, `too_large`, as the same new job would.
        """
        reused = reusable_stages(source, from_stage)
        if StageName.SPEECH not in reused:
            for place, voice_id in enumerate(request.voice_ids):
                held = pinned_of(source.inputs, place).get(REFERENCE_ROLE)
                if held is None or held.deleted_at is not None:
                    await self._voices.inputs(voice_id)
        if StageName.VIDEO not in reused and not self._holds_portrait(source, request, reused):
            await self._avatars.check(request.avatar_url)

    def _holds_portrait(self, source: JobView, request: JobCreate, reused: list[StageName]) -> bool:
        """Whether the picture comes along, however it fares in the library."""
        if not self._avatars.is_stored(request.avatar_url):
            # Fetched or looked at by the first stage, whose files were all found when it is reused.
            return StageName.SCRIPT in reused
        held = source.inputs.get(PORTRAIT_INPUT)
        return held is not None and held.deleted_at is None
