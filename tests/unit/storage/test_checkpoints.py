"""Finished parts of a video: who has them, who takes them over, and what is never touched."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from backend.storage.checkpoints import Checkpoints

FIRST, SECOND = "job_aaaaaaaa1", "job_bbbbbbbb2"


async def filled(
    parts: Checkpoints, job_id: str, engine: str = "wan2gp", *, name: str = "part-1.mp4"
) -> Path:
    folder = await parts.open(job_id, engine)
    (folder / name).write_bytes(b"x" * 100)
    return folder


async def test_a_folder_is_there_when_it_is_opened_and_keeps_what_lies_in_it(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path / "checkpoints")
    folder = await filled(parts, FIRST)
    assert folder == tmp_path / "checkpoints" / FIRST / "wan2gp"
    assert await parts.open(FIRST, "wan2gp") == folder
    assert (folder / "part-1.mp4").stat().st_size == 100


async def test_a_retry_has_the_parts_of_the_job_before_whichever_comes_first(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path)
    await filled(parts, FIRST)
    # The request that makes the retry, and the run of the retry, at the same moment.
    _, folder = await asyncio.gather(
        parts.take_over(FIRST, SECOND), parts.open(SECOND, "wan2gp", retry_of=FIRST)
    )
    assert [path.name for path in folder.iterdir()] == ["part-1.mp4"]
    assert not (tmp_path / FIRST).exists()


async def test_an_empty_folder_of_the_retry_makes_way_and_a_filled_one_stays(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path)
    await filled(parts, FIRST)
    folder = await parts.open(SECOND, "wan2gp")
    await parts.take_over(FIRST, SECOND)
    assert [path.name for path in folder.iterdir()] == ["part-1.mp4"]

    await filled(parts, FIRST, name="older.mp4")
    await parts.take_over(FIRST, SECOND)
    assert [path.name for path in folder.iterdir()] == ["part-1.mp4"], "what is newer stays"


async def test_engines_do_not_share_their_parts(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path)
    await filled(parts, FIRST, "wan2gp")
    await filled(parts, FIRST, "infinitetalk", name="other.mp4")
    await parts.take_over(FIRST, SECOND)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.mp4")) == [
        f"{SECOND}/infinitetalk/other.mp4",
        f"{SECOND}/wan2gp/part-1.mp4",
    ]


async def test_tidying_removes_empty_folders_only(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path)
    await filled(parts, FIRST)
    await parts.open(FIRST, "draft")
    await parts.open(SECOND, "draft")
    await parts.tidy(FIRST)
    await parts.tidy(SECOND)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        FIRST,
        f"{FIRST}/wan2gp",
        f"{FIRST}/wan2gp/part-1.mp4",
    ]


async def test_dropping_tells_what_went_and_twice_is_no_error(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path)
    await filled(parts, FIRST)
    gone = await parts.drop(FIRST)
    assert (gone.count, gone.size_bytes) == (1, 100)
    assert (await parts.drop(FIRST)).count == 0
    assert not (tmp_path / FIRST).exists()


async def test_the_list_holds_our_own_names_only_and_the_oldest_first(tmp_path: Path) -> None:
    parts = Checkpoints(tmp_path)
    assert await Checkpoints(tmp_path / "nowhere").all() == ()
    for job_id, age in ((FIRST, 10), (SECOND, 90)):
        os.utime(await filled(parts, job_id) / "part-1.mp4", (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "my films").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert [found.job_id for found in await parts.all()] == [SECOND, FIRST]


@pytest.mark.parametrize("name", ["../outside", "job_x", "JOB_AAAAAAAA1", ""])
async def test_a_name_that_is_no_job_leads_nowhere(tmp_path: Path, name: str) -> None:
    parts = Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match="job"):
        await parts.open(name, "wan2gp")
    with pytest.raises(ValueError, match="job"):
        await parts.drop(name)
    with pytest.raises(ValueError, match="folder"):
        await parts.open(FIRST, "../wan2gp")
