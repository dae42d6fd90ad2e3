"""Ending a session run of onnxruntime from outside. Runs in the workers that speak.

Flow: while a run is under way a thread polls `cancelled` and sets the run's terminate flag; onnxruntime looks at it
between two operators, so even one long run ends within a fraction of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# How often a running inference looks whether it was cancelled.
_CANCEL_POLL_S = 0.1


class SynthesisStopped(Exception):
    """The run was ended from outside before it finished."""


@contextmanager
def watch(options: Any, cancelled: Callable[[], bool] | None) -> Iterator[Callable[[], bool]]:
    """While the block runs, poll `cancelled` and end the session run that uses `options` when it says so.

    `options`: an `onnxruntime.RunOptions`. The block gets a function that tells whether it was ended.
    """
    if cancelled is None:
        yield lambda: False
        return
    finished = threading.Event()

    def poll() -> None:
        while not finished.wait(_CANCEL_POLL_S):
            if cancelled():
                options.terminate = True
                return

    watcher = threading.Thread(target=poll, name="speech-cancel", daemon=True)
    watcher.start()
    try:
        yield lambda: bool(options.terminate)
    finally:
        finished.set()
        watcher.join()
