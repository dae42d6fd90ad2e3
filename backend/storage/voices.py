"""Voices that users gave. Built-in voices are not rows; the service lists them from the assets.

Runs in the service process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.file_records import FileRecord, NewVoice, VoiceRecord, VoiceStatus
from backend.storage.db import Database, Transaction
from backend.storage.files import MARK_DELETED
from backend.storage.job_rows import dump, dump_or_none, file_from_row, insert_file
from backend.utils.clock import Clock

# One library page; nobody scrolls further than this.
MAX_VOICES = 500

_INSERT = """
INSERT INTO voices (voice_id, name, file_id, engine, status, language, gender, consent_json, profile_json, created_at)
VALUES (:voice_id, :name, :file_id, :engine, :status, :language, :gender, :consent_json, :profile_json, :now)
RETURNING *
"""
_LIVE = "SELECT * FROM voices WHERE voice_id = :voice_id AND deleted_at IS NULL"
_LIST = "SELECT * FROM voices WHERE deleted_at IS NULL ORDER BY created_at DESC, voice_id LIMIT :limit"
_UPDATE = """
UPDATE voices SET status = COALESCE(:status, status), name = COALESCE(:name, name),
  profile_json = COALESCE(:profile_json, profile_json)
WHERE voice_id = :voice_id AND deleted_at IS NULL RETURNING *
"""
_DELETE = "UPDATE voices SET deleted_at = :now WHERE voice_id = :voice_id AND deleted_at IS NULL RETURNING *"


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
    )


class VoicesRepository:
    """Voices by id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def create(self, new: NewVoice) -> VoiceRecord:
        """Write a voice together with the row of its sample."""

        async def body(transaction: Transaction) -> VoiceRecord:
            now = self._clock.now_ms()
            if new.sample is not None:
                await insert_file(transaction, new.sample, now)
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

    async def list_all(self) -> list[VoiceRecord]:
        """All voices, newest first, at most MAX_VOICES."""
        return [_from_row(row) for row in await self._db.all(_LIST, {"limit": MAX_VOICES})]

    async def update(
        self,
        voice_id: str,
        *,
        status: VoiceStatus | None = None,
        name: str | None = None,
        profile: Mapping[str, Any] | None = None,
    ) -> VoiceRecord:
        """Change what is not None. Raises `voice_not_found`."""
        params = {
            "voice_id": voice_id,
            "status": status,
            "name": name,
            "profile_json": dump_or_none(dict(profile) if profile is not None else None),
        }
        row = await self._db.write(lambda transaction: transaction.one(_UPDATE, params))
        if row is None:
            raise _not_found(voice_id)
        return _from_row(row)

    async def delete(self, voice_id: str) -> list[FileRecord]:
        """Delete a voice; returns the files to unlink. A job that still runs keeps the sample until its end."""

        async def body(transaction: Transaction) -> list[FileRecord]:
            now = self._clock.now_ms()
            row = await transaction.one(_DELETE, {"voice_id": voice_id, "now": now})
            if row is None:
                raise _not_found(voice_id)
            file_ids = dump([row["file_id"]] if row["file_id"] else [])
            freed = await transaction.all(MARK_DELETED, {"file_ids": file_ids, "now": now})
            return [file_from_row(item) for item in freed]

        return await self._db.write(body)
