"""What of an engine's many reports is written: points, and now and then a message alone."""

from __future__ import annotations

import asyncio

from backend.models.codes import StageName
from backend.services.job_progress import (
    MESSAGE_EVERY_S,
    MESSAGES_PER_STAGE,
    SPANS,
    WRITE_EVERY_S,
    StageProgress,
)
from backend.utils.clock import ManualClock


class Rows:
    """A stage with its clock and the rows that were written."""

    def __init__(self, stage: StageName = StageName.SCRIPT, floor: float = 0.0) -> None:
        self.rows: list[tuple[float, str]] = []
        self.clock = ManualClock()
        self._progress = StageProgress(stage, floor=floor, clock=self.clock, write=self._write)

    async def _write(self, percent: float, message: str, eta_s: float | None) -> None:
        self.rows.append((percent, message))

    async def report(self, fraction: float | None, message: str, after_s: float = 0.0) -> None:
        self.clock.advance(after_s)
        self._progress.report(fraction, message)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_a_new_message_is_written_without_a_point_but_not_each_time() -> None:
    stage = Rows()
    await stage.report(0.0, "asked")
    await stage.report(0.01, "3 characters", MESSAGE_EVERY_S / 2)
    await stage.report(0.02, "6 characters", MESSAGE_EVERY_S / 2)
    await stage.report(0.02, "6 characters", MESSAGE_EVERY_S * 5)
    assert [message for _, message in stage.rows] == ["asked", "6 characters"]
    percents = [percent for percent, _ in stage.rows]
    assert percents == sorted(percents)


async def test_messages_alone_are_bounded_and_points_are_not() -> None:
    stage = Rows(StageName.VIDEO)
    low, high = SPANS[StageName.VIDEO]
    for number in range(MESSAGES_PER_STAGE * 3):
        await stage.report(None, f"frame {number}", MESSAGE_EVERY_S)
    assert len(stage.rows) == MESSAGES_PER_STAGE
    for step in range(1, 11):
        await stage.report(step / 10, "frames", WRITE_EVERY_S)
    assert len(stage.rows) == MESSAGES_PER_STAGE + 10
    assert stage.rows[-1][0] == high
    assert all(low <= percent <= high for percent, _ in stage.rows)


async def test_progress_never_goes_back() -> None:
    stage = Rows(StageName.VIDEO, floor=50.0)
    await stage.report(0.0, "again from the beginning", 10)
    assert stage.rows == [(50.0, "again from the beginning")]


async def test_a_point_that_came_too_soon_after_a_row_is_written_although_nothing_more_is_reported() -> None:
    """An engine says where it is and then holds the interpreter for minutes."""
    stage = Rows(StageName.VIDEO)
    await stage.report(None, "loading")
    await stage.report(0.1, "working")
    assert [message for _, message in stage.rows] == ["loading"]
    stage.clock.advance(WRITE_EVERY_S)
    for _ in range(500):
        await asyncio.sleep(0.02)
        if len(stage.rows) == 2:
            break
    assert [message for _, message in stage.rows] == ["loading", "working"]
