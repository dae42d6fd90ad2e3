"""docs/speech.md: the table of cloning engines is what the code and the catalogue of models say."""

from __future__ import annotations

from pathlib import Path

from backend.engines.speech.builtin import BuiltinSpeechEngine
from backend.engines.speech.moss_nano import MossNanoSpeechEngine
from backend.engines.speech.voxcpm import VoxCpmSpeechEngine
from backend.engines.speech.wan2gp import load_voice_facts
from backend.services.model_catalogue import load_catalogue
from tests.contract.docs_pages import column, page, section, tables, words
from workers.speech import cloning

ROOT = Path(__file__).resolve().parents[2]
ENGINES = (VoxCpmSpeechEngine, MossNanoSpeechEngine)


def written_size(bytes_: int) -> str:
    return f"({bytes_ / 1e9:.1f} GB)" if bytes_ > 10**9 else f"({round(bytes_ / 1e6)} MB)"


def test_the_engines_stand_in_the_order_in_which_they_are_tried_with_their_weights() -> None:
    table = tables(section(page("docs/speech.md"), "## Engines that clone"))[0]
    gpu, cpu = ENGINES
    voices = load_voice_facts(ROOT / "assets")
    names = [gpu.name, *(voice.name for voice in voices), cpu.name, BuiltinSpeechEngine.name]
    assert column(table) == names
    rows = dict(zip(names, table[1:], strict=True))
    catalogue = load_catalogue(ROOT / "assets" / "catalogue")
    for engine in ENGINES:
        model = catalogue.get(engine.model_id)
        assert model is not None
        assert engine.model_id in words(rows[engine.name][2])
        assert written_size(model.expected_bytes) in rows[engine.name][2]
        assert model.licence == engine.licence == "Apache-2.0"
    for voice in voices:
        own = catalogue.get(voice.catalogue[-1])
        assert own is not None
        assert own.id in words(rows[voice.name][2])
        assert written_size(own.expected_bytes) in rows[voice.name][2]
        assert ("Japanese" in rows[voice.name][3].replace("no Japanese", "")) is ("ja" in voice.languages)


def test_every_voice_of_wan2gp_has_its_licence_written_down() -> None:
    table = tables(section(page("docs/speech.md"), "### Wan2GP's voices"))[0]
    voices = load_voice_facts(ROOT / "assets")
    assert len(table) - 1 == len(voices)
    for voice, row in zip(voices, table[1:], strict=True):
        assert row[0].startswith(voice.model)
        assert row[1].replace(" ", "-").startswith(voice.licence.replace(" ", "-"))


def test_the_number_of_takes_is_the_one_that_is_made() -> None:
    text = section(page("docs/speech.md"), "## Engines that clone")
    assert {2: "two", 3: "three", 4: "four"}[cloning.TAKES] + " takes" in text
