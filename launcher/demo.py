"""`start.sh --demo`: one real job through the real HTTP API, from a script to a checked MP4.

Runs inside the virtual environment. Flow: a server (its own, or one that already runs) -> the built-in voice
and portrait -> one job with a Chinese and an English sentence -> live progress -> the file is decoded and
compared with its speech -> its path is printed. Success means that all of this happened.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from launcher import media_check
from launcher.client import ApiClient, ApiError
from launcher.console import Console
from launcher.demo_server import own_server
from launcher.errors import Exit, LauncherError

if TYPE_CHECKING:
    from backend.utils.config import Settings

SCRIPT = "你好，欢迎来到你自己的数字人工作室。Type a script, pick a face, and this computer makes the video."

POLL_S = 0.3
# A job reports at least every few seconds; nothing new for this long (s) means that it is stuck.
STALL_TIMEOUT_S = 300.0
# Ten seconds of speech take well under a minute on two cores; an old machine under load gets half an hour.
JOB_TIMEOUT_S = 1800.0
# A server that is busy for a moment may miss a request; this many in a row are a lost server.
MISSED_POLLS = 10

_RUNNING = {"queued", "processing", "fallback", "cancelling"}


@dataclass(frozen=True)
class Pace:
    """How the job is watched; tests use a faster one."""

    poll_s: float = POLL_S
    stall_timeout_s: float = STALL_TIMEOUT_S
    job_timeout_s: float = JOB_TIMEOUT_S


def run(settings: Settings, console: Console) -> int:
    """Run the demo; returns OK, or raises LauncherError when any part of it did not work."""
    import imageio_ffmpeg

    key = settings.api_key.get_secret_value() if settings.api_key else None
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    with _termination_as_interrupt(), _server(settings, key, console) as client:
        job_id = start_job(client, console)
        job = watch_job(client, job_id, console)
        video, report, speech_s = collect(client, job, settings.outputs_dir, ffmpeg)
    console.ok(
        f"Playable H.264 + AAC, {report.width}x{report.height}, {report.frames} frames; "
        f"picture {report.video_s:.2f} s, sound {report.audio_s:.2f} s, speech {speech_s:.2f} s"
    )
    if job.get("notice"):
        console.plain(f"     {job['notice']}")
    console.ok("The finished video:")
    console.plain(str(video))
    return Exit.OK


@contextlib.contextmanager
def _server(settings: Settings, key: str | None, console: Console) -> Iterator[ApiClient]:
    """The All-in-one that already listens on the configured port, else one of the demo's own."""
    running = ApiClient(f"http://127.0.0.1:{settings.port}", key)
    if running.is_all_in_one():
        console.ok(f"All-in-one already runs on port {settings.port}; the demo uses it")
        yield running
        return
    console.doing("Starting the server")
    with own_server(settings.logs_dir / "demo-server.log", key) as client:
        console.ok(f"The server answers at {client.base_url}")
        yield client


def start_job(client: ApiClient, console: Console) -> str:
    """Create the demo's job with the built-in default voice and portrait; returns its id."""
    try:
        voice = choose_builtin(client.voices(), "voice")
        avatar = choose_builtin(client.avatars(), "portrait")
        created = client.create_job(
            {
                "voice_id": voice["voice_id"],
                "avatar_url": avatar["avatar_id"],
                "script_mode": "manual",
                "script_input": SCRIPT,
                "preferred_engine": "auto",
            }
        )
    except ApiError as error:
        raise _demo_error(f"The job was not accepted: {error.message}", error.hint) from error
    console.ok(f"Job {created['job_id']} is accepted (engine: {created.get('selected_engine', '?')})")
    console.plain(f"     voice: {voice.get('name', '?')}   script: {SCRIPT}")
    return str(created["job_id"])


def choose_builtin(items: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """The default one of the built-in items, else the first of them."""
    builtin = [item for item in items if item.get("builtin")]
    if not builtin:
        raise _demo_error(f"The server offers no built-in {what}.", "")
    return next((item for item in builtin if item.get("default")), builtin[0])


def watch_job(
    client: ApiClient,
    job_id: str,
    console: Console,
    *,
    pace: Pace = Pace(),
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Show progress until the job ends; returns the completed job. A Ctrl+C cancels it."""
    bar = console.progress()
    try:
        job = _poll(client, job_id, bar.update, pace, clock)
    except KeyboardInterrupt:
        bar.close()
        with contextlib.suppress(ApiError):
            client.cancel_job(job_id)
        raise
    finally:
        bar.close()
    if job.get("status") != "completed":
        error = job.get("error") if isinstance(job.get("error"), dict) else {}
        code = f" ({error['code']})" if error and error.get("code") else ""
        reason = (error or {}).get("detail") or job.get("message") or "no reason was given"
        raise _demo_error(
            f"The job ended as {job.get('status')}{code}: {reason}", str((error or {}).get("hint") or "")
        )
    return job


def _poll(
    client: ApiClient,
    job_id: str,
    show: Callable[[int, str, str], None],
    pace: Pace,
    clock: Callable[[], float],
) -> dict[str, Any]:
    started = changed = clock()
    last: tuple[Any, ...] = ()
    missed = 0
    while True:
        try:
            job = client.job(job_id)
            missed = 0
        except ApiError as error:
            missed += 1
            if missed >= MISSED_POLLS or error.status is not None:
                raise _demo_error(
                    f"The server does not answer any more: {error.message}", error.hint
                ) from error
            time.sleep(pace.poll_s)
            continue
        now = clock()
        seen = tuple(job.get(field) for field in ("status", "progress", "message", "stage"))
        if seen != last:
            last, changed = seen, now
        show(
            int(job.get("progress") or 0),
            str(job.get("stage") or job.get("status")),
            str(job.get("message") or ""),
        )
        if job.get("status") not in _RUNNING:
            return job
        if now - changed > pace.stall_timeout_s or now - started > pace.job_timeout_s:
            raise _demo_error(f"The job makes no progress any more; it stood at {job.get('progress')} %.", "")
        time.sleep(pace.poll_s)


def collect(
    client: ApiClient, job: dict[str, Any], outputs_dir: Path, ffmpeg: str
) -> tuple[Path, media_check.MediaReport, float]:
    """Download the result and its speech, check them, and return (path on disk, report, speech seconds)."""
    job_id = str(job["job_id"])
    try:
        with tempfile.TemporaryDirectory(prefix="all-in-one-demo-") as scratch:
            video, speech = Path(scratch) / "result.mp4", Path(scratch) / "audio.wav"
            media_type = client.download(f"/api/jobs/{job_id}/result", video)
            if media_type != "video/mp4":
                raise _demo_error(f"The result was served as {media_type}, not video/mp4.", "")
            client.download(f"/api/jobs/{job_id}/artifacts/audio.wav", speech)
            speech_s = media_check.wav_seconds(speech)
            report = media_check.inspect(ffmpeg, video)
            media_check.verify(report, speech_s)
            return keep(video, outputs_dir, job_id), report, speech_s
    except ApiError as error:
        raise _demo_error(error.message, error.hint) from error
    except media_check.MediaError as error:
        raise _demo_error(f"The video is not as it should be. {error}", "") from error


def keep(video: Path, outputs_dir: Path, job_id: str) -> Path:
    """The server's own file with the same content, or a copy when it keeps its files elsewhere."""
    digest = _sha256(video)
    for candidate in sorted((outputs_dir / job_id).glob("*.mp4")):
        if _sha256(candidate) == digest:
            return candidate
    target = outputs_dir / f"{job_id}.mp4"
    outputs_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(video, target)
    return target


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _demo_error(message: str, hint: str) -> LauncherError:
    return LauncherError(
        Exit.DEMO,
        message,
        fix=hint or "read logs/worker.log and logs/app.log; then run the demo again.",
        fix_zh="请查看 logs/worker.log 与 logs/app.log，然后重新运行演示。",
    )


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """A polite end (SIGTERM) cleans up like Ctrl+C: the job is cancelled and the server stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
