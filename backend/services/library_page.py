"""Pages of the library: what is built in, then one's own, newest first. Runs in the service process.

A page ends at what it ended with, not at a number of rows, so that nothing is left out or told twice when something is
added or deleted between two pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from backend.utils.cursor_text import decode_cursor, encode_cursor
from backend.utils.ids import IdPrefix, is_id

# What a list without `limit` gives at most; a page of voices has then half a megabyte.
MAX_LIBRARY_PAGE = 500
# Times beyond SQLite's integers are none of ours.
_LATEST_MS = 2**53

BuiltIn = TypeVar("BuiltIn")
Row = TypeVar("Row")
# Time of making and id of one's own last entry: the next page begins after it.
After = tuple[int, str]


@dataclass(frozen=True)
class LibraryPage(Generic[BuiltIn, Row]):
    """One page; `next_cursor` is None on the last."""

    builtin: Sequence[BuiltIn]
    own: Sequence[Row]
    next_cursor: str | None


async def library_page(
    builtin: Sequence[BuiltIn],
    rows: Callable[[After | None, int], Awaitable[list[Row]]],
    after_of: Callable[[Row], After],
    *,
    kind: IdPrefix,
    limit: int,
    cursor: str | None,
) -> LibraryPage[BuiltIn, Row]:
    """The page after `cursor`. `rows` gives one's own after a place, newest first; `kind` is the prefix of their ids.

    Raises `validation_failed` for a cursor that this list did not make.
    """
    told, after = _read(cursor, kind)
    shipped = builtin[told : limit + told] if after is None else []
    room = limit - len(shipped)
    # One more than there is room for: whether there is another page.
    found = await rows(after, room + 1)
    own = found[:room]
    if after is None and told + len(shipped) < len(builtin):
        return LibraryPage(shipped, (), encode_cursor([told + len(shipped)]))
    if len(found) <= room:
        return LibraryPage(shipped, own, None)
    return LibraryPage(shipped, own, encode_cursor(list(after_of(own[-1])) if own else [told + len(shipped)]))


def _read(cursor: str | None, kind: IdPrefix) -> tuple[int, After | None]:
    """How many built-in ones were told, or after which of one's own the page begins."""
    if not cursor:
        return 0, None

    def parse(place: Any) -> tuple[int, After | None]:
        if isinstance(place, list) and place and type(place[0]) is int and 0 <= place[0] <= _LATEST_MS:
            if len(place) == 1:
                return place[0], None
            if len(place) == 2 and is_id(place[1], kind):
                return 0, (place[0], place[1])
        raise ValueError(place)

    return decode_cursor(cursor, parse)
