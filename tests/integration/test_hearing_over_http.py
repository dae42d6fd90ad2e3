"""Hearing back in the life of a job: what callers see of it, with twins in place of the workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from tests.support.studio import running_studio
from tests.support.twin_recogniser import TwinRecogniser


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `--with-recogniser` had been run: the service only looks for these files."""
    monkeypatch.setattr("backend.services.hearing.BASE_DIR", tmp_path)
    for name in (
        "data/models/whisper-base/manifest.json",
        ".venv-listen/bin/python",
        ".venv-listen/Scripts/python.exe",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()


async def test_a_swallowed_word_is_spoken_again_and_told(tmp_path: Path) -> None:
    recogniser = TwinRecogniser({(0, 0): 0.5})
    async with running_studio(tmp_path, recogniser=recogniser, hear_back="on") as studio:
        view = await studio.wait_for(await studio.submit())
        assert view["status"] == "completed"
        assert view["speech_report"] == {"heard": 1, "retried": 1, "doubtful": [], "doubtful_count": 0}
        assert "speech_doubtful" not in view["notice_codes"]
        orders = [request.params.get("again") for request in studio.speech.seen if request.task == "speech"]
        assert orders == [None, [0]]
        report = (await studio.http.get(view["artifacts"]["speech_report"])).json()
        assert report == {"version": 1, "heard": 1, "retried": 1, "doubtful": []}


async def test_what_stays_doubtful_is_a_notice_and_not_a_failure(tmp_path: Path) -> None:
    recogniser = TwinRecogniser({(0, 0): 0.5, (0, 1): 0.6})
    async with running_studio(tmp_path, recogniser=recogniser, hear_back="on") as studio:
        view = await studio.wait_for(await studio.submit(script_input="Birds sing in spring."))
        assert view["status"] == "completed"
        [doubt] = view["speech_report"]["doubtful"]
        assert (doubt["text"], doubt["error"], doubt["missing"]) == ("Birds sing in spring.", 0.5, ["sing"])
        assert "speech_doubtful" in view["notice_codes"]


async def test_a_recogniser_that_breaks_leaves_the_speech_as_it_is(tmp_path: Path) -> None:
    recogniser = TwinRecogniser({})
    recogniser.fails_at[1] = EngineFailure(ErrorCode.WORKER_CRASHED, "The recogniser ended.")
    async with running_studio(tmp_path, recogniser=recogniser, hear_back="on") as studio:
        view = await studio.wait_for(await studio.submit())
        assert view["status"] == "completed"
        assert view["speech_report"]["failed"] == "The recogniser ended."
        assert "speech_not_heard" in view["notice_codes"]


async def test_built_in_voices_are_not_heard_unless_asked(tmp_path: Path) -> None:
    recogniser = TwinRecogniser({})
    async with running_studio(tmp_path, recogniser=recogniser) as studio:
        view = await studio.wait_for(await studio.submit())
        assert view["status"] == "completed"
        assert view["speech_report"] is None
        assert view["artifacts"]["speech_report"] is None
        assert recogniser.asked == []
