"""Bytes on disk: durable in the right order, capped, hashed, and never half there."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, RequestError
from backend.models.file_records import StoredBlob
from backend.storage import blobs as blobs_module
from backend.storage.blobs import BlobStore


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_a_stream_is_written_whole_with_its_size_and_hash(blobs: BlobStore, tmp_path: Path) -> None:
    blob = await blobs.write_stream(stream(b"ab", b"", b"cd"), "uploads/file_1.bin", max_bytes=4)
    assert blob == StoredBlob("uploads/file_1.bin", 4, hashlib.sha256(b"abcd").hexdigest())
    assert blobs.path_of(blob.rel_path).read_bytes() == b"abcd"
    assert files_below(tmp_path) == ["uploads/file_1.bin"]
    assert await blobs.verify(blob)
    assert blobs.rel_path_of(blobs.path_of(blob.rel_path)) == blob.rel_path


async def test_one_byte_too_many_is_refused_without_reading_on_and_leaves_nothing(
    blobs: BlobStore, tmp_path: Path
) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 10

    with pytest.raises(RequestError) as caught:
        await blobs.write_stream(endless(), "uploads/file_1.bin", max_bytes=25)
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert read == 3
    assert files_below(tmp_path) == []


async def test_a_client_that_breaks_off_leaves_nothing_and_keeps_what_was_there(
    blobs: BlobStore, tmp_path: Path
) -> None:
    await blobs.write_bytes(b"old", "uploads/file_1.bin")

    async def breaks() -> AsyncIterator[bytes]:
        yield b"new"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await blobs.write_stream(breaks(), "uploads/file_1.bin", max_bytes=100)
    assert files_below(tmp_path) == ["uploads/file_1.bin"]
    assert (tmp_path / "uploads/file_1.bin").read_bytes() == b"old"


async def test_a_cancelled_upload_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    never = asyncio.Event()
    begun = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield b"some"
        begun.set()
        await never.wait()

    task = asyncio.ensure_future(blobs.write_stream(hangs(), "uploads/file_1.bin", max_bytes=100))
    await begun.wait()
    assert len(files_below(tmp_path)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_below(tmp_path) == []


async def test_bytes_are_synced_before_the_name_and_the_folder_after_it(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_fsync, real_replace, real_mkdir = os.fsync, Path.replace, Path.mkdir

    def fsync(descriptor: int) -> None:
        order.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file")  # noqa: PTH112
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return real_replace(self, target)

    def mkdir(self: Path, *arguments: Any, **options: Any) -> None:
        order.append("new folder")
        real_mkdir(self, *arguments, **options)

    source = tmp_path / "work" / "made.bin"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"made")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    new_folder = ["new folder", "sync folder"]  # its own name must reach the disk too
    await blobs.write_bytes(b"x", "uploads/file_1.bin")
    assert order == [*new_folder, "sync file", "rename", "sync folder"]
    order.clear()
    await blobs.write_bytes(b"x", "uploads/file_2.bin")
    assert order == ["sync file", "rename", "sync folder"]
    order.clear()
    await blobs.adopt(source, "outputs/job_1/made.bin")
    assert order == [*new_folder, *new_folder, "sync file", "rename", "sync folder", "sync folder"]


async def test_an_attempts_file_is_moved_hashed_into_its_place(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "work" / "job_1" / "video-1" / "video.mp4"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"frames")
    blob = await blobs.adopt(source, "outputs/job_1/video.mp4")
    assert (blob.size_bytes, blob.sha256) == (6, hashlib.sha256(b"frames").hexdigest())
    assert not source.exists()
    assert await blobs.verify(blob)


async def test_a_file_that_is_missing_empty_a_link_or_outside_is_no_output(
    blobs: BlobStore, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "empty").touch()
    (work / "real").write_text("x")
    (work / "link").symlink_to(work / "real")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("x")
    for source in (work / "missing", work / "empty", work / "link", work, outside):
        with pytest.raises(ProductError) as caught:
            await blobs.adopt(source, "outputs/job_1/x")
        assert caught.value.code is ErrorCode.NO_OUTPUT
    assert outside.exists()


async def test_a_file_on_another_disk_is_copied_durably(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "work" / "x"
    source.parent.mkdir()
    source.write_bytes(b"far")
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    blob = await blobs.adopt(source, "outputs/job_1/x")
    assert await blobs.verify(blob)
    assert files_below(tmp_path) == ["outputs/job_1/x"]


async def test_a_rename_that_a_virus_scanner_refuses_is_tried_again_but_not_for_ever(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs_module, "_RENAME_FIRST_WAIT_S", 0.0001)
    refusals, calls = 3, 0
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls <= refusals:
            raise PermissionError(errno.EACCES, "held by a scanner")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    await blobs.write_bytes(b"x", "uploads/file_1.bin")
    assert calls == refusals + 1
    refusals, calls = 10**6, 0
    with pytest.raises(ProductError):
        await blobs.write_bytes(b"y", "uploads/file_2.bin")
    assert calls < 20
    assert files_below(tmp_path) == ["uploads/file_1.bin"]


async def test_a_full_disk_is_named_as_such_and_leaves_nothing(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProductError) as caught:
        await blobs.write_bytes(b"x", "uploads/file_1.bin")
    assert caught.value.code is ErrorCode.DISK_FULL
    assert files_below(tmp_path) == []


async def test_changed_or_missing_bytes_do_not_verify(blobs: BlobStore) -> None:
    blob = await blobs.write_bytes(b"true", "uploads/file_1.bin")
    blobs.path_of(blob.rel_path).write_bytes(b"fake")
    assert not await blobs.verify(blob)
    assert await blobs.delete(blob.rel_path)
    assert not await blobs.delete(blob.rel_path)
    assert not await blobs.verify(blob)


async def test_no_path_outside_the_root_is_written_read_or_deleted(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path.parent)
    for path in ("../x", "/x", "out/x", "a\\..\\x"):
        with pytest.raises(RequestError):
            await blobs.write_bytes(b"x", path)
        with pytest.raises(RequestError):
            await blobs.delete(path)
        with pytest.raises(RequestError):
            await blobs.delete_tree(path)


async def test_a_folder_is_removed_with_all_it_holds_but_links_are_not_followed(
    blobs: BlobStore, tmp_path: Path
) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "file").touch()
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "deep" / "link").symlink_to(tmp_path / "keep")
    for _ in range(2):
        await blobs.delete_tree("work/deep")
    assert files_below(tmp_path) == ["keep/file"]
