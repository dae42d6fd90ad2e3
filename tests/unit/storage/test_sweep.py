"""Disk and rows are brought together without touching what is not ours or still needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.models.codes import StageName
from backend.storage.store import Store
from backend.storage.sweep import clear_work, collect, purge_deleted, sweep_orphans, unlink_files
from tests.unit.storage.kit import claim, complete, enqueue, new_file, run_to_success

NOW_S = 2_000_000_000.0


@pytest.fixture
def data(store: Store) -> Path:
    return store.blobs.root


def put(data: Path, rel_path: str, age_s: float = 7200) -> Path:
    path = data / rel_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


async def test_files_without_a_row_go_and_everything_else_stays(store: Store, data: Path) -> None:
    await enqueue(store)
    done = await run_to_success(store)
    kept_row = await new_file(store, "uploads/file_known0000.png", kind="upload")
    await store.files.add(kept_row)
    for name in ("script.bin", "video.mp4"):
        os.utime(data / f"outputs/{done.job_id}/{name}", (1, 1))
    os.utime(data / "uploads/file_known0000.png", (1, 1))
    orphans = [
        put(data, "uploads/file_orphan000.png"),
        put(data, "uploads/.file_orphan000.png.0a1b2c3d.part"),
        put(data, f"outputs/{done.job_id}/left-over.mp4"),
        put(data, "outputs/job_unknown000/video.mp4"),
    ]
    stays = [
        put(data, "uploads/my holiday.jpg"),
        put(data, "uploads/file_fresh0000.png", age_s=60),
        put(data, "outputs/mine/video.mp4"),
        put(data, "outputs/notes.txt"),
        put(data, "models/kokoro.onnx"),
        data / f"outputs/{done.job_id}/video.mp4",
        data / "uploads/file_known0000.png",
        data / "sqlite.db",
    ]
    report = await sweep_orphans(store.files, store.blobs, now_s=NOW_S)
    assert report.files == len(orphans)
    assert report.freed_bytes == len(orphans)
    assert [path for path in orphans if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    assert not (data / "outputs/job_unknown000").exists()
    assert (await sweep_orphans(store.files, store.blobs, now_s=NOW_S)).files == 0


async def test_the_folder_of_a_job_that_has_not_ended_is_left_alone(store: Store, data: Path) -> None:
    waiting, running = await enqueue(store, priority=-1), await enqueue(store)
    await claim(store)
    paths = [put(data, f"outputs/{job.job_id}/between.mp4") for job in (waiting, running)]
    assert (await sweep_orphans(store.files, store.blobs, now_s=NOW_S)).files == 0
    assert all(path.exists() for path in paths)


async def test_a_link_in_uploads_is_not_swept(store: Store, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("x")
    (data / "uploads/file_link00000.png").symlink_to(target)
    assert (await sweep_orphans(store.files, store.blobs, now_s=2**33)).files == 0
    assert target.exists()


async def test_deleted_rows_lose_their_bytes_once(store: Store, data: Path) -> None:
    await enqueue(store)
    done = await run_to_success(store)
    deleted = await store.jobs.delete(done.job_id)
    assert (data / f"outputs/{done.job_id}/video.mp4").exists()
    report = await purge_deleted(store.files, store.blobs)
    assert report.files == len(deleted.files) == 4
    assert report.freed_bytes == sum(file.size_bytes for file in deleted.files)
    assert not (data / f"outputs/{done.job_id}/video.mp4").exists()
    assert (await purge_deleted(store.files, store.blobs)).files == 0


async def test_the_files_a_verb_returned_can_be_unlinked_at_once(store: Store, data: Path) -> None:
    await enqueue(store)
    done = await run_to_success(store)
    deleted = await store.jobs.delete(done.job_id)
    await unlink_files(store.files, store.blobs, deleted.files)
    assert list((data / f"outputs/{done.job_id}").iterdir()) == []
    assert await store.files.to_purge() == []


async def test_the_collector_takes_old_files_that_nobody_needs_and_no_others(
    store: Store, data: Path, clock
) -> None:
    old = await new_file(store, "uploads/file_old000000.png", kind="upload")
    await store.files.add(old)
    await enqueue(store)
    claimed = await claim(store)
    await complete(store, claimed, [StageName.SCRIPT])
    clock.advance(100)
    fresh = await new_file(store, "uploads/file_fresh0000.png", kind="upload")
    await store.files.add(fresh)
    report = await collect(store.files, store.blobs, before_ms=clock.now_ms() - 1000)
    assert report.files == 1
    assert not (data / "uploads/file_old000000.png").exists()
    assert (data / "uploads/file_fresh0000.png").exists()
    assert (data / f"outputs/{claimed.job.job_id}/script.bin").exists()


async def test_work_folders_are_emptied_at_start(store: Store, data: Path) -> None:
    put(data, "work/job_1/video-1/frame.png")
    put(data, "work/ticket/upload")
    await clear_work(store.blobs)
    assert list((data / "work").iterdir()) == []


async def test_one_file_that_cannot_go_holds_up_no_other(store: Store, data: Path) -> None:
    """A player holds it on Windows; here a folder stands in its place."""
    await enqueue(store)
    done = await run_to_success(store)
    stuck = data / f"outputs/{done.job_id}/video.mp4"
    stuck.unlink()
    (stuck / "inside").mkdir(parents=True)
    deleted = await store.jobs.delete(done.job_id)
    await unlink_files(store.files, store.blobs, deleted.files)
    assert [record.rel_path for record in await store.files.to_purge()] == [
        f"outputs/{done.job_id}/video.mp4"
    ]
    row = await new_file(store, "uploads/file_after0000.png", kind="upload")
    await store.files.add(row)
    await store.files.mark_deleted([row.file_id])
    report = await purge_deleted(store.files, store.blobs)
    assert report.files == 1
    assert not (data / "uploads/file_after0000.png").exists()
    (stuck / "inside").rmdir()
    stuck.rmdir()
    assert (await purge_deleted(store.files, store.blobs)).files == 1
    assert await store.files.to_purge() == []
