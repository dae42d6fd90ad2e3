"""Keys made on the page: kept as hashes, accepted like the service's own, refused the moment they are deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError, UnknownId
from backend.services.access import Access
from backend.services.key_ring import KeyRing, digest_of
from backend.storage import api_keys
from backend.storage.store import Store
from backend.utils.clock import ManualClock
from tests.support.studio import settings_in
from tests.unit.storage.kit import open_test_store


def no_death(error: BaseException) -> NoReturn:
    raise AssertionError("a background task died") from error


@asynccontextmanager
async def ring_in(folder: Path, clock: ManualClock) -> AsyncIterator[tuple[KeyRing, Store]]:
    store = await open_test_store(folder, clock)
    ring = KeyRing(store.keys, clock, on_death=no_death)
    await ring.start()
    try:
        yield ring, store
    finally:
        await ring.stop()
        await store.close()


async def access_with(ring: KeyRing, store: Store, folder: Path, clock: ManualClock) -> Access:
    access = Access(clock)
    await access.load(settings_in(folder, api_key="mine"), store.settings)
    access.use(ring)
    return access


async def test_a_key_is_told_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    async with ring_in(tmp_path, ManualClock()) as (ring, store):
        made = await ring.create("comfy")
        assert made.key.startswith(made.prefix)
        (record,) = await store.keys.list_all()
        assert record.digest == digest_of(made.key)
        assert made.key not in ring.all().model_dump_json()
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert made.key.encode() not in path.read_bytes()


async def test_it_opens_what_the_services_own_key_opens_and_is_no_owner(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ring_in(tmp_path, clock) as (ring, store):
        access = await access_with(ring, store, tmp_path, clock)
        made = await ring.create("comfy")
        assert access.accepts_key(made.key)
        assert not access.is_owner_key(made.key)
        assert access.is_owner_key("mine")
        assert not access.accepts_key(made.key[:-1])
        own, other = access.open_session("mine"), access.open_session(made.key)
        assert access.accepts_session(own)
        assert access.is_owner_session(own)
        assert access.accepts_session(other)
        assert not access.is_owner_session(other)
        expiry, key_id, signature = other.split(".")
        for forged in (
            f"{expiry}.{signature}",
            f"{expiry}.key_zzzzzzzz1.{signature}",
            f"{expiry}.{key_id}.{'0' * 64}",
        ):
            assert not access.accepts_session(forged)


async def test_a_deleted_key_is_refused_at_once_with_its_sessions(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ring_in(tmp_path, clock) as (ring, store):
        access = await access_with(ring, store, tmp_path, clock)
        made, kept = await ring.create("a"), await ring.create("b")
        session = access.open_session(made.key)
        await ring.delete(made.key_id)
        assert not access.accepts_key(made.key)
        assert not access.accepts_session(session)
        assert access.accepts_key(kept.key)
        with pytest.raises(UnknownId):
            await ring.delete(made.key_id)


async def test_when_it_was_used_is_told_at_once_and_written_in_its_time(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ring_in(tmp_path, clock) as (ring, store):
        access = await access_with(ring, store, tmp_path, clock)
        made = await ring.create("a")
        clock.advance(5)
        for _ in range(100):
            assert access.accepts_key(made.key)
        (view,) = ring.all().data
        assert view.last_used_at is not None
        (record,) = await store.keys.list_all()
        assert record.last_used_at is None, "a request writes nothing"
    async with ring_in(tmp_path, clock) as (again, _):
        (view_again,) = again.all().data
        assert view_again.last_used_at == view.last_used_at


async def test_there_is_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_KEYS", 2)
    async with ring_in(tmp_path, ManualClock()) as (ring, _):
        for name in ("a", "b"):
            await ring.create(name)
        with pytest.raises(RequestError) as caught:
            await ring.create("c")
        assert caught.value.code is ErrorCode.RATE_LIMITED
        assert len(ring.all().data) == 2


async def test_without_a_key_mode_no_key_opens_anything(tmp_path: Path) -> None:
    clock = ManualClock()
    async with ring_in(tmp_path, clock) as (ring, store):
        access = Access(clock)
        await access.load(settings_in(tmp_path), store.settings)
        access.use(ring)
        made = await ring.create("kept for later")
        assert not access.is_required
        assert not access.accepts_session(f"9999999999.{made.key_id}.{'0' * 64}")
