"""Voices that users gave. Built-in voices are not rows; the service lists them from the assets.

Runs in the service process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.file_records import FileRecord, NewFile, NewMatch, NewVoice, VoiceRecord, VoiceStatus
from backend.storage.db import Database, Transaction
from backend.storage.files import MARK_DELETED
from backend.storage.job_rows import dump, dump_or_none, file_from_row, insert_file
from backend.utils.clock import Clock

# Rows per query where all are wanted.
_AT_A_TIME = 500

_INSERT = """
INSERT INTO voices (voice_id, name, file_id, engine, status, language, gender, consent_json, profile_json,
  reference_file_id, profile_file_id, nearest_preset, match_state, match_reason, similarity_json, created_at)
VALUES (:voice_id, :name, :file_id, :engine, :status, :language, :gender, :consent_json, :profile_json,
  :reference_file_id, :profile_file_id, :nearest_preset, :match_state, :match_reason, :similarity_json, :now)
RETURNING *
"""
_LIVE = "SELECT * FROM voices WHERE voice_id = :voice_id AND deleted_at IS NULL"
_LIST = "SELECT * FROM voices WHERE deleted_at IS NULL ORDER BY created_at DESC, voice_id LIMIT :limit"
_LIST_AFTER = """
SELECT * FROM voices WHERE deleted_at IS NULL AND (created_at < :at OR (created_at = :at AND voice_id > :last_id))
ORDER BY created_at DESC, voice_id LIMIT :limit
"""
_UPDATE = """
UPDATE voices SET status = COALESCE(:status, status), name = COALESCE(:name, name), note = COALESCE(:note, note),
  language = COALESCE(:language, language), gender = COALESCE(:gender, gender),
  consent_json = COALESCE(:consent_json, consent_json), profile_json = COALESCE(:profile_json, profile_json)
WHERE voice_id = :voice_id AND deleted_at IS NULL RETURNING *
"""
# `match_tries` begins anew: another recording is another chance.
_ENROL = """
UPDATE voices SET profile_json = :profile_json, reference_file_id = :reference_file_id,
  profile_file_id = :profile_file_id, nearest_preset = :nearest_preset, match_state = :match_state,
  match_tries = 0, match_reason = :match_reason, similarity_json = :similarity_json
WHERE voice_id = :voice_id AND deleted_at IS NULL RETURNING *
"""
# Refined is only what was begun: another enrolment meanwhile has another reference.
_REFINE = """
UPDATE voices SET match_state = :match_state, match_reason = :match_reason,
  profile_file_id = COALESCE(:profile_file_id, profile_file_id),
  nearest_preset = COALESCE(:nearest_preset, nearest_preset),
  similarity_json = COALESCE(:similarity_json, similarity_json)
WHERE voice_id = :voice_id AND deleted_at IS NULL AND match_state = 'fast' AND reference_file_id = :reference
RETURNING *
"""
NEXT_TO_REFINE = """
SELECT * FROM voices WHERE match_state = 'fast' AND deleted_at IS NULL AND match_tries < :most_tries
ORDER BY created_at DESC LIMIT 1
"""
_COUNT_TRY = """
UPDATE voices SET match_tries = MAX(0, match_tries + :change)
WHERE voice_id = :voice_id AND reference_file_id = :reference
"""
_NOTE_REASON = """
UPDATE voices SET match_reason = :reason
WHERE voice_id = :voice_id AND match_state = 'fast' AND reference_file_id = :reference
"""
_NOTE_WORN = """
UPDATE voices SET match_reason = :reason
WHERE match_state = 'fast' AND deleted_at IS NULL AND match_tries >= :most_tries AND match_reason IS NULL
"""
_DELETE = "UPDATE voices SET deleted_at = :now WHERE voice_id = :voice_id AND deleted_at IS NULL RETURNING *"
_FILE_COLUMNS = ("file_id", "reference_file_id", "profile_file_id")


def _not_found(voice_id: str) -> RequestError:
    return RequestError(
        ErrorCode.VOICE_NOT_FOUND,
        f"There is no voice {voice_id}.",
        hint="List the voices with GET /api/voices.",
    )


def _from_row(row: sqlite3.Row) -> VoiceRecord:
    return VoiceRecord(
        voice_id=row["voice_id"],
        name=row["name"],
        file_id=row["file_id"],
        engine=row["engine"],
        status=row["status"],
        language=row["language"],
        gender=row["gender"],
        consent=json.loads(row["consent_json"]) if row["consent_json"] else None,
        profile=json.loads(row["profile_json"]),
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
        reference_file_id=row["reference_file_id"],
        profile_file_id=row["profile_file_id"],
        note=row["note"],
        nearest_preset=row["nearest_preset"],
        match_state=row["match_state"],
        match_tries=row["match_tries"],
        match_reason=row["match_reason"],
        similarity=json.loads(row["similarity_json"]) if row["similarity_json"] else None,
    )


def _match_params(match: NewMatch, reference: NewFile | None) -> dict[str, Any]:
    return {
        "reference_file_id": reference.file_id if reference else None,
        "profile_file_id": match.profile.file_id if match.profile else None,
        "nearest_preset": match.nearest_preset,
        "match_state": match.state,
        "match_reason": match.reason,
        "similarity_json": dump_or_none(dict(match.similarity) if match.similarity is not None else None),
    }


async def _insert_files(transaction: Transaction, files: Iterable[NewFile | None], now: int) -> None:
    for file in files:
        if file is not None:
            await insert_file(transaction, file, now)


async def _free(transaction: Transaction, file_ids: Iterable[str | None], now: int) -> list[FileRecord]:
    """Mark those of them that nobody needs any more."""
    params = {"file_ids": dump([file_id for file_id in file_ids if file_id]), "now": now}
    return [file_from_row(row) for row in await transaction.all(MARK_DELETED, params)]


class VoicesRepository:
    """Voices by id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def create(self, new: NewVoice) -> VoiceRecord:
        """Write a voice together with the rows of its files."""

        async def body(transaction: Transaction) -> VoiceRecord:
            now = self._clock.now_ms()
            await _insert_files(transaction, (new.sample, new.reference, new.match.profile), now)
            row = await transaction.one(
                _INSERT,
                {
                    "voice_id": new.voice_id,
                    "name": new.name,
                    "file_id": new.sample.file_id if new.sample else None,
                    "engine": new.engine,
                    "status": new.status,
                    "language": new.language,
                    "gender": new.gender,
                    "consent_json": dump_or_none(dict(new.consent) if new.consent is not None else None),
                    "profile_json": dump(dict(new.profile)),
                    **_match_params(new.match, new.reference),
                    "now": now,
                },
            )
            if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
                raise AssertionError("the voice row was not written")
            return _from_row(row)

        return await self._db.write(body)

    async def get(self, voice_id: str) -> VoiceRecord:
        """A voice that was not deleted. Raises `voice_not_found`."""
        row = await self._db.one(_LIVE, {"voice_id": voice_id})
        if row is None:
            raise _not_found(voice_id)
        return _from_row(row)

    async def page(self, after: tuple[int, str] | None, limit: int) -> list[VoiceRecord]:
        """At most `limit` voices, newest first; `after`: time (ms) and id of the last one that is not wanted again."""
        if after is None:
            return [_from_row(row) for row in await self._db.all(_LIST, {"limit": limit})]
        params = {"at": after[0], "last_id": after[1], "limit": limit}
        return [_from_row(row) for row in await self._db.all(_LIST_AFTER, params)]

    async def list_all(self) -> list[VoiceRecord]:
        """All voices, newest first."""
        found: list[VoiceRecord] = []
        after: tuple[int, str] | None = None
        while rows := await self.page(after, _AT_A_TIME):
            found += rows
            after = (rows[-1].created_at, rows[-1].voice_id)
        return found

    async def update(
        self,
        voice_id: str,
        *,
        status: VoiceStatus | None = None,
        name: str | None = None,
        note: str | None = None,
        language: str | None = None,
        gender: str | None = None,
        consent: Mapping[str, Any] | None = None,
        profile: Mapping[str, Any] | None = None,
    ) -> VoiceRecord:
        """Change what is not None. Raises `voice_not_found`."""
        params = {
            "voice_id": voice_id,
            "status": status,
            "name": name,
            "note": note,
            "language": language,
            "gender": gender,
            "consent_json": dump_or_none(dict(consent) if consent is not None else None),
            "profile_json": dump_or_none(dict(profile) if profile is not None else None),
        }
        row = await self._db.write(lambda transaction: transaction.one(_UPDATE, params))
        if row is None:
            raise _not_found(voice_id)
        return _from_row(row)

    async def enrol(
        self, voice_id: str, *, report: Mapping[str, Any], reference: NewFile, match: NewMatch
    ) -> tuple[VoiceRecord, list[FileRecord]]:
        """Put another enrolment in the place of the one before; returns the voice and the files to unlink.

        A job that is under way keeps the files it began with. Raises `voice_not_found`.
        """

        async def body(transaction: Transaction) -> tuple[VoiceRecord, list[FileRecord]]:
            now = self._clock.now_ms()
            before = await transaction.one(_LIVE, {"voice_id": voice_id})
            if before is None:
                raise _not_found(voice_id)
            await _insert_files(transaction, (reference, match.profile), now)
            params = {
                "voice_id": voice_id,
                "profile_json": dump(dict(report)),
                **_match_params(match, reference),
            }
            row = await transaction.one(_ENROL, params)
            if row is None:  # pragma: no cover - the same transaction has just read it
                raise _not_found(voice_id)
            freed = await _free(transaction, (before[column] for column in _FILE_COLUMNS[1:]), now)
            return _from_row(row), freed

        return await self._db.write(body)

    # -- refinement --------------------------------------------------------------------------------
    async def next_to_refine(self, *, most_tries: int) -> VoiceRecord | None:
        """The newest voice with a fast match that was begun less than `most_tries` times."""
        row = await self._db.one(NEXT_TO_REFINE, {"most_tries": most_tries})
        return None if row is None else _from_row(row)

    async def count_try(self, voice_id: str, *, reference_file_id: str, change: int) -> None:
        """Note a refinement that begins (+1), or take the note back (-1) when it had to give way."""
        params = {"voice_id": voice_id, "reference": reference_file_id, "change": change}
        await self._db.write(lambda transaction: transaction.run(_COUNT_TRY, params))

    async def note_reason(self, voice_id: str, *, reference_file_id: str, reason: str) -> None:
        """Why a fast match goes no further, as a sentence."""
        params = {"voice_id": voice_id, "reference": reference_file_id, "reason": reason}
        await self._db.write(lambda transaction: transaction.run(_NOTE_REASON, params))

    async def note_worn(self, *, most_tries: int, reason: str) -> None:
        """Give a reason to fast matches whose refinement was begun so often and never ended."""
        params = {"most_tries": most_tries, "reason": reason}
        await self._db.write(lambda transaction: transaction.run(_NOTE_WORN, params))

    async def set_refined(
        self, voice_id: str, match: NewMatch, *, reference_file_id: str
    ) -> tuple[VoiceRecord | None, list[FileRecord]]:
        """Write what became of a refinement; returns the voice and the files to unlink.

        None when the voice was deleted or enrolled again meanwhile: then nothing was written. What `match` leaves
        out stays as it was.
        """

        async def body(transaction: Transaction) -> tuple[VoiceRecord | None, list[FileRecord]]:
            now = self._clock.now_ms()
            before = await transaction.one(_LIVE, {"voice_id": voice_id})
            if before is None or before["reference_file_id"] != reference_file_id:
                return None, []
            await _insert_files(transaction, (match.profile,), now)
            params = {"voice_id": voice_id, "reference": reference_file_id, **_match_params(match, None)}
            row = await transaction.one(_REFINE, params)
            if row is None:
                raise ValueError(f"the match of {voice_id} is refined already")
            replaced = [before["profile_file_id"]] if match.profile is not None else []
            return _from_row(row), await _free(transaction, replaced, now)

        return await self._db.write(body)

    async def delete(self, voice_id: str) -> list[FileRecord]:
        """Delete a voice; returns the files to unlink. A job that still runs keeps its files until its end."""

        async def body(transaction: Transaction) -> list[FileRecord]:
            now = self._clock.now_ms()
            row = await transaction.one(_DELETE, {"voice_id": voice_id, "now": now})
            if row is None:
                raise _not_found(voice_id)
            return await _free(transaction, (row[column] for column in _FILE_COLUMNS), now)

        return await self._db.write(body)
