"""docs/speech.md: the table of cloning engines is what the code and the catalogue of models say."""

from __future__ import annotations

from pathlib import Path

from backend.engines.speech.builtin import BuiltinSpeechEngine
from backend.engines.speech.moss_nano import MossNanoSpeechEngine
from backend.engines.speech.voxcpm import VoxCpmSpeechEngine
from backend.services.model_catalogue import load_catalogue
from tests.contract.docs_pages import column, page, section, tables, words
from workers.speech import cloning

ROOT = Path(__file__).resolve().parents[2]
ENGINES = (VoxCpmSpeechEngine, MossNanoSpeechEngine)


def test_the_engines_stand_in_the_order_in_which_they_are_tried_with_their_weights() -> None:
    (table,) = tables(section(page("docs/speech.md"), "## Engines that clone"))
    assert column(table) == [*(engine.name for engine in ENGINES), BuiltinSpeechEngine.name]
    catalogue = load_catalogue(ROOT / "assets" / "catalogue")
    for engine, row in zip(ENGINES, table[1:], strict=False):
        model = catalogue.get(engine.model_id)
        assert model is not None
        assert engine.model_id in words(row[2])
        size = model.expected_bytes
        written = f"{size / 1e9:.1f} GB" if size > 10**9 else f"{round(size / 1e6)} MB"
        assert f"({written})" in row[2]
        assert model.licence == engine.licence == "Apache-2.0"


def test_the_number_of_takes_is_the_one_that_is_made() -> None:
    text = section(page("docs/speech.md"), "## Engines that clone")
    assert {2: "two", 3: "three", 4: "four"}[cloning.TAKES] + " takes" in text
