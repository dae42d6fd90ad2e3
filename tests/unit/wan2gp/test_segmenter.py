"""Chatterbox's word list: unpacked once, never fetched, and done without when it is not there."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.speech_task import MemoryContext
from workers.handler import TaskError, WorkerSetup
from workers.wan2gp import segmenter
from workers.wan2gp.segmenter import provide_segmenter


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the module changes is put back."""
    monkeypatch.setenv("PKUSEG_HOME", "")
    monkeypatch.setitem(sys.modules, segmenter.PACKAGE, None)
    monkeypatch.delitem(sys.modules, segmenter.PACKAGE)


def setup_in(folder: Path) -> WorkerSetup:
    options = {"checkpoints": [str(folder / "weights")]}
    return WorkerSetup("wan2gp", None, folder, folder, folder / "cache" / "speech", None, options)


def write_list(folder: Path) -> Path:
    archive = folder / "weights" / segmenter.ARCHIVE
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("features.msgpack", b"features")
        stream.writestr("weights.npz", b"weights")
    return archive


def test_the_list_is_unpacked_and_named_to_the_package(tmp_path: Path) -> None:
    archive = write_list(tmp_path)
    provide_segmenter("chatterbox", setup_in(tmp_path), MemoryContext())
    home = Path(os.environ["PKUSEG_HOME"])
    assert home.is_relative_to(tmp_path / "cache")
    assert (home / "spacy_ontonotes" / "weights.npz").read_bytes() == b"weights"
    assert (home / archive.name).exists(), "by this name the package sees that it need not fetch it"
    assert segmenter.PACKAGE not in sys.modules
    (home / "spacy_ontonotes" / "weights.npz").write_bytes(b"kept")
    provide_segmenter("chatterbox", setup_in(tmp_path), MemoryContext())
    assert (home / "spacy_ontonotes" / "weights.npz").read_bytes() == b"kept"
    assert sorted(path.name for path in home.iterdir()) == ["spacy_ontonotes", "spacy_ontonotes.zip"]


def test_an_unpacking_that_was_broken_off_is_done_again(tmp_path: Path) -> None:
    write_list(tmp_path)
    home = tmp_path / "cache" / "wan2gp" / "pkuseg"
    (home / "spacy_ontonotes").mkdir(parents=True)
    provide_segmenter("chatterbox", setup_in(tmp_path), MemoryContext())
    assert (home / "spacy_ontonotes" / "weights.npz").is_file()


def test_without_the_list_the_package_is_kept_from_fetching_it_and_that_is_told_once(tmp_path: Path) -> None:
    context = MemoryContext()
    provide_segmenter("chatterbox", setup_in(tmp_path), context)
    provide_segmenter("chatterbox", setup_in(tmp_path), context)
    with pytest.raises(ImportError):
        __import__(segmenter.PACKAGE)
    assert len(context.logs) == 1
    assert "word boundaries" in context.logs[0]


def test_other_models_change_nothing(tmp_path: Path) -> None:
    write_list(tmp_path)
    for model_type in ("qwen3_tts_base", "index_tts25", "omnivoice"):
        provide_segmenter(model_type, setup_in(tmp_path), MemoryContext())
    assert os.environ["PKUSEG_HOME"] == ""
    assert segmenter.PACKAGE not in sys.modules


def test_a_damaged_list_is_told_with_what_mends_it(tmp_path: Path) -> None:
    write_list(tmp_path).write_bytes(b"no archive")
    with pytest.raises(TaskError, match="wan2gp-chatterbox") as caught:
        provide_segmenter("chatterbox", setup_in(tmp_path), MemoryContext())
    assert caught.value.code == "model_missing"
    home = tmp_path / "cache" / "wan2gp" / "pkuseg"
    assert list(home.iterdir()) == []
