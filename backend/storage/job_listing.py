"""Lists of jobs: filters, search, pages and how many match. Runs in the service process.

One statement gives a page and the number of all that match, so both are of one moment. What can be filtered by lies
in one index; only a search by words reads the rows, at most once each (10,000 jobs with scripts of 600 Chinese
characters: see benchmarks/library_search.py).
"""

from __future__ import annotations

import asyncio

from backend.models.library_records import JobFilter
from backend.models.records import JobPage, stored_keys
from backend.storage.cursors import MAX_PAGE, Order, make_cursor, read_cursor
from backend.storage.job_rows import dump, job_from_row
from backend.storage.job_tables import JobTables
from backend.storage.search_text import fold

# INDEXED BY: the index is as long as the table but a fraction of its size, and SQLite does not know how large
# the rows are.
_MATCHING = """
SELECT l.seq FROM jobs l INDEXED BY jobs_listed
WHERE l.deleted_at IS NULL
  AND (:keys IS NULL OR l.state || '|' || (l.fallback_reason IS NOT NULL) || '|'
       || (l.cancel_requested_at IS NOT NULL) IN (SELECT value FROM json_each(:keys)))
  AND (:engine IS NULL OR l.selected_engine = :engine)
  AND (:owner IS NULL OR l.owner = :owner)
  AND (:batch IS NULL OR l.batch_id = :batch)
  AND (:starred IS NULL OR l.starred = :starred)
  AND (:draft IS NULL OR l.draft = :draft)
  AND (:folder IS NULL OR COALESCE(l.folder_id, '') = :folder)
  AND (:voice IS NULL OR EXISTS (SELECT 1 FROM job_voices v WHERE v.voice_id = :voice AND v.seq = l.seq))
"""
# instr() is several times as fast as LIKE, and takes every character as it is.
_WITH_WORDS = " AND (instr(l.search_text, :q) OR instr(l.job_id, :q))"

# A row even when nothing is on the page: of jobs that match, there may be some on the pages before.
_PAGE = """
WITH matching AS MATERIALIZED ({matching})
SELECT t.total, j.* FROM (SELECT count(*) AS total FROM matching) t
LEFT JOIN jobs j ON j.seq IN (SELECT m.seq FROM matching m WHERE m.seq {after} ORDER BY m.seq {order} LIMIT :limit)
ORDER BY j.seq {order}
"""


def _page(words: str, order: Order) -> str:
    after = "< :after" if order == "desc" else "> :after"
    return _PAGE.format(matching=_MATCHING + words, after=after, order=order)


# By whether words are searched for, and by order.
PAGES: dict[tuple[bool, Order], str] = {
    (with_words, order): _page(_WITH_WORDS if with_words else "", order)
    for with_words in (False, True)
    for order in ("desc", "asc")
}


class JobListing(JobTables):
    """The one verb of lists."""

    async def list_page(
        self,
        only: JobFilter = JobFilter(),  # noqa: B008 - frozen
        *,
        order: Order = "desc",
        limit: int = 20,
        cursor: str | None = None,
    ) -> JobPage:
        """One page of jobs that are not deleted, newest first unless `order` is "asc".

        A cursor belongs to the order it was made for. Raises `validation_failed` for a cursor we did not make.
        """
        limit = max(1, min(limit, MAX_PAGE))
        words = fold(only.q) if only.q else None
        params = {
            "after": read_cursor(cursor, order),
            "keys": None if only.statuses is None else dump(stored_keys(only.statuses)),
            "engine": only.engine,
            "batch": only.batch_id,
            "owner": only.owner,
            "starred": only.starred,
            "draft": only.draft,
            "folder": only.folder_id,
            "voice": only.voice_id,
            "limit": limit + 1,
            **({"q": words} if words else {}),
        }
        found = await self._db.all(PAGES[bool(words), order], params)
        rows = [row for row in found if row["seq"] is not None]
        # A hundred of the longest scripts take a tenth of a second to parse: not on the loop.
        jobs = await asyncio.to_thread(lambda: tuple(job_from_row(row) for row in rows[:limit]))
        more = len(rows) > limit
        return JobPage(
            jobs=jobs,
            next_cursor=make_cursor(jobs[-1].seq, order) if more else None,
            total=found[0]["total"],
        )
