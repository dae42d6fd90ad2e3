"""ONE generation of upstream, from settings to a file. Runs in the wan2gp worker, on the thread of the task.

Flow: settings -> `submit_task` -> events, always drained to the end -> result -> the file, or a `TaskError`. No callbacks:
an exception in one would end upstream's job while its thread goes on drawing, and what that thread writes would turn up
in the next job. For the same reason nothing that happens here may leave the loop early: a failure of ours cancels the
generation, waits for its end and is raised then.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workers.handler import TaskContext, TaskError
from workers.wan2gp.failures import Report, failure_of, nothing_made
from workers.wan2gp.previews import Previews
from workers.wan2gp.progress import Step, step_of_progress, step_of_status
from workers.wan2gp.session import Engine
from workers.wan2gp.surface import Event, Job, Result

# How long the loop may sleep: a cancel is passed on this soon.
_POLL_S = 0.2
# After its last event upstream has its result at once; a thread that died without one must not be waited for.
_RESULT_S = 30.0
# The end of what was printed: a traceback of upstream has some thirty lines.
_TAIL_LINES = 80
_LINE_CHARS = 400
_NOTICES = 5
_LOG_FD = 2

OnStep = Callable[[Step], None]


def generate(
    engine: Engine,
    settings: Mapping[str, Any],
    *,
    folder: Path,
    name: str,
    context: TaskContext,
    on_step: OnStep | None = None,
    preview: Path | None = None,
) -> Path:
    """Run one generation and return the file that upstream wrote into `folder`, which holds nothing else.

    `settings` are complete; `name` is the file's name without its ending. `on_step` hears of progress, `preview` is
    where pictures of it go. Raises TaskError, and TaskCancelled when the task was cancelled; then `folder` is empty.
    """
    context.raise_if_cancelled()
    empty_folder(folder)
    run = _Run(engine, context, on_step, Previews(preview) if preview is not None else None)
    try:
        path = run.result_of(engine.submit({**settings, "output_filename": name}, folder))
    except BaseException:
        _tidy(folder, None, context)
        raise
    finally:
        engine.settle()
    _tidy(folder, path, context)
    return path


def empty_folder(folder: Path) -> None:
    """Make `folder` exist and hold nothing: upstream would take another name than the one it is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        _remove(entry)


def _tidy(folder: Path, kept: Path | None, context: TaskContext) -> None:
    """Remove all but `kept`. A file that cannot go (on Windows upstream may still hold it) must not hide the outcome."""
    try:
        for entry in folder.iterdir():
            if entry.resolve() != kept:
                _remove(entry)
    except OSError as error:
        context.log("warning", f"what upstream left could not be removed: {error}")


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)


class _Run:
    """The loop over the events of one job and what it learns."""

    def __init__(
        self, engine: Engine, context: TaskContext, on_step: OnStep | None, previews: Previews | None
    ) -> None:
        self._engine = engine
        self._context = context
        self._on_step = on_step
        self._previews = previews
        self._printed: deque[str] = deque(maxlen=_TAIL_LINES)
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._own_failure: BaseException | None = None
        self._loading_since: float | None = None

    def result_of(self, job: Job) -> Path:
        """Drain `job` to its end and judge what it left."""
        asked_to_stop = False
        while True:
            if not asked_to_stop and (self._context.cancelled or self._own_failure is not None):
                job.cancel()
                asked_to_stop = True
            event = job.events.get(timeout=_POLL_S)
            if event is not None:
                self._take(event)
            elif job.events.closed:
                break
        try:
            result = job.result(timeout=_RESULT_S)
        except TimeoutError as error:
            raise TaskError(
                "internal_error",
                "Wan2GP stopped without saying why. The engine was restarted.",
                detail=self._report("runtime", "no result after the last event").detail,
                poisons_worker=True,
            ) from error
        if self._own_failure is not None:
            raise self._own_failure
        self._context.raise_if_cancelled()
        return self._judge(result)

    def _judge(self, result: Result) -> Path:
        if result.errors:
            # One generation has one error; upstream adds "cancelled" after the one that counts.
            first = result.errors[0]
            raise failure_of(self._report(str(first.stage or ""), str(first.message)))
        files = [Path(name).resolve() for name in result.generated_files]
        files = [path for path in files if path.is_file() and path.stat().st_size > 0]
        if not result.success or not files:
            raise nothing_made(self._report("", f"success {result.success}, {len(files)} files"))
        return files[-1]  # with windows that are kept, the last one is the whole film

    def _take(self, event: Event) -> None:
        try:
            self._understand(event)
        except BaseException as error:  # noqa: BLE001  raised by result_of, once upstream has stopped
            if self._own_failure is None:
                self._own_failure = error

    def _understand(self, event: Event) -> None:
        kind, data = event.kind, event.data
        if kind == "stream":
            self._print(str(getattr(data, "text", data)))
        elif kind == "info":
            self._notices.append(str(data)[:_LINE_CHARS])
            self._print(f"notice: {data}")
        elif kind == "status":
            self._note_loading(str(data))
            self._tell(step_of_status(str(data)))
        elif kind == "progress":
            self._tell(step_of_progress(data))
        elif kind == "preview" and self._previews is not None:
            self._previews.take(getattr(data, "image", None))

    def _tell(self, step: Step | None) -> None:
        if step is not None and self._on_step is not None:
            self._on_step(step)

    def _note_loading(self, status: str) -> None:
        lowered = status.lower()
        if lowered.startswith("loading model"):
            self._loading_since = time.monotonic()
        elif lowered.startswith("model loaded") and self._loading_since is not None:
            self._engine.load_s += time.monotonic() - self._loading_since
            self._loading_since = None

    def _print(self, line: str) -> None:
        """Keep the line for the report and pass it on to the log pipe: `sys.stdout` is upstream's during a job."""
        self._printed.append(line[:_LINE_CHARS])
        data = (line[:_LINE_CHARS] + "\n").encode("utf-8", "backslashreplace")
        os.write(_LOG_FD, data)

    def _report(self, stage: str, message: str) -> Report:
        return Report(stage, message, tuple(self._printed), tuple(self._notices))
