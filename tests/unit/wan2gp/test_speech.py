"""The `speech` task of the wan2gp worker: what reaches upstream for each model, and what becomes of its answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.speech_task import MemoryContext, Studio, write_reference
from tests.support.wan2gp_voice import RATE, MemoryGenerate
from workers.handler import Task, TaskCancelled, TaskContext, TaskError, WorkerSetup
from workers.wan2gp.sentence_progress import SentenceProgress
from workers.wan2gp.speech import UpstreamVoice, Voices
from workers.wan2gp.voices import load_voices

ROOT = Path(__file__).resolve().parents[3]
ASSETS = ROOT / "assets"
NAMES = ("wan2gp_qwen3_tts", "wan2gp_index_tts", "wan2gp_chatterbox", "wan2gp_omnivoice")
TRANSCRIPT = "This is how I speak."


class Worker:
    """The part of the wan2gp handler that speech needs."""

    def __init__(self, generate: MemoryGenerate, folder: Path) -> None:
        root = folder / "wan2gp_core"
        root.mkdir(exist_ok=True)
        (root / "README.md").write_text("not to be read aloud", "utf-8")
        options = {"assets_dir": str(ASSETS), "checkpoints": [str(folder / "weights")]}
        setup = WorkerSetup("wan2gp", root, folder, folder, folder / "kept", None, options)
        self.voices = Voices(setup, generate)

    def load(self, setup: WorkerSetup) -> dict[str, Any]:
        return {}

    def run(self, task: Task, context: TaskContext) -> dict[str, Any]:
        return self.voices.run(object(), task, context)

    def unload(self) -> None: ...


@pytest.fixture(autouse=True)
def the_package_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeping a package from loading is another module's matter, and changes this process."""
    monkeypatch.setattr("workers.wan2gp.speech.keep_from_fetching", lambda model_type: None)


def studio_of(folder: Path, *plan: TaskError | str) -> tuple[Studio, MemoryGenerate]:
    generate = MemoryGenerate(*plan)
    return Studio(Worker(generate, folder), folder), generate


@pytest.mark.parametrize("name", NAMES)
def test_each_model_speaks_a_script_sentence_by_sentence_at_24_khz(name: str, tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    spoken = studio.speak("Hello there, my friend.\nIt is 5 o'clock. 今天天气很好。", model=name)
    assert [sentence["text"] for sentence in spoken.timings["sentences"]] == [
        "Hello there, my friend.",
        "It is 5 o'clock.",
        "今天天气很好。",
    ]
    assert spoken.timings["engine"] == name
    assert [call["prompt"] for call in generate.calls] == [
        "Hello there, my friend.",
        "It is five o'clock.",
        "今天天气 很 好 。" if name == "wan2gp_chatterbox" else "今天天气很好。",
    ]
    assert spoken.data["sentences"] == 3
    assert np.abs(spoken.samples).max() > 0.05
    # the tone of each sentence is as high as it was at 22,050 Hz
    assert spoken.data["duration_s"] == pytest.approx(len(spoken.samples) / 24_000, abs=0.01)


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("wan2gp_qwen3_tts", ["english", "chinese", "chinese", "japanese"]),
        ("wan2gp_index_tts", ["EN", "ZH", "ZHEN", "JA"]),
        ("wan2gp_omnivoice", ["english", "chinese", "chinese", "japanese"]),
    ],
)
def test_the_language_is_told_in_the_models_own_words(name: str, modes: list[str], tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    for text, language in [
        ("Good morning to all of you.", "en"),
        ("今天天气很好。", "zh"),
        ("我喜欢 Python 编程。", "zh"),
        ("今日はとてもいい天気です。", "ja"),
    ]:
        studio.speak(text, language=language, model=name)
    assert [call["model_mode"] for call in generate.calls] == modes


def test_chatterbox_says_that_it_has_no_japanese(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    studio.speak("今天天气很好。 Good morning.", language="auto", model="wan2gp_chatterbox")
    assert {call["model_mode"] for call in generate.calls} <= {"zh", "en"}
    with pytest.raises(TaskError) as caught:
        studio.speak("今日はとてもいい天気です。", language="ja", model="wan2gp_chatterbox")
    assert caught.value.code == "engine_unavailable"


@pytest.mark.parametrize("name", NAMES)
def test_what_upstream_would_decide_by_itself_is_decided_here(name: str, tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    studio.speak("Good morning to all of you.", model=name, seed=7)
    (call,) = generate.calls
    assert call["audio_prompt_type"] == "A"
    assert call["multi_prompts_gen_type"] == "FG"
    assert call["repeat_generation"] == 1
    assert Path(call["audio_guide"]).is_absolute()
    assert 0 <= call["seed"] < 2**31
    assert (call["activated_loras"], call["prompt_enhancer"], call["negative_prompt"]) == ([], "", "")
    # about 2 s of words: the maximum leaves room for a slow speaker, and is told to upstream in whole seconds
    assert 6 <= call["duration_seconds"] <= 20
    assert isinstance(call["duration_seconds"], int)


def test_the_maximum_lies_beyond_what_counts_as_endless_so_that_a_cut_take_is_noticed(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path, "endless", "endless")
    spoken = studio.speak("Good morning to all of you.", model="wan2gp_qwen3_tts")
    assert len(generate.calls) == 3
    assert len({call["seed"] for call in generate.calls}) == 3
    assert any("no end after" in line for line in spoken.context.logs)


def test_a_seed_gives_the_same_again_and_another_one_does_not(tmp_path: Path) -> None:
    seeds = []
    for index, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(index)
        folder.mkdir()
        studio, generate = studio_of(folder)
        studio.speak("Good morning to all of you.", model="wan2gp_qwen3_tts", seed=seed)
        seeds.append(generate.calls[0]["seed"])
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize(
    ("name", "seconds", "told"),
    [
        ("wan2gp_qwen3_tts", 3.0, TRANSCRIPT),
        ("wan2gp_qwen3_tts", 29.0, TRANSCRIPT),
        ("wan2gp_index_tts", 3.0, ""),  # there it would be an instruction for the emotion
        ("wan2gp_chatterbox", 3.0, ""),
        ("wan2gp_omnivoice", 3.0, TRANSCRIPT),
        ("wan2gp_omnivoice", 29.0, ""),  # it cuts long samples, and then the words would not fit
    ],
)
def test_the_transcript_goes_where_it_means_a_transcript(
    name: str, seconds: float, told: str, tmp_path: Path
) -> None:
    studio, generate = studio_of(tmp_path)
    sample = write_reference(tmp_path / "long.wav", seconds=seconds)
    studio.speak("Good morning to all.", model=name, reference=sample, reference_text=TRANSCRIPT)
    assert generate.calls[0]["alt_prompt"] == told


def test_a_transcript_of_one_word_is_not_taken_for_a_description_of_a_voice(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    studio.speak("Good morning.", model="wan2gp_omnivoice", reference_text="whisper")
    assert generate.calls[0]["alt_prompt"] == "whisper."


def test_the_sample_lies_where_its_name_tells_its_content_and_is_gone_afterwards(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    other = write_reference(tmp_path / "other.wav", pitch=220.0)
    for sample in (None, other, None):
        studio.speak(f"Good morning {len(generate.calls)}.", model="wan2gp_index_tts", reference=sample)
    names = [Path(call["audio_guide"]).name for call in generate.calls]
    assert names[0] == names[2] != names[1]
    assert names[0].isascii()
    assert generate.samples[1] == other.read_bytes()
    assert generate.samples[0] == studio.reference.read_bytes()
    assert not any(Path(call["audio_guide"]).exists() for call in generate.calls)
    assert not any(folder.exists() for folder in generate.folders)


def test_a_long_sentence_for_chatterbox_is_made_of_pieces(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    numbers = "The numbers are " + " ".join(str(817_345 + n) for n in range(9)) + "."
    spoken = studio.speak(numbers, language="en", model="wan2gp_chatterbox")
    assert len(spoken.timings["sentences"]) < len(generate.calls)
    assert all(len(call["prompt"]) <= 280 for call in generate.calls)
    assert max(len(call["prompt"]) for call in generate.calls) > 100
    said = " ".join(call["prompt"] for call in generate.calls)
    assert "eight hundred" in said
    assert said.rstrip(".").endswith("fifty three")
    made = len(generate.calls)
    whole = studio.speak(numbers, language="en", model="wan2gp_qwen3_tts")
    assert len(generate.calls) - made == len(whole.timings["sentences"])


def test_a_kept_sentence_is_not_made_again_unless_voice_or_model_change(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    text = "Good morning to all of you. It is a fine day."
    first = studio.speak(text, model="wan2gp_qwen3_tts")
    again = studio.speak(text + " And a new sentence.", model="wan2gp_qwen3_tts")
    assert (first.data["cached_sentences"], again.data["cached_sentences"]) == (0, 2)
    assert len(generate.calls) == 3
    studio.speak(text, model="wan2gp_omnivoice")
    assert len(generate.calls) == 5
    studio.speak(text, model="wan2gp_qwen3_tts", reference_text=TRANSCRIPT)
    assert len(generate.calls) == 7
    studio.speak(text, model="wan2gp_qwen3_tts", reference=write_reference(tmp_path / "o.wav", pitch=200.0))
    assert len(generate.calls) == 9


def test_other_settings_of_a_model_make_other_takes(tmp_path: Path) -> None:
    fingerprints = set()
    voice = load_voices(ASSETS)["wan2gp_qwen3_tts"]
    told = SentenceProgress(MemoryContext(), loading="")
    for changed in (
        voice,
        replace(voice, settings={**voice.settings, "temperature": 0.5}),
        replace(voice, transcript_max_s=10.0),
    ):
        model = UpstreamVoice(changed, lambda *_: Path(), folder=tmp_path, root=None, told=told, words=list)
        fingerprints.add(model.fingerprint)
    assert len(fingerprints) == 3


@pytest.mark.parametrize("kind", ["silence", "torn", "wide"])
def test_a_take_that_is_none_is_made_again_with_another_seed(kind: str, tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path, kind)
    spoken = studio.speak("Good morning to all of you.", model="wan2gp_qwen3_tts")
    assert len(generate.calls) == 2
    assert generate.calls[0]["seed"] != generate.calls[1]["seed"]
    assert spoken.context.logs


def test_upstream_making_nothing_three_times_is_told_as_no_output(tmp_path: Path) -> None:
    nothing = [TaskError("no_output", "Nothing.", detail="gone") for _ in range(3)]
    studio, generate = studio_of(tmp_path, *nothing)
    context = MemoryContext()
    with pytest.raises(TaskError) as caught:
        studio.speak("Good morning to all of you.", model="wan2gp_qwen3_tts", context=context)
    assert caught.value.code == "no_output"
    assert len(generate.calls) == 3
    assert any("gone" in line for line in context.logs)


def test_stereo_is_mixed(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path, "stereo")
    mono = studio.speak("Good morning to all of you.", model="wan2gp_qwen3_tts")
    assert len(generate.calls) == 1
    assert mono.data["duration_s"] == pytest.approx(0.4 + 0.07 * 27 + 0.2, abs=0.3)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("gpu_oom", "gpu_oom"),
        ("model_missing", "model_missing"),
        ("gpu_fault", "gpu_fault"),
        # upstream refusing what was written here is no fault of the person who wrote the script
        ("validation_failed", "internal_error"),
        ("audio_unreadable", "internal_error"),
    ],
)
def test_errors_keep_their_code_and_are_told_as_those_of_a_voice(
    code: str, told: str, tmp_path: Path
) -> None:
    studio, _ = studio_of(
        tmp_path,
        TaskError(code, "About this video.", detail="why", poisons_worker=code == "gpu_fault"),
    )
    with pytest.raises(TaskError) as caught:
        studio.speak("Good morning to all of you.", model="wan2gp_omnivoice")
    assert caught.value.code == told
    assert "why" in caught.value.detail
    assert caught.value.poisons_worker is (code == "gpu_fault")
    if told in {"gpu_oom", "internal_error"}:
        assert "OmniVoice" in caught.value.message


def test_a_cancel_inside_and_between_sentences_ends_the_task_and_leaves_no_sample(tmp_path: Path) -> None:
    for cancel_in in (1, 2):
        folder = tmp_path / str(cancel_in)
        folder.mkdir()
        studio, generate = studio_of(folder)
        context = MemoryContext()

        def stop(
            generate: MemoryGenerate = generate, context: MemoryContext = context, n: int = cancel_in
        ) -> None:
            context.cancelled = len(generate.calls) == n

        generate.on_call = stop
        with pytest.raises(TaskCancelled):
            studio.speak("One fine day. Two fine days. Three.", model="wan2gp_qwen3_tts", context=context)
        assert len(generate.calls) == cancel_in
        assert not any(folder.exists() for folder in generate.folders)


def test_progress_counts_inside_a_sentence_and_never_goes_back(tmp_path: Path) -> None:
    studio, _ = studio_of(tmp_path, "silence")
    context = MemoryContext()
    studio.speak("One fine day. Two fine days.", model="wan2gp_qwen3_tts", context=context)
    told = [fraction for fraction in context.fractions if fraction is not None]
    assert told == sorted(told)
    assert {0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0} <= set(told)


def test_while_weights_are_read_the_model_is_named(tmp_path: Path) -> None:
    class Listening(MemoryContext):
        def progress(self, fraction: float | None, message: str = "", **more: Any) -> None:
            super().progress(fraction, message, **more)
            messages.append(message)

    messages: list[str] = []
    studio, _ = studio_of(tmp_path)
    studio.speak("One fine day.", model="wan2gp_omnivoice", context=Listening())
    assert messages[:3] == ["Speaking", "Loading OmniVoice", "Speaking"]
    assert messages[-1] == "Spoken"


def test_a_model_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    studio, generate = studio_of(tmp_path)
    with pytest.raises(TaskError, match="wan2gp_qwen3_tts") as caught:
        studio.speak("Hello.", model="wan2gp_vibevoice")
    assert caught.value.code == "validation_failed"
    assert generate.calls == []


def test_the_table_names_every_model_once_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    voices = load_voices(ASSETS)
    assert tuple(voices) == NAMES
    assert len({voice.model_type for voice in voices.values()}) == 4
    (tmp_path / "wan2gp").mkdir()
    for text in (
        "no json",
        json.dumps({"version": 9}),
        json.dumps({"version": 1, "common": {}, "voices": [{}]}),
    ):
        (tmp_path / "wan2gp" / "voices.json").write_text(text, "utf-8")
        with pytest.raises(TaskError) as caught:
            load_voices(tmp_path)
        assert caught.value.code == "internal_error"


def test_the_stand_in_speaks_at_a_rate_that_is_not_ours() -> None:
    assert RATE != 24_000
