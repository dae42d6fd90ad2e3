"""The ffmpeg child: it ends when it should, says why, and opens only what it was given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.draft.conftest import voiced, write_wav
from workers import ffmpeg
from workers.handler import TaskCancelled


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_the_arguments_are_safe_by_default(tmp_path: Path) -> None:
    argv = [*ffmpeg.command("ffmpeg"), *ffmpeg.media_input(tmp_path / "-i evil|name.wav")]
    assert argv[:2] == ["ffmpeg", "-nostdin"]
    assert argv[argv.index("-protocol_whitelist") + 1] == "file,pipe"
    allowed = argv[argv.index("-format_whitelist") + 1].split(",")
    assert not {"concat", "hls", "dash", "image2", "lavfi"} & set(allowed)
    assert argv[-1].startswith("file:")


def test_a_child_that_hangs_is_killed_at_its_deadline() -> None:
    with ffmpeg.FfmpegChild(python("import time; time.sleep(600)"), deadline_s=0.3, stdout=True) as child:
        assert child.read(10) == b""
        with pytest.raises(ffmpeg.FfmpegError) as caught:
            child.finish()
    assert caught.value.timed_out
    assert "deadline" in str(caught.value)


def test_leaving_the_block_ends_the_child() -> None:
    import psutil

    child = ffmpeg.FfmpegChild(python("import time; time.sleep(600)"), deadline_s=60)
    with pytest.raises(TaskCancelled), child:
        assert child.pid is not None
        assert psutil.pid_exists(child.pid)
        raise TaskCancelled
    assert child.pid is not None
    assert not psutil.pid_exists(child.pid)


def test_a_check_can_stop_a_run() -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TaskCancelled

    with pytest.raises(TaskCancelled):
        ffmpeg.run(python("import time; time.sleep(600)"), deadline_s=60, check=check)


def test_what_a_child_complains_about_is_kept_but_bounded() -> None:
    noisy = "import sys\nfor i in range(20000): print('line', i, 'x' * 1000, file=sys.stderr)\nsys.exit(3)"
    with pytest.raises(ffmpeg.FfmpegError) as caught:
        ffmpeg.run(python(noisy), deadline_s=60)
    assert caught.value.returncode == 3
    assert 0 < len(caught.value.tail) < 20_000


def test_a_child_that_stopped_reading_is_reported() -> None:
    child = ffmpeg.FfmpegChild(python("import sys; sys.exit(4)"), deadline_s=30, stdin=True)
    with child, pytest.raises(ffmpeg.FfmpegError) as caught:
        for _ in range(1000):
            child.write(b"0" * 65536)
    assert caught.value.returncode == 4


def test_a_program_that_is_not_there_is_an_error_of_ours() -> None:
    with pytest.raises(ffmpeg.FfmpegError) as caught:
        ffmpeg.run(["/nowhere/ffmpeg"], deadline_s=5)
    assert caught.value.returncode is None


def test_a_real_run_decodes_a_file(tmp_path: Path, ffmpeg_path: str) -> None:
    wav = write_wav(tmp_path / "a b;$(x) 中文.wav", voiced(0.5))
    argv = ffmpeg.command(ffmpeg_path, *ffmpeg.media_input(wav), "-f", "s16le", "pipe:1")
    size = 0
    with ffmpeg.FfmpegChild(argv, deadline_s=30, stdout=True) as child:
        while data := child.read(4096):
            size += len(data)
        child.finish()
    assert size == 24_000
