"""What docs/operations.md and docs/api.md say of retention and webhooks is what the code does."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import get_args

from backend.models.batch import MAX_ITEMS
from backend.models.disk import ReclaimRule
from backend.services import retention, webhook_outbox, webhook_sender
from backend.storage import webhooks
from backend.utils.config import Settings
from tests.contract.docs_pages import code_blocks, column, page, section, tables, words
from tests.support.studio import running_studio

KEPT = section(page("docs/operations.md"), "## What is kept")
API = page("docs/api.md")


def test_every_rule_is_written_with_its_limits() -> None:
    (table,) = tables(KEPT)
    assert column(table) == list(get_args(ReclaimRule))
    what = {words(row[0])[0]: row for row in table[1:]}
    for setting in ("KEEP_JOBS_DAYS", "KEEP_JOBS"):
        assert setting in words(what["old_jobs"][2])
        assert f"({Settings.model_fields[setting.lower()].default})" in what["old_jobs"][2]
    assert tuple(words(what["intermediates"][1])) == retention.INTERMEDIATES
    assert tuple(words(what["results"][1])) == retention.RESULTS
    assert retention.UNUSED_UPLOAD_MS == retention.GONE_KEPT_MS == retention.KEY_KEPT_MS == 24 * 3600 * 1000
    assert what["unused_uploads"][2] == "after 24 h"
    days = retention.DELIVERIES_KEPT_MS // retention.DAY_MS
    assert f"after {days} days or beyond {retention.DELIVERIES_KEPT:,} lines" in what["database"][1]
    assert retention.PROGRESS_KEPT_MS == 3600 * 1000
    assert "ended an hour ago" in what["database"][1]


async def test_the_printed_calls_work(tmp_path: Path) -> None:
    (block,) = [block.body for block in code_blocks(KEPT) if block.info == "bash"]
    look, reclaim = (shlex.split(line) for line in block.strip().splitlines())
    async with running_studio(tmp_path) as studio:
        assert (await studio.http.get(look[-1])).status_code == 200
        answer = await studio.http.post(reclaim[3], json=json.loads(reclaim[-1]))
        assert answer.status_code == 200, answer.text


def test_the_bounds_of_webhooks_are_those_of_the_code() -> None:
    text = section(API, "## Webhooks")
    assert webhook_outbox.RETRY_AFTER_S == (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600)
    assert "after 5 s, 5 min, 30 min, 2 h, 5 h and 10 h" in text
    assert f"within {webhook_sender.TIMEOUT_S:g} s" in text
    assert f"At most {webhooks.MAX_WEBHOOKS}." in section(API, "### `POST /api/webhooks`")
    log = section(API, "### `GET /api/webhooks/{hook_id}/deliveries`")
    assert f"at most {retention.DELIVERIES_KEPT:,} in all" in log


def test_the_bounds_of_batches_are_those_of_the_code() -> None:
    assert f"up to {MAX_ITEMS} jobs" in section(API, "### `POST /api/batches`")
