"""Hearing back: what is swallowed is spoken once more, the better take is kept, and nothing here fails a job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.engines.speech.base import Report, Speech
from backend.engines.worker_types import WorkerSnapshot
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from backend.services.hearing import MAX_AGAIN, MAX_TOLD, HearBack, Heard, HearingService, notice_of, told
from tests.support.twin_recogniser import TwinRecogniser

TEXTS = ("Birds sing.", "Fish swim.", "Cats sleep.")


class FixtureEngine:
    """Speaks three sentences; those in `again` in their second take."""

    def __init__(self, folder: Path, texts: tuple[str, ...] = TEXTS) -> None:
        self.orders: list[frozenset[int]] = []
        self._texts = texts
        self.first = self._write(folder, frozenset())

    async def again(self, sentences: frozenset[int], work_dir: Path, report: Report) -> Speech:
        self.orders.append(sentences)
        report(1.0, "Spoken")
        return self._write(work_dir, sentences)

    def _write(self, folder: Path, again: frozenset[int]) -> Speech:
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"index": index, "text": text, "take": int(index in again)}
            for index, text in enumerate(self._texts)
        ]
        (folder / "speech.wav").write_bytes(b"RIFF")
        (folder / "timings.json").write_text(json.dumps({"sentences": rows}), encoding="utf-8")
        return Speech(folder / "speech.wav", folder / "timings.json", 1.0, "en", "clone")


def takes_of(speech: Speech) -> list[int]:
    return [row["take"] for row in json.loads(speech.timings.read_text("utf-8"))["sentences"]]


def service(recogniser: TwinRecogniser, tmp_path: Path, mode: HearBack = "auto") -> HearingService:
    return HearingService(
        recogniser, mode=mode, models_dir=tmp_path / "models", python=tmp_path / ".venv-listen" / "python"
    )


@pytest.fixture
def installed(tmp_path: Path) -> None:
    for path in (
        tmp_path / "models" / "whisper-base" / "manifest.json",
        tmp_path / ".venv-listen" / "python",
    ):
        path.parent.mkdir(parents=True)
        path.touch()


async def heard(
    recogniser: TwinRecogniser, engine: FixtureEngine, tmp_path: Path, report: Report = lambda *_: None
) -> Heard:
    return await service(recogniser, tmp_path).hear_back(
        engine.first,
        engine.again,
        job_id="job_1",
        attempt=1,
        work_dir=tmp_path,
        deadline_s=60,
        report=report,
        cancelled=lambda: False,
    )


async def test_speech_that_is_understood_is_spoken_once(tmp_path: Path) -> None:
    recogniser, engine = TwinRecogniser({}), FixtureEngine(tmp_path)
    result = await heard(recogniser, engine, tmp_path)
    assert result.speech is engine.first
    assert result.report == {"heard": 3, "retried": 0, "doubtful": []}
    assert (engine.orders, recogniser.asked) == ([], [None])
    assert notice_of(result.report) is None


async def test_a_swallowed_word_is_spoken_again_and_the_second_take_is_kept(tmp_path: Path) -> None:
    recogniser, engine = TwinRecogniser({(1, 0): 0.5}), FixtureEngine(tmp_path)
    result = await heard(recogniser, engine, tmp_path)
    assert takes_of(result.speech) == [0, 1, 0]
    assert result.report == {"heard": 3, "retried": 1, "doubtful": []}
    assert engine.orders == [{1}]
    # The second time only what was spoken again is heard.
    assert recogniser.asked == [None, [1]]


async def test_of_two_takes_each_sentence_keeps_its_better_one(tmp_path: Path) -> None:
    errors = {(0, 0): 0.4, (0, 1): 0.1, (2, 0): 0.3, (2, 1): 0.6}
    recogniser, engine = TwinRecogniser(errors), FixtureEngine(tmp_path)
    result = await heard(recogniser, engine, tmp_path)
    assert takes_of(result.speech) == [1, 0, 0]
    assert engine.orders == [{0, 2}, {0}]
    [left] = result.report["doubtful"]
    assert (left["index"], left["error"], left["missing"]) == (2, 0.3, ["sing"])
    notice = notice_of(result.report)
    assert notice is not None
    assert notice["code"] == "speech_doubtful"


async def test_a_second_take_that_is_no_better_is_dropped(tmp_path: Path) -> None:
    recogniser, engine = TwinRecogniser({(0, 0): 0.4, (0, 1): 0.4}), FixtureEngine(tmp_path)
    result = await heard(recogniser, engine, tmp_path)
    assert result.speech is engine.first
    assert (result.report["retried"], len(result.report["doubtful"])) == (1, 1)


async def test_a_voice_nobody_understands_is_not_spoken_twice(tmp_path: Path) -> None:
    count = MAX_AGAIN + 1
    recogniser = TwinRecogniser({(index, 0): 1.0 for index in range(count)})
    engine = FixtureEngine(tmp_path, ("Gibberish.",) * count)
    result = await heard(recogniser, engine, tmp_path)
    assert engine.orders == []
    assert (result.report["retried"], len(result.report["doubtful"])) == (0, count)
    short = told(result.report)
    assert (len(short["doubtful"]), short["doubtful_count"]) == (MAX_TOLD, count)


@pytest.mark.parametrize("call", [1, 2])
async def test_a_recogniser_that_fails_costs_the_check_and_not_the_job(tmp_path: Path, call: int) -> None:
    recogniser, engine = TwinRecogniser({(1, 0): 0.5}), FixtureEngine(tmp_path)
    recogniser.fails_at[call] = EngineFailure(ErrorCode.WORKER_CRASHED, "The recogniser ended.")
    result = await heard(recogniser, engine, tmp_path)
    assert result.speech is engine.first
    notice = notice_of(result.report)
    assert notice is not None
    assert notice["code"] == ("speech_not_heard" if call == 1 else "speech_doubtful")


async def test_cancelling_while_listening_cancels_the_job(tmp_path: Path) -> None:
    recogniser, engine = TwinRecogniser({}), FixtureEngine(tmp_path)
    recogniser.fails_at[1] = JobCancelled()
    with pytest.raises(JobCancelled):
        await heard(recogniser, engine, tmp_path)


async def test_an_engine_that_fails_at_the_second_take_fails_as_at_the_first(tmp_path: Path) -> None:
    recogniser, engine = TwinRecogniser({(1, 0): 0.5}), FixtureEngine(tmp_path)

    async def broken(*_: Any) -> Speech:
        raise EngineFailure(ErrorCode.WORKER_CRASHED, "The engine ended.")

    with pytest.raises(EngineFailure):
        await service(recogniser, tmp_path).hear_back(
            engine.first, broken, job_id="job_1", attempt=1, work_dir=tmp_path, deadline_s=60,
            report=lambda *_: None, cancelled=lambda: False,
        )  # fmt: skip


async def test_progress_only_grows(tmp_path: Path) -> None:
    seen: list[float] = []

    def report(fraction: float | None, _message: str) -> None:
        if fraction is not None:
            seen.append(fraction)

    await heard(TwinRecogniser({(1, 0): 0.5}), FixtureEngine(tmp_path), tmp_path, report)
    assert len(seen) >= 4
    assert seen == sorted(seen)
    assert 0.5 < seen[0] < seen[-1] <= 1.0


@pytest.mark.parametrize(
    ("mode", "clone", "builtin"), [("auto", True, False), ("on", True, True), ("off", False, False)]
)
@pytest.mark.usefixtures("installed")
def test_the_setting_decides_whose_speech_is_heard(
    tmp_path: Path, mode: HearBack, clone: bool, builtin: bool
) -> None:
    hearing = service(TwinRecogniser({}), tmp_path, mode)
    assert hearing.readiness().is_ready
    assert (hearing.is_wanted(is_clone=True), hearing.is_wanted(is_clone=False)) == (clone, builtin)


def test_without_a_recogniser_nobody_listens_and_the_fix_is_named(tmp_path: Path) -> None:
    hearing = service(TwinRecogniser({}), tmp_path, "on")
    assert not hearing.is_wanted(is_clone=True)
    readiness = hearing.readiness()
    assert readiness.code == ErrorCode.ENGINE_NOT_INSTALLED
    assert "--with-recogniser" in (readiness.fix or "")


@pytest.mark.usefixtures("installed")
def test_a_recogniser_that_rests_after_crashes_is_not_asked(tmp_path: Path) -> None:
    recogniser = TwinRecogniser({})
    recogniser.snapshot_value = WorkerSnapshot(
        "listen", "unavailable", unavailable_until_ms=1_800_000_000_000
    )
    assert not service(recogniser, tmp_path, "on").is_wanted(is_clone=True)
