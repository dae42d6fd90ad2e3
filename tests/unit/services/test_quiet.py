"""Background work waits until nobody works, and sees at once when somebody comes."""

from __future__ import annotations

import asyncio

import pytest

from backend.services import quiet
from backend.services.quiet import QuietTimes


async def test_quiet_is_when_the_last_one_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "SETTLE_S", 0.0)
    times = QuietTimes()
    with times.busy():
        with times.busy():
            assert not times.is_quiet
        assert not times.is_quiet
        waiting = asyncio.create_task(times.wait_quiet())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 10)
    assert times.is_quiet


async def test_quiet_has_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    times = QuietTimes()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            with times.busy():  # somebody comes and goes while the silence is being listened to
                pass

    monkeypatch.setattr(quiet.asyncio, "sleep", sleep)
    await times.wait_quiet()
    assert slept == [quiet.SETTLE_S] * 2
