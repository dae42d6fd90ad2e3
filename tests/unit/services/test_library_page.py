"""Pages of the library: whatever the size of a page, every entry comes once and in order."""

from __future__ import annotations

import base64
import json

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError
from backend.services.library_page import After, LibraryPage, library_page

BUILTIN = ["one", "two", "three"]
# Two of the same moment: the id decides.
OWN: list[After] = [
    (9, "voice_bbbbbbbb"),
    (7, "voice_aaaaaaaa"),
    (7, "voice_cccccccc"),
    (5, "voice_dddddddd"),
]


async def rows(after: After | None, limit: int) -> list[After]:
    later = [row for row in OWN if after is None or (-row[0], row[1]) > (-after[0], after[1])]
    return later[:limit]


async def page(limit: int, cursor: str | None = None) -> LibraryPage[str, After]:
    return await library_page(BUILTIN, rows, lambda row: row, kind="voice", limit=limit, cursor=cursor)


@pytest.mark.parametrize("limit", range(1, 9))
async def test_every_entry_comes_once(limit: int) -> None:
    told: list[object] = []
    cursor: str | None = None
    for _turn in range(len(BUILTIN) + len(OWN)):
        found = await page(limit, cursor)
        entries = [*found.builtin, *found.own]
        assert len(entries) == limit or found.next_cursor is None
        told += entries
        cursor = found.next_cursor
        if cursor is None:
            break
    assert told == [*BUILTIN, *OWN]
    assert cursor is None


@pytest.mark.parametrize(
    "place",
    [[], {}, None, "x", [-1], [True], [1.5], [2**60], ["voice_bbbbbbbb"], [1, "avatar_bbbbbbbb"], [1, 2], [1, None],
     [1, "voice_bbbbbbbb", 3]],
)  # fmt: skip
async def test_a_cursor_of_somebody_else_is_refused(place: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    with pytest.raises(RequestError) as caught:
        await page(5, cursor)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert caught.value.hint
    assert [field.field for field in caught.value.fields] == ["cursor"]


@pytest.mark.parametrize("cursor", ["x", "....", "\0", "ÿ", "W1tb" * 40])
async def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(RequestError):
        await page(5, cursor)
