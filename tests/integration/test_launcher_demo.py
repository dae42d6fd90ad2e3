"""The demo: one job over HTTP, watched to its end, and a verdict that rests on the decoded file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from launcher import demo
from launcher.client import ApiClient
from launcher.demo import Pace, choose_builtin, collect, start_job, watch_job
from launcher.demo_server import own_server
from launcher.errors import Exit, LauncherError
from tests import media_samples
from tests.integration.launcher_server import JOB_ID, Scenario, ended, running, serving
from tests.unit.launcher.twins import MemoryConsole

FAST = Pace(poll_s=0.01, stall_timeout_s=5.0, job_timeout_s=10.0)
FFMPEG = str(media_samples.FFMPEG.binary)
# Windows wants the folder of its own programs; elsewhere a bare environment would do.
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A good result and its speech, two seconds long."""
    folder = tmp_path_factory.mktemp("媒体 files")
    speech = media_samples.make_speech(folder / "speech.wav")
    video = media_samples.make_result(
        folder / "result.mp4", media_samples.make_video(folder / "v.mp4"), speech
    )
    return video, speech


@pytest.fixture
def scenario(media: tuple[Path, Path]) -> Scenario:
    video, speech = media
    return Scenario(
        progress=[
            running(0, "speech", "Speaking"),
            running(30, "speech", "Speaking"),
            running(60, "video", "Drawing"),
            ended("completed", notice="A draft."),
        ],
        video=video,
        speech=speech,
    )


@pytest.fixture
def client(scenario: Scenario) -> Iterator[ApiClient]:
    with serving(scenario) as url:
        yield ApiClient(url)


def test_the_job_uses_the_default_built_in_voice_and_portrait_and_both_languages(
    client: ApiClient, scenario: Scenario
) -> None:
    assert start_job(client, MemoryConsole()) == JOB_ID

    [body] = scenario.created
    assert body["voice_id"] == "voice_builtin02"
    assert body["avatar_url"] == "avatar_builtin01"
    assert (body["script_mode"], body["preferred_engine"]) == ("manual", "auto")
    assert any("\u4e00" <= character <= "\u9fff" for character in body["script_input"])
    assert "this computer makes the video" in body["script_input"]


def test_progress_is_shown_until_the_job_is_complete(client: ApiClient) -> None:
    console = MemoryConsole()

    job = watch_job(client, JOB_ID, console, pace=FAST)

    assert job["status"] == "completed"
    shown = console.out.getvalue()
    assert shown.index("speech") < shown.index("video") < shown.index("100%")


def test_the_result_is_checked_and_the_servers_own_file_is_named(
    client: ApiClient, media: tuple[Path, Path], tmp_path: Path
) -> None:
    own = tmp_path / JOB_ID / "video.mp4"
    own.parent.mkdir()
    own.write_bytes(media[0].read_bytes())

    path, report, speech_s = collect(client, ended("completed"), tmp_path, FFMPEG)

    assert path == own
    assert speech_s == pytest.approx(2.0, abs=0.001)
    assert report.video_s == pytest.approx(2.0, abs=0.05)
    assert report.frames == 50


def test_when_the_server_keeps_its_files_elsewhere_the_download_is_kept(
    client: ApiClient, media: tuple[Path, Path], tmp_path: Path
) -> None:
    path, _, _ = collect(client, ended("completed"), tmp_path / "outputs", FFMPEG)

    assert path.read_bytes() == media[0].read_bytes()


def test_a_result_that_does_not_match_the_speech_fails_the_demo(
    client: ApiClient, scenario: Scenario, tmp_path: Path
) -> None:
    scenario.speech = media_samples.make_speech(tmp_path / "longer.wav", 3.0)

    with pytest.raises(LauncherError, match=r"lasts 2\.\d\d s but the speech 3\.00 s") as raised:
        collect(client, ended("completed"), tmp_path, FFMPEG)

    assert raised.value.status is Exit.DEMO


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_fails_fails_the_demo_with_its_code_and_fix(
    client: ApiClient, scenario: Scenario, status: str
) -> None:
    error = {"code": "face_not_found", "detail": "No face was found.", "hint": "Use another picture."}
    scenario.progress = [running(10, "video"), ended(status, error=error)]

    with pytest.raises(LauncherError) as raised:
        watch_job(client, JOB_ID, MemoryConsole(), pace=FAST)

    assert "face_not_found" in raised.value.message
    assert raised.value.fix == "Use another picture."


def test_a_job_that_stands_still_fails_the_demo(client: ApiClient, scenario: Scenario) -> None:
    scenario.progress = [running(42, "video")]

    with pytest.raises(LauncherError, match="stood at 42"):
        watch_job(client, JOB_ID, MemoryConsole(), pace=Pace(poll_s=0.0, stall_timeout_s=0.05))


def test_a_refused_job_fails_the_demo_in_the_servers_words(client: ApiClient, scenario: Scenario) -> None:
    scenario.refuse_create = {"code": "disk_full", "detail": "The disk is full.", "hint": "Free some space."}

    with pytest.raises(LauncherError, match="The disk is full") as raised:
        start_job(client, MemoryConsole())

    assert raised.value.fix == "Free some space."


def test_ctrl_c_cancels_the_job(
    client: ApiClient, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        watch_job(client, JOB_ID, MemoryConsole(), pace=FAST)

    assert scenario.cancelled == [f"/api/jobs/{JOB_ID}/cancel"]


def test_a_server_that_goes_away_fails_the_demo(scenario: Scenario) -> None:
    with serving(scenario) as url:
        client = ApiClient(url)
    with pytest.raises(LauncherError, match="does not answer"):
        watch_job(client, JOB_ID, MemoryConsole(), pace=FAST)


def test_without_a_built_in_item_there_is_no_demo() -> None:
    with pytest.raises(LauncherError, match="no built-in portrait"):
        choose_builtin([{"builtin": False}], "portrait")
    assert choose_builtin([{"builtin": True, "n": 1}, {"builtin": True, "n": 2}], "voice")["n"] == 1


def test_a_running_all_in_one_is_recognised_with_and_without_a_key() -> None:
    with serving(Scenario(key="secret")) as url:
        assert ApiClient(url).is_all_in_one()
        assert ApiClient(url, "secret").voices()
    assert not ApiClient(url).is_alive()


def test_another_program_on_the_port_is_not_taken_for_all_in_one() -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert not ApiClient(f"http://127.0.0.1:{server.server_address[1]}").is_all_in_one()
        finally:
            server.shutdown()
            thread.join()


# -- the demo's own server ------------------------------------------------------------------------------


def fake_server(port: int) -> Sequence[str]:
    return [sys.executable, "-m", "tests.integration.launcher_server", str(port)]


def test_the_demos_server_answers_and_ends_with_the_demo(tmp_path: Path) -> None:
    with own_server(tmp_path / "server.log", None, fake_server) as client:
        assert client.is_all_in_one()
    assert not client.is_alive()


def test_a_server_that_does_not_start_is_explained_by_its_last_lines(tmp_path: Path) -> None:
    def broken(_: int) -> Sequence[str]:
        return [sys.executable, "-c", "import sys; sys.exit('the database is locked')"]

    with (
        pytest.raises(LauncherError, match="ended with status 1") as raised,
        own_server(tmp_path / "server.log", None, broken),
    ):
        pytest.fail("a dead server was used")

    assert "the database is locked" in raised.value.details


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_the_demos_server_also_ends_when_the_demo_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from launcher.demo_server import own_server\n"
        "from tests.integration.test_launcher_demo import fake_server\n"
        "with own_server(Path(sys.argv[1]), None, fake_server) as client:\n"
        "    print(client.base_url, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "server.log")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    client = ApiClient(done.stdout.strip())
    assert done.returncode == -9
    for _ in range(600):
        if not client.is_alive():
            break
        demo.time.sleep(0.05)
    assert not client.is_alive()
