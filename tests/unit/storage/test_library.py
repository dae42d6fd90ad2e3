"""Voices, avatars, files, flags and workers."""

from __future__ import annotations

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, RequestError
from backend.models.file_records import NewAvatar, NewVoice
from backend.storage.store import Store
from tests.unit.storage.kit import new_file


async def test_a_voice_is_stored_with_its_sample_consent_and_profile(store: Store, clock) -> None:
    sample = await new_file(store, "uploads/file_sample00.wav", kind="voice")
    consent = {"agreed": True, "who": "我"}
    new = NewVoice(
        "voice_1234abcd", "Mia", "wan2gp", "ready", sample, "zh", "female", consent, {"duration_s": 9.5}
    )
    voice = await store.voices.create(new)
    assert voice == await store.voices.get("voice_1234abcd")
    assert (voice.file_id, voice.consent, voice.profile) == (sample.file_id, consent, {"duration_s": 9.5})
    clock.advance(1)
    await store.voices.create(NewVoice("voice_second00", "Built", "kokoro", "processing"))
    assert [item.voice_id for item in await store.voices.list_all()] == ["voice_second00", "voice_1234abcd"]
    changed = await store.voices.update("voice_second00", status="ready", name="New", profile={"a": 1})
    assert (changed.status, changed.name, changed.profile) == ("ready", "New", {"a": 1})
    (freed,) = await store.voices.delete("voice_1234abcd")
    assert freed.file_id == sample.file_id
    assert len(await store.voices.list_all()) == 1


async def test_rows_of_one_moment_are_told_apart(store: Store, clock) -> None:
    for number in range(3):
        await store.voices.create(NewVoice(f"voice_0000000{number}", "x", "kokoro", "ready"))
        picture = await new_file(store, f"uploads/file_0000000{number}.png", kind="avatar")
        await store.avatars.create(NewAvatar(f"avatar_0000000{number}", "x", picture))
    clock.advance(1)
    await store.voices.create(NewVoice("voice_00000009", "x", "kokoro", "ready"))
    all_voices, all_avatars = await store.voices.list_all(), await store.avatars.list_all()
    assert [row.voice_id[-1] for row in all_voices] == ["9", "0", "1", "2"]
    for place, voice in enumerate(all_voices):
        assert (
            await store.voices.page((voice.created_at, voice.voice_id), 2)
            == all_voices[place + 1 : place + 3]
        )
    for place, avatar in enumerate(all_avatars):
        assert (
            await store.avatars.page((avatar.created_at, avatar.avatar_id), 2)
            == all_avatars[place + 1 : place + 3]
        )


async def test_an_unknown_or_deleted_voice_or_avatar_is_named_as_such(store: Store) -> None:
    await store.voices.create(NewVoice("voice_deleted0", "x", "kokoro", "ready"))
    await store.voices.delete("voice_deleted0")
    for voice_id in ("voice_deleted0", "voice_nowhere0"):
        for call in (store.voices.get, store.voices.delete, store.voices.update):
            with pytest.raises(RequestError) as caught:
                await call(voice_id)
            assert caught.value.code is ErrorCode.VOICE_NOT_FOUND
    for call in (store.avatars.get, store.avatars.delete, store.avatars.update):
        with pytest.raises(RequestError) as caught:
            await call("avatar_nowhere")
        assert caught.value.code is ErrorCode.AVATAR_NOT_FOUND


async def test_an_avatar_is_stored_with_its_three_files_which_go_with_it(store: Store) -> None:
    files = [
        await new_file(store, f"uploads/file_avatar0{number}.png", data=bytes([number]), kind="avatar")
        for number in range(3)
    ]
    avatar = await store.avatars.create(
        NewAvatar("avatar_12345678", "Me", *files, profile={"faces": [{"x": 0.1}]})
    )
    assert avatar == await store.avatars.get("avatar_12345678")
    assert [avatar.file_id, avatar.thumbnail_file_id, avatar.source_file_id] == [
        file.file_id for file in files
    ]
    assert (await store.avatars.update("avatar_12345678", name="You")).name == "You"
    assert await store.avatars.list_all() == [await store.avatars.get("avatar_12345678")]
    assert await store.files.mark_deleted([file.file_id for file in files]) == [], "in use"
    freed = await store.avatars.delete("avatar_12345678")
    assert {file.file_id for file in freed} == {file.file_id for file in files}
    assert await store.avatars.list_all() == []


async def test_a_name_of_a_client_is_kept_for_display_and_names_nothing_on_disk(store: Store) -> None:
    file = await new_file(store, "uploads/file_name00000.png", kind="upload")
    hostile = '../../<img src=x onerror="1">\n.png'
    record = await store.files.add(
        type(file)(**{**file.__dict__, "original_name": hostile, "meta": {"w": 3}})
    )
    assert (record.original_name, record.rel_path) == (hostile, "uploads/file_name00000.png")
    assert (await store.files.get(file.file_id)).meta == {"w": 3}


async def test_a_deleted_file_is_gone_for_readers_but_known_to_the_store(store: Store) -> None:
    file = await new_file(store, "uploads/file_gone00000.png", kind="upload")
    await store.files.add(file)
    assert await store.files.known_paths([file.blob.rel_path, "uploads/other"]) == {file.blob.rel_path}
    assert await store.files.usage() == {"upload": (1, 5)}
    await store.files.mark_deleted([file.file_id])
    for file_id in (file.file_id, "file_nowhere00"):
        with pytest.raises(RequestError) as caught:
            await store.files.get(file_id)
        assert caught.value.code is ErrorCode.GONE
    found = await store.files.find(file.file_id)
    assert found is not None
    assert found.deleted_at is not None
    assert await store.files.known_paths([file.blob.rel_path]) == {file.blob.rel_path}
    await store.files.mark_purged([file.file_id])
    assert await store.files.known_paths([file.blob.rel_path]) == set()
    assert await store.files.usage() == {}


async def test_a_place_on_disk_holds_one_file_at_a_time(store: Store) -> None:
    first = await new_file(store, "uploads/file_place0000.png", kind="upload")
    second = await new_file(store, "uploads/file_place0000.png", kind="upload")
    await store.files.add(first)
    with pytest.raises(ProductError):
        await store.files.add(second)
    await store.files.mark_deleted([first.file_id])
    await store.files.mark_purged([first.file_id])
    assert (await store.files.add(second)).file_id == second.file_id


async def test_flags_are_kept_replaced_and_forgotten(store: Store) -> None:
    assert await store.settings.get("api_key") is None
    await store.settings.set("api_key", {"hash": "a"})
    await store.settings.set("api_key", {"hash": "b"})
    assert await store.settings.get("api_key") == {"hash": "b"}
    await store.settings.delete("api_key")
    await store.settings.delete("api_key")
    assert await store.settings.get("api_key") is None


async def test_workers_of_earlier_boots_are_found_until_they_are_forgotten(store: Store) -> None:
    for boot, worker in (("a", "w1"), ("a", "w2"), ("b", "w3")):
        await store.workers.register(
            worker_id=worker, boot_id=boot, engine="draft", pid=7, pid_started="123.4", command="python -m x"
        )
    left = await store.workers.left_over("b")
    assert sorted((row.worker_id, row.pid, row.pid_started) for row in left) == [
        ("w1", 7, "123.4"),
        ("w2", 7, "123.4"),
    ]
    await store.workers.forget("w1")
    assert [row.worker_id for row in await store.workers.left_over("b")] == ["w2"]
