"""Portraits of the library: the picture made ready for engines, its thumbnail and the original.

Runs in the service process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.models.file_records import AvatarRecord, FileRecord, NewAvatar
from backend.storage.db import Database, Transaction
from backend.storage.files import MARK_DELETED
from backend.storage.job_rows import dump, dump_or_none, file_from_row, insert_file
from backend.utils.clock import Clock

# Rows per query where all are wanted.
_AT_A_TIME = 500

_INSERT = """
INSERT INTO avatars (avatar_id, name, file_id, thumbnail_file_id, source_file_id, profile_json, created_at)
VALUES (:avatar_id, :name, :file_id, :thumbnail_file_id, :source_file_id, :profile_json, :now)
RETURNING *
"""
_LIVE = "SELECT * FROM avatars WHERE avatar_id = :avatar_id AND deleted_at IS NULL"
_OF_FILE = "SELECT profile_json FROM avatars WHERE file_id = :file_id"
_LIST = "SELECT * FROM avatars WHERE deleted_at IS NULL ORDER BY created_at DESC, avatar_id LIMIT :limit"
_LIST_AFTER = """
SELECT * FROM avatars WHERE deleted_at IS NULL AND (created_at < :at OR (created_at = :at AND avatar_id > :last_id))
ORDER BY created_at DESC, avatar_id LIMIT :limit
"""
_UPDATE = """
UPDATE avatars SET name = COALESCE(:name, name), profile_json = COALESCE(:profile_json, profile_json)
WHERE avatar_id = :avatar_id AND deleted_at IS NULL RETURNING *
"""
_DELETE = (
    "UPDATE avatars SET deleted_at = :now WHERE avatar_id = :avatar_id AND deleted_at IS NULL RETURNING *"
)


def _not_found(avatar_id: str) -> RequestError:
    return RequestError(
        ErrorCode.AVATAR_NOT_FOUND,
        f"There is no avatar {avatar_id}.",
        hint="List the avatars with GET /api/avatars.",
    )


def _from_row(row: sqlite3.Row) -> AvatarRecord:
    return AvatarRecord(
        avatar_id=row["avatar_id"],
        name=row["name"],
        file_id=row["file_id"],
        thumbnail_file_id=row["thumbnail_file_id"],
        source_file_id=row["source_file_id"],
        profile=json.loads(row["profile_json"]),
        created_at=row["created_at"],
        deleted_at=row["deleted_at"],
    )


class AvatarsRepository:
    """Portraits by id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def create(self, new: NewAvatar) -> AvatarRecord:
        """Write a portrait together with the rows of its files."""

        async def body(transaction: Transaction) -> AvatarRecord:
            now = self._clock.now_ms()
            for file in (new.picture, new.thumbnail, new.source):
                if file is not None:
                    await insert_file(transaction, file, now)
            row = await transaction.one(
                _INSERT,
                {
                    "avatar_id": new.avatar_id,
                    "name": new.name,
                    "file_id": new.picture.file_id,
                    "thumbnail_file_id": new.thumbnail.file_id if new.thumbnail else None,
                    "source_file_id": new.source.file_id if new.source else None,
                    "profile_json": dump(dict(new.profile)),
                    "now": now,
                },
            )
            if row is None:  # pragma: no cover - INSERT ... RETURNING always returns its row
                raise AssertionError("the avatar row was not written")
            return _from_row(row)

        return await self._db.write(body)

    async def get(self, avatar_id: str) -> AvatarRecord:
        """A portrait that was not deleted. Raises `avatar_not_found`."""
        row = await self._db.one(_LIVE, {"avatar_id": avatar_id})
        if row is None:
            raise _not_found(avatar_id)
        return _from_row(row)

    async def profile_of(self, file_id: str) -> dict[str, Any]:
        """What was found in the portrait that this file is, also of a deleted one. Empty when it is none."""
        row = await self._db.one(_OF_FILE, {"file_id": file_id})
        return dict(json.loads(row["profile_json"])) if row is not None else {}

    async def page(self, after: tuple[int, str] | None, limit: int) -> list[AvatarRecord]:
        """At most `limit` portraits, newest first; `after`: time (ms) and id of the last one that is not wanted again."""
        if after is None:
            return [_from_row(row) for row in await self._db.all(_LIST, {"limit": limit})]
        params = {"at": after[0], "last_id": after[1], "limit": limit}
        return [_from_row(row) for row in await self._db.all(_LIST_AFTER, params)]

    async def list_all(self) -> list[AvatarRecord]:
        """All portraits, newest first."""
        found: list[AvatarRecord] = []
        after: tuple[int, str] | None = None
        while rows := await self.page(after, _AT_A_TIME):
            found += rows
            after = (rows[-1].created_at, rows[-1].avatar_id)
        return found

    async def update(
        self, avatar_id: str, *, name: str | None = None, profile: Mapping[str, Any] | None = None
    ) -> AvatarRecord:
        """Change what is not None. Raises `avatar_not_found`."""
        params = {
            "avatar_id": avatar_id,
            "name": name,
            "profile_json": dump_or_none(dict(profile) if profile is not None else None),
        }
        row = await self._db.write(lambda transaction: transaction.one(_UPDATE, params))
        if row is None:
            raise _not_found(avatar_id)
        return _from_row(row)

    async def delete(self, avatar_id: str) -> list[FileRecord]:
        """Delete a portrait; returns the files to unlink. A job that still runs keeps its picture until its end."""

        async def body(transaction: Transaction) -> list[FileRecord]:
            now = self._clock.now_ms()
            row = await transaction.one(_DELETE, {"avatar_id": avatar_id, "now": now})
            if row is None:
                raise _not_found(avatar_id)
            columns = ("file_id", "thumbnail_file_id", "source_file_id")
            file_ids = dump([row[column] for column in columns if row[column]])
            freed = await transaction.all(MARK_DELETED, {"file_ids": file_ids, "now": now})
            return [file_from_row(item) for item in freed]

        return await self._db.write(body)
