"""The last stage of a job: picture and speech become the MP4, its subtitles and its thumbnail.

Runs in the service process, on the event loop; every ffmpeg run is a child watched from a thread.
In: the silent video of an engine, the speech WAV, the timings. Out: files in a fresh work directory
that have been decoded whole, measured and hashed. Nothing is written outside that directory, so a
crash at any point is repaired by running `finish` again.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure, InputError
from backend.utils.media.ffmpeg import Ffmpeg
from backend.utils.media.loudness import Loudness, measure_loudness
from backend.utils.media.mux import BurnIn, MuxRequest, mux, take_thumbnail
from backend.utils.media.probe import AudioInfo, MediaInfo, VideoInfo, probe
from backend.utils.media.verify import LENGTH_TOLERANCE_S, verify_result
from backend.utils.subtitle_formats import FONT_FILE, missing_glyphs, to_ass, to_srt, to_vtt
from backend.utils.subtitles import Cue, build_cues, load_timings

SubtitleMode = Literal["file", "burn_in", "none"]
Report = Callable[[float, str], None]

VIDEO_NAME = "result.mp4"
SRT_NAME = "subtitles.srt"
VTT_NAME = "subtitles.vtt"
THUMBNAIL_NAME = "thumbnail.jpg"

# Where each step ends, as a fraction of the stage.
_PROBED, _SUBTITLED, _MUXED, _VERIFIED, _MEASURED, _PICTURED = 0.05, 0.10, 0.70, 0.88, 0.94, 0.97
_HASH_CHUNK_BYTES = 1 << 20
# After a cancelled await, the thread's ffmpeg is killed at its next poll; then the thread ends.
_THREAD_END_S = 10.0

# EDQUOT is unknown on Windows; EFBIG is a limit on file sizes.
_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})

_T = TypeVar("_T")


@dataclass(frozen=True)
class FinishedVideo:
    """What the stage leaves. `sha256` and `size_bytes` are the video's, `speech_s` is how long the speech lasts.

    `warnings` are sentences for a person.
    """

    video: Path
    srt: Path | None
    vtt: Path | None
    thumbnail: Path
    info: MediaInfo
    loudness: Loudness
    speech_s: float
    size_bytes: int
    sha256: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Inputs:
    video: VideoInfo
    audio: AudioInfo


class FinishService:
    """Finishes videos. `assets_dir` holds `fonts/` with the subtitle font."""

    def __init__(self, ffmpeg: Ffmpeg, assets_dir: Path) -> None:
        self._ffmpeg = ffmpeg
        self._font = assets_dir / "fonts" / FONT_FILE

    async def finish(
        self,
        *,
        job_id: str,
        work_dir: Path,
        silent_video: Path,
        audio: Path,
        timings: Path | None,
        title: str,
        subtitles: SubtitleMode,
        provenance: Mapping[str, Any],
        report: Report,
        cancelled: Callable[[], bool],
        thumbnail_s: float | None = None,
    ) -> FinishedVideo:
        """Make and check the result below `work_dir` (created when missing).

        A video that carries sound is taken without it. `thumbnail_s`: the moment that the engine would show in a
        list, None when it knows none. Raises EngineFailure: no_output when the
        engine's video is unusable or its length is not the speech's, disk_full, timeout; JobCancelled.
        """
        runner = _ThreadRunner(cancelled, report)
        plan = _Plan(self._ffmpeg, self._font, work_dir, title, {"job_id": job_id, **provenance}, runner)

        await runner.call(plan.make_directory)
        runner.report(0.0, "Checking picture and sound")
        inputs = await runner.call(lambda: plan.probe_inputs(silent_video, audio))
        runner.report(_PROBED, "Writing subtitles")
        cues, language = await runner.call(lambda: plan.write_subtitles(timings, subtitles, inputs))
        runner.report(_SUBTITLED, "Joining picture and sound")
        burn_in = plan.burn_in(cues, language, inputs) if cues and subtitles == "burn_in" else None
        await runner.call(lambda: plan.mux(silent_video, audio, inputs, burn_in))
        runner.report(_MUXED, "Checking the result")
        info = await runner.call(lambda: plan.verify(inputs))
        runner.report(_VERIFIED, "Measuring the sound")
        loudness = await runner.call(lambda: plan.measure(info))
        runner.report(_MEASURED, "Taking the thumbnail")
        await runner.call(lambda: plan.thumbnail(info, thumbnail_s))
        runner.report(_PICTURED, "Recording the result")
        sha256 = await runner.call(lambda: hash_file(plan.video_path))
        size_bytes = await runner.call(lambda: plan.video_path.stat().st_size)
        runner.report(1.0, "Finished")
        return FinishedVideo(
            video=plan.video_path,
            srt=work_dir / SRT_NAME if cues else None,
            vtt=work_dir / VTT_NAME if cues else None,
            thumbnail=work_dir / THUMBNAIL_NAME,
            info=info,
            loudness=loudness,
            speech_s=inputs.audio.duration_s,
            size_bytes=size_bytes,
            sha256=sha256,
            warnings=tuple(plan.warnings),
        )


class _ThreadRunner:
    """Calls blocking functions in threads; their progress returns to the loop, a cancel reaches them."""

    def __init__(self, cancelled: Callable[[], bool], report: Report) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = cancelled
        self._report = report
        self._abandoned = threading.Event()

    def cancelled(self) -> bool:
        """Whether the job was cancelled or nobody awaits us any more. Called from the thread."""
        return self._abandoned.is_set() or self._asked()

    def report(self, fraction: float, message: str) -> None:
        """Tell progress, on the loop."""
        self._report(fraction, message)

    def report_from_thread(self, fraction: float, message: str) -> None:
        """Tell progress, from a thread."""
        self._loop.call_soon_threadsafe(self._report, fraction, message)

    async def call(self, function: Callable[[], _T]) -> _T:
        """Run `function` in a thread. If this await is cancelled, the thread is told and waited for."""
        thread = asyncio.ensure_future(asyncio.to_thread(function))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._abandoned.set()
            await asyncio.wait({thread}, timeout=_THREAD_END_S)
            if thread.done() and not thread.cancelled():
                thread.exception()  # seen: the cancel is what the caller hears of
            raise
        except OSError as error:
            if error.errno not in _DISK_FULL_ERRNOS:
                raise
            raise EngineFailure(
                ErrorCode.DISK_FULL,
                "The disk is full: the finished video could not be written.",
                hint="Free some space on the disk that holds the data folder and try again.",
                log_tail=str(error),
            ) from error


class _Plan:
    """The blocking steps of one finish; each writes only below the work directory."""

    def __init__(
        self,
        ffmpeg: Ffmpeg,
        font: Path,
        work_dir: Path,
        title: str,
        provenance: Mapping[str, Any],
        runner: _ThreadRunner,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._font = font
        self._work_dir = work_dir
        self._title = title
        self._provenance = provenance
        self._runner = runner
        self.video_path = work_dir / VIDEO_NAME
        self.warnings: list[str] = []

    def make_directory(self) -> None:
        self._work_dir.mkdir(parents=True, exist_ok=True)

    def probe_inputs(self, video: Path, audio: Path) -> _Inputs:
        picture = self._probe(video, "The engine left no video that can be opened.").video
        sound = self._probe(audio, "The speech stage left no sound that can be opened.").audio
        if picture is None:
            raise _no_output("The engine's file holds no picture.")
        if sound is None:
            raise _no_output("The speech file holds no sound.")
        if abs(picture.duration_s - sound.duration_s) > LENGTH_TOLERANCE_S:
            raise _no_output(
                f"The engine's video lasts {picture.duration_s:.2f} s, "
                f"but the speech lasts {sound.duration_s:.2f} s."
            )
        return _Inputs(picture, sound)

    def write_subtitles(
        self, path: Path | None, mode: SubtitleMode, inputs: _Inputs
    ) -> tuple[list[Cue], str]:
        """The cues, also as files, and the language of the speech."""
        if mode == "none":
            return [], ""
        if path is None:
            self.warnings.append("There are no subtitles: the speech came without its text.")
            return [], ""
        timings = load_timings(path)
        cues = build_cues(timings, total_s=inputs.audio.duration_s)
        if not cues:
            self.warnings.append("There are no subtitles: the speech has no words.")
            return [], ""
        for name, text in ((SRT_NAME, to_srt(cues)), (VTT_NAME, to_vtt(cues))):
            (self._work_dir / name).write_text(text, encoding="utf-8", newline="\n")
        return cues, timings.language

    def burn_in(self, cues: list[Cue], language: str, inputs: _Inputs) -> BurnIn:
        ass = to_ass(cues, width=inputs.video.width, height=inputs.video.height, language=language)
        return BurnIn(ass=ass, font=self._font)

    def mux(self, video: Path, audio: Path, inputs: _Inputs, burn_in: BurnIn | None) -> None:
        messages = mux(
            self._ffmpeg,
            MuxRequest(
                video=video,
                video_info=inputs.video,
                audio=audio,
                audio_info=inputs.audio,
                output=self.video_path,
                work_dir=self._work_dir,
                title=self._title,
                provenance=self._provenance,
                burn_in=burn_in,
            ),
            cancelled=self._runner.cancelled,
            on_fraction=self._on_mux_fraction,
        )
        if burn_in is not None and (missing := missing_glyphs(messages)):
            self.warnings.append(f"The subtitle font cannot draw these characters: {missing}")

    def _on_mux_fraction(self, fraction: float) -> None:
        at = _SUBTITLED + (_MUXED - _SUBTITLED) * fraction
        self._runner.report_from_thread(at, "Joining picture and sound")

    def verify(self, inputs: _Inputs) -> MediaInfo:
        return verify_result(
            self._ffmpeg, self.video_path, inputs.audio.duration_s, cancelled=self._runner.cancelled
        )

    def measure(self, info: MediaInfo) -> Loudness:
        length_s = info.audio.duration_s if info.audio else 0.0
        return measure_loudness(
            self._ffmpeg, self.video_path, duration_s=length_s, cancelled=self._runner.cancelled
        )

    def thumbnail(self, info: MediaInfo, at_s: float | None) -> None:
        take_thumbnail(
            self._ffmpeg,
            self.video_path,
            self._work_dir / THUMBNAIL_NAME,
            duration_s=info.duration_s,
            at_s=at_s,
            cancelled=self._runner.cancelled,
        )

    def _probe(self, path: Path, sentence: str) -> MediaInfo:
        try:
            return probe(self._ffmpeg, path, cancelled=self._runner.cancelled)
        except InputError as error:
            raise _no_output(sentence) from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as lower-case hex; blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _no_output(sentence: str) -> EngineFailure:
    return EngineFailure(
        ErrorCode.NO_OUTPUT,
        sentence,
        hint="Try again; if it happens each time, choose another engine or report it.",
    )
