"""Finished parts: found again when nothing has changed, never when anything has, and never half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workers.file_hash import sha256_of
from workers.handler import TaskError
from workers.task_params import folder_of
from workers.wan2gp.checkpoints import Continued, Fingerprints, KeptParts

PRINT = "a" * 64


def fingerprint(media: Path, continued: Continued | None = None, upstream: str = "12.60", **more: Any) -> str:
    settings = {
        "prompt": "x",
        "seed": 1,
        "audio_guide": str(media),
        "image_refs": [str(media)],
        "audio_guide2": None,
    }
    return Fingerprints(upstream).of(
        {**settings, **more}, ("audio_guide", "image_refs", "audio_guide2"), continued
    )


def test_the_same_content_in_another_place_has_the_same_fingerprint(tmp_path: Path) -> None:
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    first.write_bytes(b"sound")
    second.write_bytes(b"sound")
    assert fingerprint(first) == fingerprint(second)


def test_anything_that_goes_into_a_part_changes_its_fingerprint(tmp_path: Path) -> None:
    sound, other = tmp_path / "a.wav", tmp_path / "b.wav"
    sound.write_bytes(b"sound")
    other.write_bytes(b"other")
    prints = [
        fingerprint(sound),
        fingerprint(other),
        fingerprint(sound, seed=2),
        fingerprint(sound, prompt="y"),
        fingerprint(sound, upstream="12.61"),
        fingerprint(sound, Continued(sound, 10, 5)),
        fingerprint(sound, Continued(other, 10, 5)),
        fingerprint(sound, Continued(sound, 11, 5)),
        fingerprint(sound, Continued(sound, 10, 9)),
    ]
    assert len(set(prints)) == len(prints)


def test_a_kept_part_is_found_by_the_next_attempt(tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"film")
    kept = KeptParts(tmp_path / "kept").keep(PRINT, made)
    assert not made.exists()
    found = KeptParts(tmp_path / "kept").find(PRINT)
    assert found == kept
    assert found is not None
    assert found.read_bytes() == b"film"
    assert KeptParts(tmp_path / "kept").find("b" * 64) is None


def test_a_part_that_is_not_whole_is_not_found_and_goes(tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"film")
    parts = KeptParts(tmp_path / "kept")
    parts.keep(PRINT, made).write_bytes(b"fil")
    assert parts.find(PRINT) is None
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"sha256": 5}'])
def test_a_note_that_says_nothing_counts_as_none(tmp_path: Path, note: str) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"film")
    parts = KeptParts(tmp_path / "kept")
    path = parts.keep(PRINT, made)
    path.with_suffix(".json").write_text(note, encoding="utf-8")
    assert parts.find(PRINT) is None


def test_a_file_without_its_note_does_not_count(tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"film")
    parts = KeptParts(tmp_path / "kept")
    parts.keep(PRINT, made).with_suffix(".json").unlink()
    assert parts.find(PRINT) is None


def test_what_a_killed_worker_left_half_written_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "part-x.part").write_bytes(b"half")
    KeptParts(folder)
    assert list(folder.iterdir()) == []


def test_the_hash_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("given", ["relative", "", 5, ["/x"]])
def test_the_folder_must_be_an_absolute_path(given: object) -> None:
    with pytest.raises(TaskError) as caught:
        folder_of(given)
    assert caught.value.code == "validation_failed"
    assert folder_of(None) is None
