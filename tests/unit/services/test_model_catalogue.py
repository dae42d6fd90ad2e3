"""The catalogue of models: every entry that ships is sound, and an entry that is not is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from backend.models.model_catalogue import CatalogueModel, FileSources
from backend.services.model_catalogue import ModelCatalogue, load_catalogue
from backend.utils.config import BUNDLE_DIR

SHA = "a" * 64
HF = {"repo": "owner/name", "revision": "0123456789abcdef0123456789abcdef01234567"}


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "id": "example",
        "name_en": "Example",
        "name_zh": "示例",
        "purpose": "voice",
        "engine": "example",
        "licence": "MIT",
        "licence_url": "https://example.org/licence",
        "sources": {"huggingface": HF},
        "files": [{"path": "a/model.bin", "bytes": 3, "sha256": SHA}],
        **changes,
    }


def model(**changes: Any) -> CatalogueModel:
    return CatalogueModel.model_validate(entry(**changes))


def test_every_entry_that_ships_is_sound() -> None:
    catalogue = load_catalogue(BUNDLE_DIR / "assets" / "catalogue")
    for shipped in catalogue.all():
        assert shipped.files
        assert shipped.licence_url.startswith("https://")


def test_the_example_of_the_readme_is_an_entry() -> None:
    text = (BUNDLE_DIR / "assets" / "catalogue" / "README.md").read_text(encoding="utf-8")
    example = text.split("```json")[1].split("```")[0].replace("64 lower-case hex digits", SHA)
    assert CatalogueModel.model_validate_json(example).id == "example-voice"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../x",
            "a/../b",
            "/etc/passwd",
            "C:/x",
            "a\\b",
            "a//b",
            "",
            ".",
            "a/.",
            ".hidden",
            "con",
            "Nul.txt",
        ),
        *(
            "a/COM1.bin",
            "x.",
            "x ",
            "ä",
            "a\nb",
            "a\x00b",
            "x.part",
            "x.verified",
            "~",
            "a:b",
            "/".join("abcdefghi"),
        ),
    ],
)
def test_a_path_that_leaves_the_folder_or_works_on_one_system_only_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        model(files=[{"path": path, "bytes": 3, "sha256": SHA}])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../up"},
        {"id": "Upper"},
        {"id": "a\n"},
        {"folder": "../up"},
        {"folder": ".."},
        {"folder": "kokoro"},
        {"folder": "nul"},
        {"sources": {"huggingface": {"repo": "owner/../x", "revision": "main"}}},
        {"sources": {"huggingface": {"repo": "owner/name", "revision": "../main"}}},
        {"sources": {"huggingface": {"repo": "https://evil/x", "revision": "main"}}},
        {"sources": {"huggingface": {**HF, "path": "a/../b"}}},
        {"sources": {"url": "http://example.org/x"}},
        {"sources": {"url": "https://user:key@example.org/x"}},
        {"sources": {}},
        {"odd": 1},
        {"files": []},
        {"files": [{"path": "x", "sha256": None}]},
        {"files": [{"path": "x", "bytes": 0}]},
        {"files": [{"path": "x", "bytes": 3, "sha256": "A" * 64}]},
        {"files": [{"path": "x", "bytes": 3}, {"path": "X", "bytes": 3}]},
        {"files": [{"path": "x", "bytes": 3}], "sources": {"url": "https://example.org"}},
    ],
)
def test_an_entry_that_could_do_harm_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model(**changes)


def test_a_file_inherits_the_places_of_its_entry() -> None:
    made = model(
        sources={"huggingface": {**HF, "path": "onnx"}, "url": "https://example.org/m/"},
        files=[
            {"path": "a/b.bin", "bytes": 3, "sha256": SHA},
            {
                "path": "c.bin",
                "bytes": 3,
                "sha256": SHA,
                "sources": {"huggingface": {"repo": "other/x", "revision": "v1", "path": "d/e.bin"}},
            },
        ],
    )
    first, second = (made.places(file) for file in made.files)
    assert first.huggingface is not None
    assert (first.huggingface.path, first.url) == ("onnx/a/b.bin", "https://example.org/m/a/b.bin")
    assert second.huggingface is not None
    assert (second.huggingface.repo, second.huggingface.path) == ("other/x", "d/e.bin")
    assert isinstance(first, FileSources)


def test_entries_that_share_a_file_agree_about_it() -> None:
    one, two = model(folder="wan"), model(id="second", folder="wan")
    catalogue = ModelCatalogue((one, two))
    assert catalogue.sharing(one, one.files[0]) == (two,)
    other = model(id="third", folder="wan", files=[{"path": "a/model.bin", "bytes": 4, "sha256": SHA}])
    with pytest.raises(ValueError, match="another file"):
        ModelCatalogue((one, other))


def test_a_file_is_named_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps(entry()), encoding="utf-8")
    with pytest.raises(ValueError, match="named by the id"):
        load_catalogue(tmp_path)
    (tmp_path / "other.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not a catalogue entry"):
        load_catalogue(tmp_path)
