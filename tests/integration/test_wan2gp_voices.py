"""Wan2GP's voices from the service's side down to a real worker process, on the stand-in of upstream."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.engines.base import READY
from backend.engines.speech.base import Speech, SpeechOrder, VoiceFiles
from backend.engines.speech.wan2gp import Wan2GPSpeechEngine, load_voice_facts
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, JobCancelled
from tests.fixtures.workers.harness import ROOT
from tests.support.speech_task import write_reference
from tests.support.wan2gp_rig import Rig, wan2gp_rig

pytestmark = pytest.mark.slow

FACTS = {facts.name: facts for facts in load_voice_facts(ROOT / "assets")}
MODEL_TYPES = {
    "wan2gp_qwen3_tts": "qwen3_tts_base",
    "wan2gp_index_tts": "index_tts25",
    "wan2gp_chatterbox": "chatterbox",
    "wan2gp_omnivoice": "omnivoice",
}
SCRIPT = "Hello there, my friend. 今天天气很好。"
# What upstream would take for a comment, a macro, a variable, a command, a second voice and a file.
ODD_SCRIPT = "#1 of {all}: [/shot] Speaker 1: go! ! {x}=1 is odd.\nREADME.md"


def engine_of(rig: Rig, name: str) -> Wan2GPSpeechEngine:
    return Wan2GPSpeechEngine(
        rig.supervisor, FACTS[name], environment=lambda: READY, has_weights=lambda model: True
    )


async def speak(rig: Rig, name: str, text: str, **more: Any) -> Speech:
    folder = rig.folder / f"说话 {len(list(rig.folder.iterdir()))}"
    folder.mkdir()
    voice = VoiceFiles(
        write_reference(rig.folder / "样本.wav"), reference_text=more.get("transcript", "This is me.")
    )
    return await engine_of(rig, name).speak(
        SpeechOrder(text=text, voice=voice, seed=5),
        job_id="job_abcdefgh",
        attempt=1,
        work_dir=folder,
        deadline_s=100.0,
        report=more.get("report", lambda fraction, message: None),
        cancelled=more.get("cancelled", lambda: False),
    )


def samples_of(speech: Speech) -> np.ndarray:
    with wave.open(str(speech.wav)) as stream:
        assert (stream.getframerate(), stream.getnchannels(), stream.getsampwidth()) == (24_000, 1, 2)
        return np.frombuffer(stream.readframes(stream.getnframes()), "<i2") / 32768.0


@pytest.mark.parametrize("name", MODEL_TYPES)
async def test_every_voice_speaks_a_job_and_upstream_drops_none_of_its_settings(
    tmp_path: Path, name: str
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        told: list[float | None] = []
        spoken = await speak(rig, name, SCRIPT, report=lambda fraction, message: told.append(fraction))
        assert spoken.manner == "clone"
        timings = json.loads(spoken.timings.read_text("utf-8"))
        assert timings["engine"] == name
        assert [one["text"] for one in timings["sentences"]] == ["Hello there, my friend.", "今天天气很好。"]
        assert len(samples_of(spoken)) / 24_000 == pytest.approx(spoken.duration_s, abs=0.01)
        assert np.abs(samples_of(spoken)).max() > 0.05
        assert told == sorted(told, key=lambda fraction: fraction or 0.0)
        tasks = rig.fake.notes("task")
        assert [task["dropped"] for task in tasks] == [[], []]
        assert {task["settings"]["model_type"] for task in tasks} == {MODEL_TYPES[name]}
        prompts = [str(task["settings"]["prompt"]) for task in tasks]
        assert prompts[0] == "Hello there, my friend."
        assert prompts[1].replace(" ", "") == "今天天气很好。"
        assert (" " in prompts[1]) is (name == "wan2gp_chatterbox"), "it alone wants the words apart"
        assert len(rig.fake.notes("load")) == 1, "it stays warm between sentences"
        assert sorted(path.name for path in spoken.wav.parent.iterdir()) == ["speech.wav", "timings.json"]


@pytest.mark.parametrize("name", MODEL_TYPES)
async def test_no_words_are_a_command_to_upstream(tmp_path: Path, name: str) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        (rig.fake.root / "README.md").write_text("not to be read aloud", "utf-8")
        spoken = await speak(rig, name, ODD_SCRIPT)
        sentences = json.loads(spoken.timings.read_text("utf-8"))["sentences"]
        prompts = [task["prompt"] for task in rig.fake.tasks()]
        assert len(prompts) == len(sentences)
        for prompt in prompts:
            assert not set("#!{[<|") & set(prompt[:1])
            assert not set("{}[]<>|\n") & set(prompt)
            assert "Speaker 1:" not in prompt
            assert not (rig.fake.root / prompt).is_file()


async def test_the_model_stays_between_jobs_and_upstream_changes_it_when_another_voice_speaks(
    tmp_path: Path,
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        await speak(rig, "wan2gp_qwen3_tts", "One fine day.")
        await speak(rig, "wan2gp_qwen3_tts", "Another fine day.")
        await speak(rig, "wan2gp_omnivoice", "One fine day.")
        assert [load["model_type"] for load in rig.fake.notes("load")] == ["qwen3_tts_base", "omnivoice"]
        assert len(rig.fake.notes("init")) >= 1
        assert rig.supervisor.snapshot().restarts == 0


async def test_a_job_speaks_and_makes_its_video_in_one_worker(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        spoken = await speak(rig, "wan2gp_index_tts", "One fine day.")
        ready = rig.supervisor.snapshot().ready
        request = rig.request("Wan Multitalk", inputs={"audio": spoken.wav})
        film = await rig.make(request)
        assert [artifact.role for artifact in film.artifacts] == ["video"]
        again = await speak(rig, "wan2gp_index_tts", "And one more thing.")
        assert np.abs(samples_of(again)).max() > 0.05
        loads = [load["model_type"] for load in rig.fake.notes("load")]
        assert loads == ["index_tts25", "multitalk", "index_tts25"]
        assert rig.supervisor.snapshot().restarts == 0
        assert rig.supervisor.snapshot().ready == ready, "the same process"


async def test_a_kept_sentence_needs_no_upstream(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        first = await speak(rig, "wan2gp_chatterbox", "One fine day. Two fine days.")
        made = len(rig.fake.tasks())
        again = await speak(rig, "wan2gp_chatterbox", "One fine day. Two fine days.")
        assert (made, len(rig.fake.tasks())) == (2, 2)
        assert np.array_equal(samples_of(first), samples_of(again))


@pytest.mark.parametrize(
    ("rule", "code", "tasks"),
    [
        ({"do": "oom"}, ErrorCode.GPU_OOM, 1),
        ({"do": "oom_load"}, ErrorCode.GPU_OOM, 1),
        ({"do": "host_oom"}, ErrorCode.HOST_OOM, 1),
        ({"do": "corrupt"}, ErrorCode.MODEL_MISSING, 1),
        ({"do": "missing"}, ErrorCode.MODEL_MISSING, 1),
        ({"do": "sticky"}, ErrorCode.GPU_FAULT, 1),
        ({"do": "error"}, ErrorCode.INTERNAL_ERROR, 1),
        ({"do": "no_file"}, ErrorCode.NO_OUTPUT, 3),
    ],
)
async def test_what_goes_wrong_upstream_has_its_code_and_the_next_job_speaks(
    tmp_path: Path, rule: dict[str, Any], code: ErrorCode, tasks: int
) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({**rule, "times": tasks})
        with pytest.raises(EngineFailure) as caught:
            await speak(rig, "wan2gp_qwen3_tts", "Hello there, my friend.")
        assert caught.value.code == code
        assert len(rig.fake.tasks()) == tasks
        spoken = await speak(rig, "wan2gp_qwen3_tts", "Hello there, my friend.")
        assert np.abs(samples_of(spoken)).max() > 0.05


async def test_a_sentence_that_came_to_nothing_once_is_taken_again(tmp_path: Path) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave({"do": "no_file", "times": 1})
        await speak(rig, "wan2gp_qwen3_tts", "Hello there, my friend.")
        seeds = [task["seed"] for task in rig.fake.tasks()]
        assert len(set(seeds)) == 2


@pytest.mark.parametrize("at", ["first", "second"])
async def test_a_cancel_reaches_the_sentence_that_is_being_made(tmp_path: Path, at: str) -> None:
    async with wan2gp_rig(tmp_path) as rig:
        rig.fake.behave(step_s=0.05)
        wanted = 1 if at == "first" else 2
        with pytest.raises(JobCancelled):
            await speak(
                rig,
                "wan2gp_omnivoice",
                "One fine day. Two fine days.",
                cancelled=lambda: len(rig.fake.notes("call")) >= wanted,
            )
        assert len(rig.fake.tasks()) == wanted
        assert rig.supervisor.snapshot().restarts == 0, "it ended by itself, nobody had to kill it"
        rig.fake.behave()
        await speak(rig, "wan2gp_omnivoice", "A new day.")
        assert rig.supervisor.snapshot().restarts == 0
