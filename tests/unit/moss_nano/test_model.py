"""The runtime of MOSS-TTS-Nano on tiny graphs with the real signature. The real weights were never run in tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support import tiny_moss
from tests.support.tiny_moss import expected_frames, write_tiny_moss
from workers.handler import TaskError
from workers.moss_nano import layout as names
from workers.moss_nano.layout import read_layout
from workers.moss_nano.model import MossNano
from workers.moss_nano.text import as_model_text
from workers.speech.cloning import Reference

LIMIT_S = 3.0


def never() -> bool:
    return False


def reference(seconds: float = 2.0, level: float = 0.305, name: str = "a") -> Reference:
    samples = np.full(round(24_000 * seconds), level, np.float32)
    return Reference(Path("x.wav"), samples, None, name)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("模型 folder")
    write_tiny_moss(folder, frames=12)
    return folder


@pytest.fixture(scope="module")
def model(models: Path) -> MossNano:
    return MossNano(read_layout(models), threads=1)


def test_the_sample_becomes_one_row_of_codes_per_frame(model: MossNano) -> None:
    codes = model._codes_of(reference(2.0).samples, never)
    assert codes.shape == (25, tiny_moss.N_VQ)  # 12.5 frames a second
    assert (codes[5:20] == [30, 31, 32, 33]).all()  # 30 % loud; the next book one more


def test_a_long_sample_is_cut_to_ten_seconds(model: MossNano) -> None:
    assert len(model._codes_of(reference(30.0).samples, never)) == 125


def test_prompt_sample_and_sentence_stand_in_order(model: MossNano) -> None:
    rows = model._rows(np.array([[1, 2, 3, 4]], np.int32), [50, 51])
    pad = [tiny_moss.PAD] * tiny_moss.N_VQ
    wanted = [
        *([token, *pad] for token in (4, 11, 12, tiny_moss.START)),
        [tiny_moss.USER, 1, 2, 3, 4],
        *([token, *pad] for token in (tiny_moss.END, 21, 22, 23, 50, 51, 31, 5, tiny_moss.START)),
    ]
    assert rows.tolist() == wanted


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31 - 1])
def test_prefill_cache_mask_and_random_numbers_give_the_codes_of_the_arithmetic(
    model: MossNano, seed: int
) -> None:
    prompt = model._codes_of(reference().samples, never)
    frames, complete = model._generate(prompt, [50, 51, 52], seed, 40, never)
    wanted = expected_frames(prompt, [50, 51, 52], seed, frames=12, limit=40)
    assert complete
    assert frames.tolist() == wanted.tolist()


def test_a_limit_ends_what_the_model_does_not(model: MossNano) -> None:
    prompt = model._codes_of(reference().samples, never)
    frames, complete = model._generate(prompt, [50], 1, 5, never)
    assert (len(frames), complete) == (5, False)
    assert frames.tolist() == expected_frames(prompt, [50], 1, frames=12, limit=5).tolist()


def test_a_sentence_is_as_long_as_its_frames_and_both_channels_are_mixed(model: MossNano) -> None:
    model.prepare(reference(), never)
    take = model.speak("Hello there.", "en", seed=3, limit_s=LIMIT_S, cancelled=never)
    assert take is not None
    assert take.complete
    assert (take.rate, len(take.samples) % tiny_moss.FRAME) == (48_000, 0)
    assert len(take.samples) >= 12 * tiny_moss.FRAME
    assert 0.1 * 0.75 <= np.abs(take.samples).max() <= 0.6 * 0.75 + 1e-3  # (1 + 0.5) / 2 of the left channel


def test_the_same_seed_speaks_the_same_and_another_one_another(model: MossNano) -> None:
    model.prepare(reference(), never)
    one, two, other = (
        model.speak("Hello.", "en", seed=seed, limit_s=LIMIT_S, cancelled=never) for seed in (5, 5, 6)
    )
    assert one is not None
    assert two is not None
    assert other is not None
    assert np.array_equal(one.samples, two.samples)
    assert not np.array_equal(one.samples, other.samples)


def test_another_sample_is_encoded_and_the_same_one_is_not(model: MossNano) -> None:
    model.prepare(reference(name="first"), never)
    first = model._prompt
    model.prepare(reference(level=0.9, name="first"), never)
    assert model._prompt is first
    model.prepare(reference(level=0.505, name="second"), never)
    assert model._prompt is not None
    assert model._prompt[1][10, 0] == 50


def test_a_cancel_ends_a_sentence_within_a_frame(model: MossNano) -> None:
    model.prepare(reference(), never)
    asked = 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 6

    assert model.speak("Hello there.", "en", seed=1, limit_s=LIMIT_S, cancelled=soon) is None
    assert asked < 40


def test_the_manifest_bounds_the_frames(models: Path) -> None:
    assert read_layout(models).max_frames == tiny_moss.MAX_FRAMES


def test_a_missing_file_says_what_to_download(models: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        read_layout(tmp_path)
    assert caught.value.code == "model_missing"
    assert "Download the model" in caught.value.message
    assert "moss_tts_prefill.onnx" in caught.value.detail


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("tts_config", "n_vq"), 0),
        (("tts_config", "n_vq"), 7),  # not the codec's
        (("tts_config", "audio_start_token_id"), -1),
        (("tts_config", "audio_start_token_id"), True),
        (("prompt_templates", "assistant_prompt_prefix_token_ids"), "31"),
        (("prompt_templates", "user_prompt_prefix_token_ids"), [1.5]),
        (("generation_defaults", "max_new_frames"), 10**9),
        (("generation_defaults",), None),
    ],
)
def test_a_manifest_that_is_not_what_it_should_be_is_a_damaged_model(
    tmp_path: Path, field: tuple[str, ...], value: object
) -> None:
    folder = write_tiny_moss(tmp_path)
    manifest = json.loads((folder / names.MANIFEST).read_text("utf-8"))
    place = manifest
    for name in field[:-1]:
        place = place[name]
    place[field[-1]] = value
    (folder / names.MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(TaskError, match="damaged") as caught:
        read_layout(tmp_path)
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("hello", "en", "Hello."),
        ("Really?", "en", "Really?"),
        ("今天天气很好", "zh", "今天天气很好。"),
        ("他说：“好。”", "zh", "他说：“好。”"),
        ("first half,", "en", "First half."),
        ("two\nlines  here", "en", "Two lines here."),
        ("こんにちは", "ja", "こんにちは。"),
    ],
)
def test_sentences_begin_and_end_as_the_model_learned_them(text: str, language: str, wanted: str) -> None:
    assert as_model_text(text, language) == wanted  # type: ignore[arg-type]
