"""Wan2GP's voices in our worker against the REAL upstream, on a CPU. Optional, like test_wan2gp_upstream.py."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.worker_types import ProgressUpdate, TaskRequest
from backend.models.codes import ErrorCode
from backend.models.errors import JobCancelled
from tests.fixtures.workers.harness import ROOT, make_request
from tests.integration import test_wan2gp_upstream as upstream
from tests.integration.test_wan2gp_upstream import Rig
from tests.support.speech_task import write_reference
from workers.wan2gp.voices import load_voices

pytestmark = upstream.pytestmark
whole_rig = upstream.whole_rig
rig = upstream.rig

VOICES = load_voices(ROOT / "assets")
ODD = (
    'Hello there, my friend. He said: [laughter] "yes"! #1 {name} is <a|b> Speaker 1: go. 今天是3月5日，天气很好。'
    "我喜欢 Python 编程。!Attention please.\nREADME.md"
)


def spoken(rig: Rig, name: str, text: str, transcript: str = "This is how I speak.") -> TaskRequest:
    """A speech task as the service would give it."""
    request = make_request(rig.folder, "speech", deadline_s=300.0, seed=11)
    inputs: dict[str, Path] = {
        "script": rig.folder / f"script-{request.attempt}.json",
        "reference": write_reference(rig.folder / "样本.wav"),
        "reference_text": rig.folder / "transcript.txt",
    }
    inputs["script"].write_text(json.dumps({"text": text}), "utf-8")
    inputs["reference_text"].write_text(transcript, "utf-8")
    return replace(request, inputs=inputs, params={"model": name}, model=name)


@pytest.mark.parametrize("name", VOICES)
async def test_every_sentence_passes_upstreams_own_checks_as_it_is_meant(rig: Rig, name: str) -> None:
    voice = VOICES[name]
    result = await rig.run(request := spoken(rig, name, ODD))
    assert result.data["sentences"] == len(rig.settings())
    assert {artifact.role for artifact in result.artifacts} == {"speech", "timings"}
    with wave.open(str(request.output_dir / "speech.wav")) as stream:
        assert (stream.getframerate(), stream.getnchannels()) == (24_000, 1)
    drawn = rig.orders.seen("draw")
    assert {draw["model_type"] for draw in drawn} == {voice.model_type}
    assert {draw["model_mode"] for draw in drawn} == set(voice.languages.values()) - {
        voice.languages.get("ja", "")
    } | ({voice.mixed} if voice.mixed else set())
    assert {draw["audio_prompt_type"] for draw in drawn} == {"A"}
    assert all(draw["audio_guide"] and not draw["audio_guide2"] for draw in drawn)
    assert all(draw["input_prompt"] for draw in drawn)
    transcript = "This is how I speak." if voice.transcript_max_s else ""
    assert {draw["alt_prompt"] for draw in drawn} == {transcript}
    assert len({draw["seed"] for draw in drawn}) == len(drawn)
    assert len(rig.orders.seen("load")) <= 1
    assert sorted(path.name for path in request.output_dir.iterdir()) == ["speech.wav", "timings.json"]


async def test_speech_and_video_take_turns_in_one_process(rig: Rig) -> None:
    pid = rig.supervisor.snapshot().pid
    await rig.run(spoken(rig, "wan2gp_index_tts", "One fine day."))
    upstream.check_film(await rig.run(request := rig.job("Wan t2v 1.3B", seconds=0.6)), request)
    await rig.run(spoken(rig, "wan2gp_index_tts", "And another one."))
    assert [load["model_type"] for load in rig.orders.seen("load")] == ["index_tts25"]
    assert rig.supervisor.snapshot().pid == pid


async def test_a_sentence_that_comes_to_nothing_is_tried_three_times(rig: Rig) -> None:
    rig.orders.give(draw="nothing")
    failure = await rig.failure(spoken(rig, "wan2gp_qwen3_tts", "Nothing comes of this."))
    assert failure.code is ErrorCode.NO_OUTPUT
    assert len(rig.orders.seen("draw")) == 3


async def test_a_cancel_ends_the_sentence_that_is_being_spoken(rig: Rig) -> None:
    rig.orders.give(step_s=0.2)

    def is_speaking(update: ProgressUpdate) -> bool:
        return bool(rig.orders.seen("draw"))

    with pytest.raises(JobCancelled):
        await rig.run(
            spoken(rig, "wan2gp_omnivoice", "Cancel me here. Nothing of this."), cancel_when=is_speaking
        )
    assert len(rig.orders.seen("draw")) == 1
    rig.orders.give()
    result = await rig.run(spoken(rig, "wan2gp_omnivoice", "It goes on."))
    assert result.data["sentences"] == 1
