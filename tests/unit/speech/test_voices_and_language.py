"""Offered voices are whole, and languages are told apart."""

import json
from pathlib import Path

import numpy as np
import pytest

from workers.handler import TaskError
from workers.speech.text.language import detect, of_sentence
from workers.speech.voices import VoiceLibrary

VOICES = Path(__file__).resolve().parents[3] / "assets" / "voices"


def test_every_offered_voice_has_its_pack_and_its_level() -> None:
    library = VoiceLibrary(VOICES)
    levels = json.loads((VOICES / "levels.json").read_text("utf-8"))
    for preset in library.presets:
        voice = library.get(preset.name)
        assert voice.style.dtype == np.float32
        assert np.isfinite(voice.style).all()
        assert preset.name in levels
    assert {path.stem for path in VOICES.glob("*.npy")} == {preset.name for preset in library.presets}


def test_one_voice_per_language_is_the_default() -> None:
    rows = json.loads((VOICES / "voices.json").read_text("utf-8"))
    assert sorted(row["language"] for row in rows if row["default"]) == ["en", "ja", "zh"]
    assert {(row["language"], row["gender"]) for row in rows} == {
        (language, gender) for language in ("zh", "en", "ja") for gender in ("female", "male")
    }


@pytest.mark.parametrize("name", ["", "nobody", "../voices", "zf_xiaoni", "af_heart.npy", "af_heart\n"])
def test_an_unknown_voice_is_refused(name: str) -> None:
    with pytest.raises(TaskError) as caught:
        VoiceLibrary(VOICES).get(name)
    assert caught.value.code == "voice_not_found"


def test_a_damaged_pack_is_reported(tmp_path: Path) -> None:
    row = {"preset": "af_x", "language": "en", "gender": "female"}
    (tmp_path / "voices.json").write_text(json.dumps([row]))
    (tmp_path / "levels.json").write_text("{}")
    (tmp_path / "af_x.npy").write_bytes(b"nothing")
    with pytest.raises(TaskError) as caught:
        VoiceLibrary(tmp_path).get("af_x")
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there", "en"),
        ("你好世界", "zh"),
        ("我用 Python 和 Windows 写程序", "zh"),
        ("The word 你好 means hello in Chinese", "en"),
        ("こんにちは世界", "ja"),
        ("優の良品，中文", "zh"),
        ("12345", "zh"),
    ],
)
def test_the_language_of_a_script(text: str, language: str) -> None:
    assert detect(text, "zh") == language


def test_sentences_of_a_mixed_script_keep_their_own_language() -> None:
    assert of_sentence("Hello there.", "zh", fixed=False) == "en"
    assert of_sentence("2026.", "zh", fixed=False) == "zh"
    assert of_sentence("3.14，100%，25℃，iPhone15 Pro。", "zh", fixed=False) == "zh"
    assert of_sentence("iPhone 15 Pro Max", "zh", fixed=False) == "en"
    assert of_sentence("邮箱test@qq.com", "zh", fixed=False) == "zh"
    assert of_sentence("漢字。", "ja", fixed=False) == "ja"
    assert of_sentence("你好。", "en", fixed=False) == "zh"
    assert of_sentence("Windows 11", "zh", fixed=True) == "zh"
