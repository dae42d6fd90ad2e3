"""Lists of jobs: filters, search, pages and how many match. Runs in the service process.

One statement gives a page and the number of all that match, so both are of one moment. What can be filtered by lies
in one index; only a search by words reads the rows, each once. `python -m benchmarks.library_search` measures it: with
10,000 jobs of 600 Chinese characters a search takes about a tenth of a second on two busy cores, any other list less.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import fields

from backend.models.library_records import JobFilter
from backend.models.records import JobPage, stored_keys
from backend.storage.cursors import MAX_PAGE, Order, make_cursor, read_cursor
from backend.storage.db import Database
from backend.storage.job_rows import dump, job_from_row
from backend.storage.job_tables import MAX_QUEUED, JobTables
from backend.storage.search_text import fold
from backend.utils.clock import Clock

# What is not asked for stands in no statement: a list without filters stops at the end of its page.
_CLAUSES = {
    "statuses": "l.state || '|' || (l.fallback_reason IS NOT NULL) || '|' || (l.cancel_requested_at IS NOT NULL)"
    " IN (SELECT value FROM json_each(:statuses))",
    "engine": "l.selected_engine = :engine",
    "owner": "l.owner = :owner",
    "batch_id": "l.batch_id = :batch_id",
    "starred": "l.starred = :starred",
    "draft": "l.draft = :draft",
    "folder_id": "COALESCE(l.folder_id, '') = :folder_id",
    "voice_id": "EXISTS (SELECT 1 FROM job_voices v WHERE v.voice_id = :voice_id AND v.seq = l.seq)",
    # Several times as fast as LIKE, and every character is taken as it is. Last: it is the one that reads rows.
    "q": "(instr(l.search_text, :q) OR instr(l.job_id, :q))",
}

# INDEXED BY: the index is as long as the table but a fraction of its size, and SQLite does not know how large the
# rows are. A row comes even when nothing is on the page: of jobs that match, there may be some on the pages before.
_PAGE = """
WITH matching AS {how} (SELECT l.seq FROM jobs l INDEXED BY jobs_listed WHERE {conditions})
SELECT t.total, j.* FROM (SELECT count(*) AS total FROM matching) t
LEFT JOIN jobs j ON j.seq IN (SELECT m.seq FROM matching m WHERE m.seq {after} ORDER BY m.seq {order} LIMIT :limit)
ORDER BY j.seq {order}
"""


def page_statement(names: Collection[str], order: Order) -> str:
    """The statement of a page that is limited by these fields of JobFilter."""
    conditions = ["l.deleted_at IS NULL", *(clause for name, clause in _CLAUSES.items() if name in names)]
    return _PAGE.format(
        # Words are looked for once, and what was found is counted and cut; anything else is quicker found twice.
        how="MATERIALIZED" if "q" in names else "NOT MATERIALIZED",
        conditions=" AND ".join(conditions),
        after="< :after" if order == "desc" else "> :after",
        order=order,
    )


class JobListing(JobTables):
    """The one verb of lists."""

    def __init__(self, db: Database, clock: Clock, *, max_queued: int = MAX_QUEUED) -> None:
        super().__init__(db, clock, max_queued=max_queued)
        self._searching = asyncio.Lock()

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
        given = {item.name: getattr(only, item.name) for item in fields(only)}
        given["q"] = fold(only.q) if only.q else None
        given["statuses"] = None if only.statuses is None else dump(stored_keys(only.statuses))
        params = {name: value for name, value in given.items() if value is not None}
        statement = page_statement(params, order)
        page = {"after": read_cursor(cursor, order), "limit": limit + 1}
        # One search by words at a time: the other reader stays free for who waits for a job.
        async with self._searching if "q" in params else contextlib.nullcontext():
            found = await self._db.all(statement, {**params, **page})
        rows = [row for row in found if row["seq"] is not None]
        # A hundred of the longest scripts take a tenth of a second to parse: not on the loop.
        jobs = await asyncio.to_thread(lambda: tuple(job_from_row(row) for row in rows[:limit]))
        more = len(rows) > limit
        return JobPage(
            jobs=jobs,
            next_cursor=make_cursor(jobs[-1].seq, order) if more else None,
            total=found[0]["total"],
        )
