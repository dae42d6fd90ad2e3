"""Many jobs in one request: each item stands or falls by itself. Runs in the service process."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from backend.models.batch import (
    BatchCounts,
    BatchCreate,
    BatchCreated,
    BatchItemCreated,
    BatchItemView,
    BatchPage,
    BatchSummary,
    BatchView,
    Item,
)
from backend.models.batch_records import BatchRecord, BatchTally
from backend.models.codes import ErrorCode, JobStatus
from backend.models.errors import ProductError
from backend.models.job import ErrorView, JobCreate
from backend.models.records import JobRecord, NewJob
from backend.services.job_service import JobService
from backend.storage.batches import BatchesRepository, batch_not_found
from backend.utils.clock import iso_from_ms
from backend.utils.ids import is_id, new_id

# Of a wrong item, so many fields are named.
_NAMED_FIELDS = 3


class BatchService:
    """Create, look, list, cancel. `on_cancel` tells the engine of a running job."""

    def __init__(
        self, *, store: BatchesRepository, jobs: JobService, on_cancel: Callable[[str], None]
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._on_cancel = on_cancel

    async def create(self, request: BatchCreate, *, idempotency_key: str | None) -> tuple[BatchCreated, bool]:
        """Accept what can be accepted; returns the answer and whether the key replayed an earlier batch."""
        sha256 = _sha256(request)
        if idempotency_key is not None:
            # Before the items are looked at: what they name may have been deleted since.
            earlier = await self._store.replay_of(idempotency_key, sha256)
            if earlier is not None:
                return _created(earlier), True
        batch_id = new_id("batch")
        items = [await self._prepare(request.defaults, item, batch_id) for item in request.items]
        record, replayed = await self._store.create(
            batch_id,
            title=request.title,
            request_sha256=sha256,
            idempotency_key=idempotency_key,
            items=items,
        )
        return _created(record), replayed

    async def _prepare(self, defaults: Item, item: Item, batch_id: str) -> NewJob | Mapping[str, Any]:
        """The job of an item, or the error for which it cannot be one."""
        # Checking an item may wait for nothing; two hundred of them must not hold the event loop.
        await asyncio.sleep(0)
        try:
            request = JobCreate.model_validate(_merged(defaults, item))
            return await self._jobs.prepare(request, batch_id=batch_id)
        except ValidationError as error:
            return _refusal(error)
        except ProductError as error:
            if error.temporary:
                # Nothing is wrong with the item: the whole batch is to be sent again.
                raise
            return {"code": error.code.value, "detail": error.detail, "hint": error.hint}

    async def get(self, batch_id: str) -> BatchView:
        record = await self._record(batch_id)
        jobs = {job.job_id: job for job in await self._store.jobs(batch_id)}
        tally = (await self._store.tallies([batch_id]))[batch_id]
        items = [_item_view(item, jobs.get(item["job_id"] or "")) for item in record.items]
        return BatchView(**_summary(record, tally).model_dump(), items=items)

    async def _record(self, batch_id: str) -> BatchRecord:
        if not is_id(batch_id, "batch"):
            raise batch_not_found("of that id")
        return await self._store.get(batch_id)

    async def page(self, *, limit: int, cursor: str | None) -> BatchPage:
        """Batches, newest first."""
        records, next_cursor = await self._store.page(limit=limit, cursor=cursor)
        tallies = await self._store.tallies([record.batch_id for record in records])
        return BatchPage(
            data=[_summary(record, tallies[record.batch_id]) for record in records],
            has_more=next_cursor is not None,
            next_cursor=next_cursor,
        )

    async def cancel(self, batch_id: str) -> BatchView:
        """Ask all its jobs to stop. Idempotent."""
        await self._record(batch_id)
        for job_id in await self._store.cancel(batch_id):
            self._on_cancel(job_id)
        return await self.get(batch_id)


def _merged(defaults: Item, item: Item) -> Item:
    """The item over the defaults; groups such as `output` are merged field by field."""
    merged = dict(defaults)
    for name, value in item.items():
        below = defaults.get(name)
        merged[name] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _refusal(error: ValidationError) -> Mapping[str, Any]:
    """The same words as for a single job."""
    named = [
        f"{'.'.join(map(str, found['loc'])) or 'item'}: {str(found['msg']).removeprefix('Value error, ')}"
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return {
        "code": ErrorCode.VALIDATION_FAILED.value,
        "detail": "The item is not valid. " + "; ".join(named[:_NAMED_FIELDS]),
        "hint": "Mend the fields that are named and send the item again.",
    }


def _sha256(request: BatchCreate) -> str:
    # ASCII: what cannot be a job may hold anything, also half of a surrogate pair.
    text = json.dumps(request.model_dump(mode="python"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _created(record: BatchRecord) -> BatchCreated:
    items = [BatchItemCreated.model_validate(dict(item)) for item in record.items]
    return BatchCreated(batch_id=record.batch_id, items=items)


def _summary(record: BatchRecord, tally: BatchTally) -> BatchSummary:
    counts = {status.value: tally.counts[status] for status in JobStatus}
    accepted = len(record.job_ids)
    unfinished = sum(
        tally.counts[status]
        for status in (JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.FALLBACK, JobStatus.CANCELLING)
    )
    return BatchSummary(
        batch_id=record.batch_id,
        title=record.title,
        total=len(record.items),
        counts=BatchCounts(**counts, refused=len(record.items) - accepted, deleted=accepted - tally.jobs),
        # Rounded down like a job's, so that 100 means that every video is there.
        progress=int(tally.progress_sum / tally.jobs) if tally.jobs else 0,
        finished=unfinished == 0,
        created_at=iso_from_ms(record.created_at),
    )


def _item_view(item: Mapping[str, Any], job: JobRecord | None) -> BatchItemView:
    error = ErrorView.model_validate(item["error"]) if item["error"] is not None else None
    if job is not None and job.error_code is not None:
        error = ErrorView(code=job.error_code, detail=job.error_message or "", hint=job.error_hint)
    return BatchItemView(
        index=item["index"],
        job_id=item["job_id"],
        title=job.title if job else None,
        status=job.status if job else None,
        progress=job.percent if job else None,
        error=error,
    )
