"""The rows of the project's dictionary."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError, UnknownId
from backend.storage import dictionary
from tests.unit.storage.kit import open_test_store


async def test_a_term_has_one_reading_and_a_new_one_replaces_it(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    try:
        first = await store.dictionary.put("单于", "chan2 yu2", "zh")
        again = await store.dictionary.put("单于", "shan4 yu2", "zh")
        assert (again.reading, again.created_at) == ("shan4 yu2", first.created_at)
        assert [entry.term for entry in await store.dictionary.list_all()] == ["单于"]
        await store.dictionary.delete("单于")
        with pytest.raises(UnknownId):
            await store.dictionary.delete("单于")
    finally:
        await store.close()


async def test_the_dictionary_is_bounded_and_a_known_term_can_still_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dictionary, "MAX_ENTRIES", 2)
    store = await open_test_store(tmp_path)
    try:
        await store.dictionary.put("a", "eh", "en")
        await store.dictionary.put("b", "bee", "en")
        with pytest.raises(RequestError) as caught:
            await store.dictionary.put("c", "see", "en")
        assert caught.value.code is ErrorCode.RATE_LIMITED
        assert (await store.dictionary.put("a", "ay", "en")).reading == "ay"
    finally:
        await store.close()
