"""The installer's self-test: it makes a film with the worker's own code, and says so when anything of it is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.infinitetalk.tiny_worker import FFMPEG
from workers.handler import TaskError
from workers.infinitetalk import selftest, tiny_model
from workers.infinitetalk.handler import InfiniteTalkHandler
from workers.infinitetalk.selftest import MARK, SelfTestError, answer, check_pictures, failure
from workers.infinitetalk.video_file import join_segments, write_segment

SCRIPT = Path(selftest.__file__)


def test_it_answers_as_a_program_that_knows_nothing_of_the_repository(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", str(SCRIPT), str(tmp_path / "空 dir"), "--device", "cpu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1]
    facts = json.loads(last.removeprefix(MARK))
    assert facts == {
        "code": None,
        "error": None,
        "detail": "",
        "device": "cpu",
        "seconds": facts["seconds"],
        "frames": 15,
        "width": tiny_model.SIDE,
        "height": tiny_model.SIDE,
    }
    assert done.returncode == 0
    assert facts["seconds"] > 0


def test_a_card_that_is_not_there_is_the_workers_own_error(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    facts = answer(tmp_path, "cuda")
    assert facts["code"] == "gpu_unsupported"
    assert "PyTorch finds no GPU" in facts["error"]


def test_an_engine_that_breaks_is_told_with_its_code_and_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> dict[str, Any]:
        sys.stderr.write("a library's last words")
        raise OSError("libgomp.so.1 is missing")

    monkeypatch.setattr(InfiniteTalkHandler, "run", breaks)
    facts = answer(tmp_path, "cpu")
    assert facts["code"] == "internal_error"
    assert facts["error"].startswith("OSError: libgomp.so.1 is missing (test_selftest.py:")
    assert facts["detail"].endswith("a library's last words")


def test_errors_of_the_worker_keep_their_codes() -> None:
    told = failure(TaskError("gpu_oom", "The GPU's memory was not enough.", detail="2 GiB"))
    assert told == {"code": "gpu_oom", "error": "The GPU's memory was not enough.", "detail": "2 GiB"}
    assert failure(SelfTestError("the picture does not move"))["code"] == "no_output"


def _film(path: Path, pictures: np.ndarray) -> Path:
    segment = path.with_suffix(".h264")
    write_segment(pictures, segment, fps=25, ffmpeg=FFMPEG, check=lambda: None)
    join_segments([segment], path, fps=25, ffmpeg=FFMPEG, check=lambda: None)
    return path


def _noise(frames: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (frames, 16, 16, 3), np.uint8)


def test_the_pictures_of_a_film_are_looked_at(tmp_path: Path) -> None:
    check_pictures(_film(tmp_path / "good.mp4", _noise(5)), 5, FFMPEG)
    with pytest.raises(SelfTestError, match="first picture has one colour"):
        check_pictures(_film(tmp_path / "grey.mp4", np.full((5, 16, 16, 3), 90, np.uint8)), 5, FFMPEG)
    still = np.repeat(_noise(1), 5, 0)
    segment = tmp_path / "still.h264"
    write_segment(still[:1], segment, fps=25, ffmpeg=FFMPEG, check=lambda: None, hold=0)
    join_segments([segment], tmp_path / "still.mp4", fps=25, ffmpeg=FFMPEG, check=lambda: None)
    with pytest.raises(SelfTestError, match="does not move"):
        check_pictures(tmp_path / "still.mp4", 1, FFMPEG)


def test_the_portrait_is_a_picture_that_others_can_read(tmp_path: Path) -> None:
    with Image.open(selftest.make_portrait(tmp_path / "portrait.png")) as picture:
        picture.load()
        assert (picture.size, picture.mode) == ((90, 100), "RGB")
        assert picture.getpixel((89, 0)) == (89 * 255 // 90, 0, 128)


def test_the_tiny_model_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = tiny_model.make_models(tmp_path / "a"), tiny_model.make_models(tmp_path / "b")
    files = sorted(path.relative_to(first) for path in first.rglob("*.safetensors"))
    assert len(files) == 9
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)
