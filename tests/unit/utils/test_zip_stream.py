"""An archive that is sent while it is made: as long as was said, and every program can open it."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from backend.utils import zip_stream as module
from backend.utils.zip_stream import CHUNK_BYTES, ZipEntry, ZipSourceChanged, zip_length, zip_stream

MOMENT = datetime(2026, 11, 23, 7, 8, 10)  # noqa: DTZ001 - a DOS date has no zone


async def whole(entries: list[ZipEntry]) -> bytes:
    pieces = [piece async for piece in zip_stream(entries)]
    assert max(map(len, pieces)) <= CHUNK_BYTES
    return b"".join(pieces)


async def test_files_and_bytes_come_out_as_they_went_in_with_names_and_times(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 3000)
    entries = [
        ZipEntry("六月公告.mp4", large.stat().st_size, large, MOMENT),
        ZipEntry("note.json", 2, b"{}", MOMENT),
        ZipEntry("empty.srt", 0, b"", datetime(1970, 1, 1)),  # noqa: DTZ001
    ]
    data = await whole(entries)
    assert len(data) == zip_length(entries)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [entry.name for entry in entries]
        assert archive.read("六月公告.mp4") == large.read_bytes()
        assert archive.getinfo("note.json").date_time == (2026, 11, 23, 7, 8, 10)
        assert archive.getinfo("empty.srt").date_time[0] == 1980
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.flag_bits & 0x08 for info in archive.infolist()} == {0}, "no data descriptors"


async def test_an_archive_of_nothing_is_one(tmp_path: Path) -> None:
    assert zipfile.ZipFile(io.BytesIO(await whole([]))).namelist() == []


async def test_what_is_too_large_for_the_old_format_goes_into_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With limits of 1,000 bytes and 2 files in place of 4 GiB and 65,535: the same fields, a small disk."""
    monkeypatch.setattr(module, "_FULL_32", 1000)
    monkeypatch.setattr(module, "_FULL_16", 2)
    entries = [ZipEntry(f"{n}.bin", 900 + 100 * n, bytes(900 + 100 * n), MOMENT) for n in range(3)]
    data = await whole(entries)
    assert len(data) == zip_length(entries)
    assert data.count(b"PK\x06\x06") == data.count(b"PK\x06\x07") == 1
    end = data.rindex(b"PK\x05\x06")
    locator = data.rindex(b"PK\x06\x07")
    at = int.from_bytes(data[locator + 8 : locator + 16], "little")
    assert data[at : at + 4] == b"PK\x06\x06"
    assert int.from_bytes(data[at + 32 : at + 40], "little") == 3
    assert locator + 20 == end


def test_sizes_beyond_4_gib_are_told_without_such_a_file() -> None:
    entries = [ZipEntry("a", 5 << 30, Path("nowhere"), MOMENT), ZipEntry("b", 1, b"x", MOMENT)]
    # Both headers of "a" hold two numbers of 64 bits, that of "b" one for its place; then the three ends.
    headers = (30 + 1 + 20) + (30 + 1) + (46 + 1 + 20) + (46 + 1 + 12)
    assert zip_length(entries) == (5 << 30) + 1 + headers + 56 + 20 + 22


@pytest.mark.parametrize("left", [b"", b"half"])
async def test_a_file_that_shrinks_meanwhile_breaks_the_stream_off(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"half of it")
    stream = zip_stream([ZipEntry("f", 10, file, MOMENT)])
    assert (await stream.__anext__())[:2] == b"PK"
    file.write_bytes(left)
    with pytest.raises(ZipSourceChanged):
        await stream.__anext__()
    with pytest.raises(ZipSourceChanged):
        await zip_stream([ZipEntry("f", 10, file, MOMENT)]).__anext__()
