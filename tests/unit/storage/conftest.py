"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.storage.store import Store
from backend.utils.clock import ManualClock
from tests.unit.storage.kit import open_test_store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = await open_test_store(tmp_path, clock)
    yield opened
    await opened.close()
