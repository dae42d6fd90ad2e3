"""What enrolment makes of a voice: its files, its match, and who keeps them."""

from __future__ import annotations

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, RequestError
from backend.models.file_records import NewFile, NewMatch, NewVoice, VoiceRecord
from backend.storage.store import Store
from tests.unit.storage.kit import claim, enqueue, new_file

FAST = {"score": 0.7, "encoder": "resemblyzer", "stage": "fast"}
REFINED = {"score": 0.8, "encoder": "resemblyzer", "stage": "refined"}


async def voice_file(store: Store, name: str) -> NewFile:
    return await new_file(store, f"uploads/file_{name}.bin", data=name.encode(), kind="voice")


async def matched_voice(store: Store, name: str = "voice_matched000") -> VoiceRecord:
    tail = name[-4:]
    return await store.voices.create(
        NewVoice(
            name,
            "Mia",
            "builtin",
            "ready",
            await voice_file(store, f"sample{tail}"),
            reference=await voice_file(store, f"refere{tail}"),
            match=NewMatch("fast", await voice_file(store, f"profil{tail}"), FAST, "af_heart"),
        )
    )


async def test_a_match_is_stored_with_its_files_which_go_with_the_voice(store: Store) -> None:
    voice = await matched_voice(store)
    assert voice == await store.voices.get(voice.voice_id)
    assert (voice.match_state, voice.nearest_preset, voice.similarity) == ("fast", "af_heart", FAST)
    held = [voice.file_id, voice.reference_file_id, voice.profile_file_id]
    assert await store.files.mark_deleted([file_id for file_id in held if file_id]) == [], "in use"
    assert {file.file_id for file in await store.voices.delete(voice.voice_id)} == set(held)


async def test_a_match_without_its_files_is_refused_by_the_database(store: Store) -> None:
    with pytest.raises(ProductError):
        await store.voices.create(
            NewVoice("voice_nofiles000", "x", "builtin", "ready", match=NewMatch("fast"))
        )
    assert await store.voices.list_all() == []


async def test_a_refined_profile_takes_the_place_of_the_fast_one(store: Store) -> None:
    voice = await matched_voice(store)
    assert voice.reference_file_id is not None
    better = await voice_file(store, "profilbetter")
    refined, freed = await store.voices.set_refined(
        voice.voice_id, NewMatch("refined", better, REFINED), reference_file_id=voice.reference_file_id
    )
    assert refined is not None
    assert (refined.match_state, refined.profile_file_id, refined.similarity) == (
        "refined",
        better.file_id,
        REFINED,
    )
    assert refined.nearest_preset == "af_heart", "what a refinement leaves out stays"
    assert [file.file_id for file in freed] == [voice.profile_file_id]
    assert await store.voices.next_to_refine(most_tries=3) is None
    with pytest.raises(ValueError, match="refined already"):
        await store.voices.set_refined(
            voice.voice_id, NewMatch("refined"), reference_file_id=voice.reference_file_id
        )


async def test_a_refinement_of_what_is_no_longer_there_writes_nothing(store: Store) -> None:
    voice = await matched_voice(store)
    assert voice.reference_file_id is not None
    again, freed = await store.voices.enrol(
        voice.voice_id,
        report={"speech_s": 9},
        reference=await voice_file(store, "refereagain"),
        match=NewMatch("failed", reason="No."),
    )
    assert (again.match_state, again.match_reason, again.profile) == ("failed", "No.", {"speech_s": 9})
    assert (again.file_id, again.similarity) == (voice.file_id, None), "the original stays"
    assert {file.file_id for file in freed} == {voice.reference_file_id, voice.profile_file_id}
    late = NewMatch("refined", await voice_file(store, "profillate"), REFINED)
    for voice_id in (voice.voice_id, "voice_nowhere000"):
        outcome = await store.voices.set_refined(voice_id, late, reference_file_id=voice.reference_file_id)
        assert outcome == (None, [])
    assert late.profile is not None
    assert await store.files.find(late.profile.file_id) is None


async def test_refinements_are_counted_so_that_none_is_begun_for_ever(store: Store, clock) -> None:
    older = await matched_voice(store, "voice_older0000")
    clock.advance(1)
    voice = await matched_voice(store, "voice_newer0001")
    assert voice.reference_file_id is not None
    reference = voice.reference_file_id
    for change, tries in ((1, 1), (1, 2), (-1, 1), (1, 2)):
        await store.voices.count_try(voice.voice_id, reference_file_id=reference, change=change)
        assert (await store.voices.get(voice.voice_id)).match_tries == tries
    found = await store.voices.next_to_refine(most_tries=3)
    assert found is not None
    assert found.voice_id == voice.voice_id, "the newest first: somebody waits for it"
    found = await store.voices.next_to_refine(most_tries=2)
    assert found is not None
    assert found.voice_id == older.voice_id
    again, _ = await store.voices.enrol(
        voice.voice_id,
        report={},
        reference=await voice_file(store, "referethird"),
        match=NewMatch("failed", reason="No."),
    )
    assert again.match_tries == 0, "another recording is another chance"


async def test_what_a_person_says_of_a_voice_is_changed_piece_by_piece(store: Store) -> None:
    voice = await matched_voice(store)
    consent = {"given": True, "at": 7, "version": 1}
    changed = await store.voices.update(voice.voice_id, note="phone", language="zh", consent=consent)
    assert (changed.name, changed.note, changed.language, changed.consent) == ("Mia", "phone", "zh", consent)
    assert (await store.voices.update(voice.voice_id, gender="male")).note == "phone"
    with pytest.raises(RequestError) as caught:
        await store.voices.enrol(
            "voice_nowhere000", report={}, reference=await voice_file(store, "x"), match=NewMatch("none")
        )
    assert caught.value.code is ErrorCode.VOICE_NOT_FOUND


async def test_a_replaced_profile_outlives_only_the_jobs_that_read_it(store: Store) -> None:
    voice = await matched_voice(store)
    assert voice.reference_file_id is not None
    assert voice.profile_file_id is not None
    job = await enqueue(store, inputs={"voice_profile": voice.profile_file_id})
    claimed = await claim(store)
    _, freed = await store.voices.set_refined(
        voice.voice_id,
        NewMatch("refined", await voice_file(store, "profilnewer"), REFINED),
        reference_file_id=voice.reference_file_id,
    )
    assert freed == []
    assert await store.files.collectable(before_ms=2**62) == []
    await store.jobs.request_cancel(job.job_id)
    await store.jobs.finish_cancelled(claimed.fence)
    assert [file.file_id for file in await store.files.collectable(before_ms=2**62)] == [
        voice.profile_file_id
    ]
    await store.files.mark_deleted([voice.profile_file_id])
    retry, _ = await store.jobs.new_retry(job.job_id)
    assert (await store.jobs.get_view(retry.job_id)).inputs == {}, "a retry takes what is still there"
