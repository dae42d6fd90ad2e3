"""Shared front ends: their tables load once for all text tests."""

from pathlib import Path

import pytest

from workers.speech.text.en import English
from workers.speech.text.front import Reader
from workers.speech.text.zh import Chinese

ASSETS = Path(__file__).resolve().parents[3] / "assets"


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader(ASSETS / "g2p")


@pytest.fixture(scope="session")
def chinese() -> Chinese:
    return Chinese(ASSETS / "g2p")


@pytest.fixture(scope="session")
def english() -> English:
    return English(ASSETS / "g2p")
