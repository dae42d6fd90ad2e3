"""A job that fell back to another speech engine goes on with that one after the service was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.lives import Life, life
from tests.support.twin_worker import write_tone

pytestmark = pytest.mark.timeout(300)


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
