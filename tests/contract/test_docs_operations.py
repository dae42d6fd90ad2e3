"""docs/operations.md: statuses, codes, bounds and messages are the product's; its procedures work."""

from __future__ import annotations

import asyncio
import functools
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

from backend.engines import restart_policy
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.services.voice_speaker import MAX_PREVIEWS
from backend.storage.migrations.runner import KEEP_BACKUPS
from backend.utils.config import Settings
from backend.utils.logger import KEPT_LOG_FILES, MAX_LOG_BYTES
from installer.gpus import Gpu
from installer.steps import STEPS
from installer.torch_builds import choose
from launcher.errors import Exit
from tests.contract.docs_pages import code_blocks, column, headings, page, section, tables, words
from tests.contract.test_docs_readme import is_said, texts_of_the_code
from tests.support.studio import running_studio
from workers.speech import cache as speech_cache

PAGE = page("docs/operations.md")


def test_every_exit_status_is_written() -> None:
    (table,) = tables(section(PAGE, "## Exit statuses of the scripts"))
    assert [row[:2] for row in table[1:]] == [[f"`{int(e)}`", f"`{e.name}`"] for e in Exit]


def test_every_step_of_an_installation_is_written() -> None:
    steps, builds = tables(section(PAGE, "## Installing engines"))
    assert column(steps) == [step.name for step in STEPS]
    written = {row[1].partition(",")[0] for row in builds[1:]}
    assert written == {choose(gpu).version for gpu in (_gpu((6, 1)), _gpu((8, 9)))}
    for gpu, row in ((_gpu((6, 1)), 1), (_gpu((8, 9)), 2), (_gpu((8, 9), "566.1"), 3)):
        cuda = choose(gpu).cuda
        assert f"CUDA {cuda[2:-1]}.{cuda[-1]}" in builds[row][1]


def _gpu(capability: tuple[int, int], driver: str = "580.1") -> Gpu:
    return Gpu(0, "A card", capability, 24_000, driver)


def test_every_error_code_is_written_and_no_other() -> None:
    (table,) = tables(section(PAGE, "## Troubleshooting by error code"))
    assert column(table) == [code.value for code in ErrorCode]
    assert all(row[1] for row in table[1:])


def test_every_message_of_a_failed_start_is_one_that_the_product_gives() -> None:
    texts = list(texts_of_the_code())
    for message in column(tables(section(PAGE, "## The start fails"))[0]):
        assert is_said(message, texts), message


def test_settings_that_are_named_exist() -> None:
    named = {w.partition("=")[0] for w in words(PAGE) if re.fullmatch(r"[A-Z][A-Z0-9_]+(=.*)?", w)}
    settings = {name.upper() for name in Settings.model_fields}
    assert named - {e.name for e in Exit} <= settings
    assert len(named & settings) > 8


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"rotated at {MAX_LOG_BYTES // 10**6} MB" in PAGE
    assert KEPT_LOG_FILES == 9
    assert "nine old files" in PAGE
    (table,) = tables(section(PAGE, "## What uses the disk"))
    bounds = {words(row[0])[0]: row[2] for row in table[1:]}
    assert bounds["data/cache/speech"].startswith(f"{speech_cache.MAX_BYTES >> 20} MiB")
    assert bounds["data/cache/previews"] == f"{MAX_PREVIEWS} files"
    assert bounds["data/backups"] == f"{KEEP_BACKUPS} files"
    assert bounds["logs"] == f"{2 * (KEPT_LOG_FILES + 1) * MAX_LOG_BYTES // 10**6} MB"
    assert f"it rests for {restart_policy.OPEN_S:g} s" in PAGE


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        name = {"": "docs/operations.md", "../README.md": "README.md"}.get(file, f"docs/{file}")
        anchors = {h.text.lower().replace(" ", "-") for h in headings(page(name))}
        assert not anchor or anchor in anchors, target


async def test_the_backup_holds_every_job_although_the_service_runs(tmp_path: Path) -> None:
    (script,) = [block.body for block in code_blocks(PAGE) if block.info == "python"]
    async with running_studio(tmp_path) as studio:
        job_id = await studio.submit()
        await studio.wait_for(job_id)
        run = functools.partial(subprocess.run, cwd=tmp_path, check=True, timeout=60)
        await asyncio.to_thread(run, [sys.executable, "-c", script])
    copy = sqlite3.connect(tmp_path / "sqlite-backup.db")
    rows = copy.execute("SELECT job_id, state FROM jobs").fetchall()
    copy.close()
    assert rows == [(job_id, "succeeded")]


async def test_after_a_full_disk_the_printed_call_lets_the_queue_go_on(tmp_path: Path) -> None:
    (block,) = [block.body for block in code_blocks(section(PAGE, "## The disk is full"))]
    _, _, method, url = shlex.split(block)
    async with running_studio(tmp_path) as studio:
        studio.draft.fail_next(EngineFailure(ErrorCode.DISK_FULL, "The disk is full."))
        failed = await studio.wait_for(await studio.submit())
        assert failed["error"]["code"] == "disk_full"
        waiting = await studio.submit()
        queue = (await studio.http.get("/api/queue")).json()
        assert queue["paused"] is True
        assert queue["reason"]
    # The pause survives a restart.
    async with running_studio(tmp_path) as studio:
        assert (await studio.view(waiting))["status"] == "queued"
        answer = await studio.http.request(method, url)
        assert answer.status_code == 200, answer.text
        assert (await studio.wait_for(waiting))["status"] == "completed"
        again = await studio.http.post(f"/api/jobs/{failed['job_id']}/retry")
        assert (await studio.wait_for(again.json()["job_id"]))["status"] == "completed"
