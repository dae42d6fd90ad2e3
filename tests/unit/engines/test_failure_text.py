"""Sentences for people: every code has one, none shows a path."""

from __future__ import annotations

import re

import pytest

from backend.engines.classify import POLICIES
from backend.engines.failure_text import TEXTS, strip_paths, text_for
from backend.models.codes import ErrorCode
from backend.utils.config import BUNDLE_DIR


@pytest.mark.parametrize("code", sorted(POLICIES))
def test_every_code_of_an_engine_has_a_sentence_and_a_piece_of_advice(code: ErrorCode) -> None:
    text = text_for(code, "Wan2GP")
    assert code in TEXTS
    assert text.sentence.endswith(".")
    assert text.hint.endswith(".")
    assert "{" not in text.sentence


def test_every_code_that_a_worker_says_has_advice_of_its_own() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (BUNDLE_DIR / "workers").rglob("*.py")]
    said = {code for text in sources for code in re.findall(r'TaskError\(\s*"(\w+)"', text)}
    assert {"audio_unreadable", "too_large", "validation_failed"} <= said
    assert said - {code.value for code in TEXTS} == set()


def test_a_code_without_a_text_of_its_own_gets_the_general_one() -> None:
    assert text_for(ErrorCode.QUEUE_FULL, "x").sentence == text_for(ErrorCode.INTERNAL_ERROR, "x").sentence


@pytest.mark.parametrize(
    ("raw", "stripped"),
    [
        ("cannot open /home/anna/data/work/a.png", "cannot open a.png"),
        ('File "/opt/app/workers/host.py", line 3', 'File "host.py", line 3'),
        ("C:\\Users\\Anna Maria\\data\\a.png is bad", "a.png is bad"),
        ("\\\\server\\share\\a.png", "a.png"),
        ("d:/models/kokoro/x.onnx: no such file", "x.onnx: no such file"),
        ("~/secret/notes.txt", "notes.txt"),
        ("and/or 24 kHz 1/2", "and/or 24 kHz 1/2"),
        ("see https://huggingface.co/org/model for help", "see https://huggingface.co/org/model for help"),
        ("/etc/passwd", "passwd"),
        ("/tmp", "/tmp"),
    ],
)
def test_folders_are_stripped_and_file_names_stay(raw: str, stripped: str) -> None:
    assert strip_paths(raw) == stripped
