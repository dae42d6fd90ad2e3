"""What speech and voices have reached survives a kill: the place in a plan of engines, the refinement of a match."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.lives import Life, life
from tests.support.twin_worker import write_tone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def cloned_voice(alive: Life, folder: Path) -> str:
    write_tone(folder / "me.wav", 1.0)
    answer = alive.http.post(
        "/api/voice/clone", files={"audio_file": ("me.wav", (folder / "me.wav").read_bytes(), "audio/wav")}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["voice_id"])


@pytest.mark.parametrize(
    ("code", "point", "tries"),
    [
        # After the hop was closed and the job put back, before anybody heard of it.
        ("timeout", "told:fallback:1", ["failed"]),
        # Between the first failure and the second try.
        ("gpu_fault", "told:retry_scheduled:1", ["failed", "failed"]),
        # While the second engine speaks: its sound is there, its row is not.
        ("timeout", "renamed:audio.wav:1", ["failed"]),
    ],
)
def test_the_place_in_the_plan_survives_a_kill(
    tmp_path: Path, code: str, point: str, tries: list[str]
) -> None:
    with life(tmp_path, "--speech", code, "--die", point) as first:
        job = first.submit(voice_id=cloned_voice(first, tmp_path))
        assert job is not None
        first.dies_of_itself()
    with life(tmp_path, "--speech", code) as second:
        view = second.end_of(job)
    assert (view["status"], view["speech_engine"]) == ("completed", "builtin")
    hops = [(hop["engine"], hop["outcome"]) for hop in view["attempts"] if hop["stage"] == "speech"]
    assert [outcome for engine, outcome in hops if engine == "twinclone"] == tries, "nobody is asked again"
    assert hops[-1] == ("builtin", "succeeded")
    assert f"It ends with {code}." in view["fallback_reason"]
    assert "voice_fallback" in view["notice_codes"]


def match_of(alive: Life, voice_id: str) -> dict[str, object]:
    found: dict[str, object] = alive.http.get(f"/api/voices/{voice_id}").json()["match"]
    return found


def test_a_refinement_that_died_with_the_service_is_begun_again(tmp_path: Path) -> None:
    with life(tmp_path, "--die", "sql:UPDATE voices SET match_state:1") as first:
        voice_id = cloned_voice(first, tmp_path)
        first.dies_of_itself()
    with life(tmp_path) as second:
        second.until(lambda: match_of(second, voice_id)["state"] == "refined", "the refined match")


def test_a_refinement_that_always_kills_is_not_begun_for_ever(tmp_path: Path) -> None:
    voice_id = ""
    for _ in range(3):
        with life(tmp_path, "--die", "sql:UPDATE voices SET match_state:1") as alive:
            voice_id = voice_id or cloned_voice(alive, tmp_path)
            alive.dies_of_itself()
    with life(tmp_path) as last:
        match = last.until(
            lambda: match_of(last, voice_id)["reason"] and match_of(last, voice_id), "the reason"
        )
    assert match["state"] == "fast", "what there is goes on speaking"
    assert "3 times" in str(match["reason"])
