"""The library of voices: built in, or a sample that a person gave. Runs in the service process.

Enrolment is in `voice_enrolment.py`, speaking a sentence in `voice_speaker.py`, the sentences about who speaks in
`voice_views.py`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.speech.base import VoiceFiles
from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.file_records import FileRecord, VoiceRecord
from backend.models.library import VoiceList, VoicePatch, VoiceView
from backend.services.catalog import BuiltinVoice, Catalog
from backend.services.file_keeper import FileKeeper
from backend.services.library_page import After, library_page
from backend.services.speech_router import SpeechRouter
from backend.services.voice_views import CONSENT_VERSION, builtin_view, own_view
from backend.storage.store import Store
from backend.utils.clock import Clock
from backend.utils.ids import is_id

# Roles under which a job holds the files of its voice until it has ended.
SAMPLE_ROLE, REFERENCE_ROLE, PROFILE_ROLE = "voice", "voice_reference", "voice_profile"


@dataclass(frozen=True)
class VoiceSound:
    """A recording to be sent."""

    path: Path
    media_type: str
    file_name: str


class VoiceService:
    """Look, change, delete; and which files speak for a voice."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        files: FileKeeper,
        router: SpeechRouter,
        clock: Clock,
        refining: Callable[[str], float | None],
        on_delete: Callable[[str], None],
        previews_dir: Path,
    ) -> None:
        """`refining`: how far the refinement of a voice is; `on_delete` hears of a voice before it goes."""
        self._store = store
        self._catalog = catalog
        self._files = files
        self._router = router
        self._clock = clock
        self._refining = refining
        self._on_delete = on_delete
        self._previews_dir = previews_dir

    # -- look --------------------------------------------------------------------------------------
    async def page(self, *, limit: int, cursor: str | None) -> VoiceList:
        """A page of `all`. Raises `validation_failed` for a cursor that is none."""
        page = await library_page(
            self._catalog.voices, self._store.voices.page, _place, kind="voice", limit=limit, cursor=cursor
        )
        # Engines look at the disk whether they are there.
        data = await asyncio.to_thread(self._views, page.builtin, page.own)
        return VoiceList(data=data, has_more=page.next_cursor is not None, next_cursor=page.next_cursor)

    async def all(self) -> list[VoiceView]:
        """Built-in voices, then the caller's own, newest first."""
        records = await self._store.voices.list_all()
        return await asyncio.to_thread(self._views, self._catalog.voices, records)

    def _views(self, builtin: Sequence[BuiltinVoice], own: Sequence[VoiceRecord]) -> list[VoiceView]:
        shipped = [builtin_view(voice, self._router) for voice in builtin]
        return shipped + [self._view(record) for record in own]

    async def get(self, voice_id: str) -> VoiceView:
        builtin = self._catalog.voice(voice_id)
        if builtin is not None:
            return builtin_view(builtin, self._router)
        return self._view(await self.own(voice_id))

    def _view(self, record: VoiceRecord) -> VoiceView:
        return own_view(record, self._router, refining=self._refining(record.voice_id))

    async def own(self, voice_id: str) -> VoiceRecord:
        """The row of a voice of one's own. Raises `voice_not_found`, also for built-in ones."""
        if not is_id(voice_id, "voice"):
            raise RequestError(
                ErrorCode.VOICE_NOT_FOUND,
                "There is no such voice.",
                hint="List the voices with GET /api/voices.",
            )
        return await self._store.voices.get(voice_id)

    def is_own(self, voice_id: str) -> bool:
        """Whether this voice is a person's, and not one that ships with the product."""
        return self._catalog.voice(voice_id) is None

    async def sound(self, voice_id: str, *, is_reference: bool) -> VoiceSound:
        """The original or the extracted speech. Raises `voice_not_found` and `gone`."""
        self._refuse_builtin(voice_id, "have no recording")
        record = await self.own(voice_id)
        file_id = record.reference_file_id if is_reference else record.file_id
        if file_id is None:
            raise RequestError(
                ErrorCode.GONE,
                "This voice has no such recording.",
                hint="Enrol it again with POST /api/voices/{id}/enrol.",
            )
        file = await self._store.files.get(file_id)
        path = self._files.path(file.rel_path)
        name = "reference" if is_reference else "sample"
        return VoiceSound(path, file.media_type, f"{record.voice_id}-{name}{path.suffix}")

    # -- change ------------------------------------------------------------------------------------
    async def change(self, voice_id: str, patch: VoicePatch) -> VoiceView:
        """Take over what the patch names. Built-in voices are refused."""
        self._refuse_builtin(voice_id, "cannot be changed")
        await self.own(voice_id)
        consent = None if patch.consent is None else self.consent(given=patch.consent)
        record = await self._store.voices.update(
            voice_id,
            name=patch.name,
            note=patch.note,
            language=patch.language,
            gender=patch.gender,
            consent=consent,
        )
        return self._view(record)

    def consent(self, *, given: bool) -> dict[str, Any]:
        """What is kept of a declaration: whether, when, and to which wording."""
        return {"given": given, "at": self._clock.now_ms(), "version": CONSENT_VERSION}

    async def delete(self, voice_id: str) -> None:
        """Delete a voice with its recordings, its match and its previews. Running jobs keep what they began with."""
        self._refuse_builtin(voice_id, "cannot be deleted")
        await self.own(voice_id)
        self._on_delete(voice_id)
        await self._files.purge(await self._store.voices.delete(voice_id))
        await asyncio.to_thread(_remove_previews, self._previews_dir, voice_id)

    def _refuse_builtin(self, voice_id: str, what: str) -> None:
        if self._catalog.voice(voice_id) is not None:
            raise RequestError(
                ErrorCode.VALIDATION_FAILED,
                f"Built-in voices {what}.",
                hint="Choose a voice of your own.",
            )

    # -- speak -------------------------------------------------------------------------------------
    async def inputs(self, voice_id: str) -> dict[str, str]:
        """The files by role that a job with this voice must be able to read.

        Raises `voice_not_found`, also for one whose recording was removed from the disk by hand.
        """
        if self._catalog.voice(voice_id) is not None:
            return {}
        record = await self.own(voice_id)
        if record.reference_file_id is not None:
            reference = await self._store.files.get(record.reference_file_id)
            if not await asyncio.to_thread(self._files.is_whole, reference):
                raise RequestError(
                    ErrorCode.VOICE_NOT_FOUND,
                    "The recording of this voice is no longer on the disk.",
                    hint="Enrol it again with POST /api/voices/{id}/enrol, or delete it and clone it anew.",
                )
        held = {
            SAMPLE_ROLE: record.file_id,
            REFERENCE_ROLE: record.reference_file_id,
            PROFILE_ROLE: record.profile_file_id,
        }
        return {role: file_id for role, file_id in held.items() if file_id is not None}

    async def inputs_of(self, voice_ids: Sequence[str]) -> dict[str, str]:
        """`inputs` of all voices that speak in a job, told apart by their place (`pinned_of`)."""
        held = [(await self.inputs(voice_id), place) for place, voice_id in enumerate(voice_ids)]
        return {_placed(role, place): file_id for files, place in held for role, file_id in files.items()}

    async def has_reference(self, voice_id: str, pinned: Mapping[str, FileRecord]) -> bool:
        """Whether there is a recording that an engine could learn from. Raises `voice_not_found`."""
        if self._catalog.voice(voice_id) is not None:
            return False
        if REFERENCE_ROLE in pinned:
            return True
        return (await self.own(voice_id)).reference_file_id is not None

    async def files_for(
        self, voice_id: str, language: str, *, folder: Path, pinned: Mapping[str, FileRecord]
    ) -> str | VoiceFiles:
        """Who speaks: a preset, or copies of a voice's files below `folder`. Raises `voice_not_found`.

        Copies, because a refinement or another enrolment may replace the files while an engine reads them. A voice
        that was deleted is spoken by what the job holds of it (`pinned`).
        """
        builtin = self._catalog.voice(voice_id)
        if builtin is not None:
            return builtin.preset
        record = await self._newest(voice_id, bool(pinned.get(REFERENCE_ROLE)))
        preset = self._preset(record, language)
        if record is not None and record.reference_file_id is None:
            return preset
        reference, profile = pinned.get(REFERENCE_ROLE), pinned.get(PROFILE_ROLE)
        if record is not None and record.reference_file_id is not None:
            reference = await self._store.files.get(record.reference_file_id)
            profile = await self._store.files.get(record.profile_file_id) if record.profile_file_id else None
        if reference is None:  # `_newest` has refused this
            raise AssertionError("neither a voice nor its pinned reference")
        return await asyncio.to_thread(
            _copies,
            folder,
            self._files.path(reference.rel_path),
            self._files.path(profile.rel_path) if profile else None,
            preset,
        )

    async def _newest(self, voice_id: str, has_pinned: bool) -> VoiceRecord | None:
        """The voice as it is now; None when it is gone but the job still holds its files."""
        try:
            return await self.own(voice_id)
        except RequestError as error:
            if error.code is ErrorCode.VOICE_NOT_FOUND and has_pinned:
                return None
            raise

    def _preset(self, record: VoiceRecord | None, language: str) -> str:
        """The preset that stands in for a voice and lends it the prosody of a language."""
        nearest, gender = (record.nearest_preset, record.gender) if record else (None, None)
        voices = self._catalog.voices
        speaking = [voice for voice in voices if voice.language == language]
        if any(voice.preset == nearest for voice in speaking) and nearest is not None:
            return nearest
        same = [voice for voice in speaking if gender is not None and voice.gender == gender]
        default = self._catalog.default_voice(language)
        return default.preset if default in same or not same else same[0].preset


def _place(record: VoiceRecord) -> After:
    return record.created_at, record.voice_id


def pinned_of(inputs: Mapping[str, FileRecord], place: int) -> dict[str, FileRecord]:
    """What a job holds of the voice of its first (0) or second (1) speaker, by role."""
    roles = (SAMPLE_ROLE, REFERENCE_ROLE, PROFILE_ROLE)
    return {role: inputs[_placed(role, place)] for role in roles if _placed(role, place) in inputs}


def _placed(role: str, place: int) -> str:
    """The role under which a job holds a file of its speaker's voice; the first one's is that of a lone speaker."""
    return role if place == 0 else f"{role}_{place + 1}"


def _copies(folder: Path, reference: Path, profile: Path | None, preset: str) -> VoiceFiles:
    folder.mkdir(parents=True, exist_ok=True)
    own_reference, own_profile = folder / "reference.wav", folder / "profile.npz"
    shutil.copyfile(reference, own_reference)
    if profile is not None:
        shutil.copyfile(profile, own_profile)
    return VoiceFiles(own_reference, own_profile if profile else None, None, preset)


def _remove_previews(folder: Path, voice_id: str) -> None:
    for preview in folder.glob(f"{voice_id}-*.wav"):
        preview.unlink(missing_ok=True)
